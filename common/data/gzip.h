// gzip data in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace mdgan {

// The first `most` bytes of what `compressed` holds, or all if that is less.
// When it is less, the stream's end, length and checksum were verified and no
// byte was left over. Memory grows with the output, not with what a header
// claims. `name` is for the errors (kData), which give the byte offset.
Result<std::vector<std::uint8_t>> inflate_gzip(
    std::span<const std::byte> compressed, std::size_t most,
    const std::string& name);

}  // namespace mdgan
