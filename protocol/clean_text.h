// Text that is safe to show on a terminal and to write into a log.
#pragma once

#include <string>
#include <string_view>

namespace mdgan::protocol {

// Whether `text` is UTF-8 (RFC 3629) without characters that cannot be seen but
// change what is seen or where a line ends: controls, formats (bidirectional
// overrides, zero-width characters, tags), line and paragraph separators
// (Unicode's Cc, Cf, Zl, Zp) and noncharacters. Peers' names must be such text.
bool is_clean_text(std::string_view text);

// `text` as it may be shown: unless it is clean, '?' stands for every byte that
// is not printable ASCII.
std::string presentable(std::string text);

}  // namespace mdgan::protocol
