#include "protocol/frames.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/limits.h"

namespace mdgan::protocol {
namespace {

constexpr std::size_t kShapesShown = 4;

std::string_view name_of(DType type) {
  switch (type) {
    case DType::kFloat32:
      return "float32";
    case DType::kInt32:
      return "int32";
    case DType::kInt64:
      return "int64";
    case DType::kBfloat16:
      return "bfloat16";
    case DType::kUint8:
      return "uint8";
    case DType::kInt8:
      return "int8";
    case DType::kFloat64:
      return "float64";
  }
  return "?";
}

}  // namespace

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

std::uint64_t total_bytes(std::span<const TensorMeta> tensors) {
  std::uint64_t bytes = 0;
  for (const TensorMeta& tensor : tensors)
    if (const auto size = byte_size(tensor)) bytes += *size;
  return bytes;
}

std::string shapes_text(std::span<const TensorMeta> tensors) {
  if (tensors.empty()) return "no tensor";
  std::string text;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (i == kShapesShown)
      return text + " and " + std::to_string(tensors.size() - i) + " more";
    text += (i == 0 ? "" : ", ") + std::string(name_of(tensors[i].dtype));
    const char* before = " ";
    for (const std::uint64_t dim : tensors[i].dims)
      text += std::exchange(before, "x") + std::to_string(dim);
  }
  return text;
}

bool is_chunk(std::span<const TensorMeta> tensors) {
  return tensors.size() == 1 && tensors[0].dtype == DType::kUint8 &&
         tensors[0].dims.size() == 1 &&
         tensors[0].dims[0] <= kChunkBytes + kSealAllowance;
}

std::uint64_t chunks_of(std::span<const TensorMeta> tensors) {
  std::uint64_t count = 1;
  for (const TensorMeta& meta : tensors)
    count += (*byte_size(meta) + kChunkBytes - 1) / kChunkBytes;
  return count;
}

Result<FrameSequence> FrameSequence::of(std::span<const TensorMeta> tensors,
                                        bool may_be_long) {
  FrameSequence frames;
  frames.may_be_long_ = may_be_long;
  const std::size_t longest = may_be_long ? kLongFrameBytes : kFrameBytes;
  std::uint64_t count = 0;
  for (const TensorMeta& meta : tensors) {
    const Result<std::uint64_t> bytes = byte_size(meta);
    if (!bytes) return bytes.error();
    frames.sizes_.push_back(*bytes);
    count += (*bytes + longest - 1) / longest;
  }
  // The envelope is a frame too.
  if (count >= kMaxFrames)
    return Error{"a message has " + std::to_string(count + 1) +
                 " frames, at most " + std::to_string(kMaxFrames) +
                 " are allowed"};
  if (!frames.sizes_.empty()) frames.left_ = frames.sizes_.front();
  return frames;
}

Result<void> FrameSequence::take(std::size_t bytes) {
  if (complete())
    return Error{"a tensor frame of " + std::to_string(bytes) +
                 " bytes that no envelope announces"};
  // A tensor's first frame tells how it is cut.
  if (cut_ == 0)
    cut_ = may_be_long_ && bytes > kFrameBytes ? kLongFrameBytes : kFrameBytes;
  const std::uint64_t expected = std::min<std::uint64_t>(left_, cut_);
  if (bytes != expected)
    return Error{"tensor frame " + std::to_string(frames_) + " has " +
                 std::to_string(bytes) + " bytes, expected " +
                 std::to_string(expected)};
  if (++frames_ >= kMaxFrames)
    return Error{"a message has more than " + std::to_string(kMaxFrames) +
                 " frames"};
  left_ -= expected;
  if (left_ == 0) {
    cut_ = 0;
    if (++tensor_ < sizes_.size()) left_ = sizes_[tensor_];
  }
  return {};
}

std::uint64_t FrameSequence::bytes() const {
  return std::accumulate(sizes_.begin(), sizes_.end(), std::uint64_t{0});
}

}  // namespace mdgan::protocol
