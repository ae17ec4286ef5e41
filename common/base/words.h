// Numbers and tables as a person reads them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mdgan {

// "12,400".
std::string count_words(std::uint64_t count);

// "40 s", "3 min 20 s", "2 h 10 min", "3 d 4 h"; "?" for what is no time.
std::string duration_words(double seconds);

// "512 B", "1.5 KiB"; the units are powers of 1024.
std::string bytes_words(std::uint64_t bytes);

// "1 peer", "9 peers".
std::string plural(std::uint64_t count, std::string_view noun);

// `text`, or its beginning and "..." where it has more than `most` characters.
// REQUIRES: `text` is UTF-8; most > 3.
std::string clipped(std::string_view text, std::size_t most);

// Columns side by side, as wide as their widest cell; the first row is the
// heading. Each line ends with a line end. REQUIRES: cells are UTF-8 without
// line ends, and all rows have as many.
std::string table_text(const std::vector<std::vector<std::string>>& rows);

}  // namespace mdgan
