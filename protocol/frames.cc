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

std::size_t frame_count(std::uint64_t bytes) {
  if (bytes == 0) return 1;
  return static_cast<std::size_t>((bytes - 1) / kFrameBytes + 1);
}

Result<void> check_frames(std::span<const TensorMeta> tensors,
                          std::span<const std::size_t> sizes) {
  // The envelope is a frame too.
  if (sizes.size() >= kMaxFrames)
    return Error{"a message has " + std::to_string(sizes.size() + 1) +
                 " frames, at most " + std::to_string(kMaxFrames) +
                 " are allowed"};
  std::size_t frame = 0;
  for (const TensorMeta& meta : tensors) {
    const Result<std::uint64_t> bytes = byte_size(meta);
    if (!bytes) return bytes.error();
    std::uint64_t left = *bytes;
    for (std::size_t i = 0; i < frame_count(*bytes); ++i, ++frame) {
      const std::uint64_t expected = std::min<std::uint64_t>(left, kFrameBytes);
      if (frame == sizes.size())
        return Error{"a message has only " + std::to_string(sizes.size()) +
                     " tensor frames, its envelope announces more"};
      if (sizes[frame] != expected)
        return Error{"tensor frame " + std::to_string(frame) + " has " +
                     std::to_string(sizes[frame]) + " bytes, expected " +
                     std::to_string(expected)};
      left -= expected;
    }
  }
  if (frame != sizes.size())
    return Error{"a message has " + std::to_string(sizes.size()) +
                 " tensor frames, its envelope announces " +
                 std::to_string(frame)};
  return {};
}

}  // namespace mdgan::protocol
