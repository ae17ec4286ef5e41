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
// When it is less, the end, length and checksum of each of the file's members
// (RFC 1952) were verified, and no byte but padding zeros was left over. Memory
// grows with the output, not with what a header claims. `name` is for the
// errors (kData), which give the byte offset.
Result<std::vector<std::uint8_t>> inflate_gzip(
    std::span<const std::byte> compressed, std::size_t most,
    const std::string& name);

}  // namespace mdgan
