// The frames that follow an envelope, in the order in which they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "protocol/messages.h"

namespace mdgan::protocol {

// The bytes of one tensor, or an error if rank, dims or size exceed limits.h or
// a dimension is 0; checks the product for overflow.
Result<std::uint64_t> byte_size(const TensorMeta& meta);

// Of all of them together; those that byte_size() refuses count nothing.
std::uint64_t total_bytes(std::span<const TensorMeta> tensors);
// Types and dimensions for people, as in "float32 10x1x28x28, float32 10": of
// the first few tensors.
std::string shapes_text(std::span<const TensorMeta> tensors);

// Whether a chunk may have these tensors: one, within the limits.
bool is_chunk(std::span<const TensorMeta> tensors);

// The chunks of a transfer with these tensors: its envelope is the first, and a
// chunk has bytes of one tensor only. REQUIRES: byte_size() takes them.
std::uint64_t chunks_of(std::span<const TensorMeta> tensors);

// Checks, frame by frame, that what comes is what the envelope announces.
class FrameSequence {
 public:
  // Makes the sequence of a message without tensors.
  FrameSequence() = default;
  // With `may_be_long` a tensor may also be cut into frames of kLongFrameBytes.
  // Fails for a tensor that byte_size() refuses, and for more frames than
  // kMaxFrames even of the longest that are allowed.
  static Result<FrameSequence> of(std::span<const TensorMeta> tensors,
                                  bool may_be_long);

  // Takes a frame of `bytes`. Fails if another size is due, or none.
  Result<void> take(std::size_t bytes);

  // The place in the list of the tensor to which the next frame belongs; their
  // number when all are complete.
  std::size_t tensor() const { return tensor_; }
  bool complete() const { return tensor_ == sizes_.size(); }
  std::uint64_t bytes() const;  // of all tensors

 private:
  std::vector<std::uint64_t> sizes_;  // bytes of each tensor
  std::size_t tensor_ = 0;
  std::uint64_t left_ = 0;  // bytes of this tensor that are to come
  std::size_t cut_ = 0;     // bytes of its frames; 0 before its first
  std::size_t frames_ = 0;  // taken so far
  bool may_be_long_ = false;
};

}  // namespace mdgan::protocol
