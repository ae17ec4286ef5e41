// Tensors and the frames they travel in.
#include <algorithm>
#include <string>

#include "protocol/codec.h"
#include "protocol/limits.h"

namespace mdgan::protocol {

Result<std::uint64_t> byte_size(const TensorMeta& meta) {
  if (meta.dims.size() > kMaxRank)
    return Error{"a tensor has rank " + std::to_string(meta.dims.size()) +
                 ", at most " + std::to_string(kMaxRank) + " is allowed"};
  std::uint64_t bytes = bytes_of(meta.dtype);
  for (const std::uint64_t dim : meta.dims) {
    if (dim == 0) return Error{"a tensor has a dimension of 0"};
    if (dim > kMaxTensorBytes / bytes)
      return Error{"a tensor is larger than " +
                   std::to_string(kMaxTensorBytes) + " bytes"};
    bytes *= dim;
  }
  return bytes;
}

Result<std::vector<std::size_t>> check_frames(
    std::span<const TensorMeta> tensors, std::span<const std::size_t> sizes,
    bool may_be_long) {
  // The envelope is a frame too.
  if (sizes.size() >= kMaxFrames)
    return Error{"a message has " + std::to_string(sizes.size() + 1) +
                 " frames, at most " + std::to_string(kMaxFrames) +
                 " are allowed"};
  std::vector<std::size_t> counts;
  std::size_t frame = 0;
  for (const TensorMeta& meta : tensors) {
    const Result<std::uint64_t> bytes = byte_size(meta);
    if (!bytes) return bytes.error();
    const std::size_t first = frame;
    std::size_t cut = kFrameBytes;
    for (std::uint64_t left = *bytes; left > 0; ++frame) {
      if (frame == sizes.size())
        return Error{"a message has only " + std::to_string(sizes.size()) +
                     " tensor frames, its envelope announces more"};
      // A tensor's first frame tells how it is cut.
      if (may_be_long && frame == first && sizes[frame] > kFrameBytes)
        cut = kLongFrameBytes;
      const std::uint64_t expected = std::min<std::uint64_t>(left, cut);
      if (sizes[frame] != expected)
        return Error{"tensor frame " + std::to_string(frame) + " has " +
                     std::to_string(sizes[frame]) + " bytes, expected " +
                     std::to_string(expected)};
      left -= expected;
    }
    counts.push_back(frame - first);
  }
  if (frame != sizes.size())
    return Error{"a message has " + std::to_string(sizes.size()) +
                 " tensor frames, its envelope announces " +
                 std::to_string(frame)};
  return counts;
}

}  // namespace mdgan::protocol
