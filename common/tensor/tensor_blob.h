// Between LibTorch's tensors and Blobs, without a copy wherever that is
// possible.
#pragma once

#include <torch/types.h>

#include <span>

#include "common/tensor/blob.h"

namespace mdgan {

// A CPU tensor over the blob's bytes, which it keeps alive; a copy when they
// are not aligned for their type, as small received frames are. Read it only:
// the bytes may belong to others too. REQUIRES: blob.bytes.size() is what
// blob.meta says.
torch::Tensor to_tensor(const Blob& blob);

// A view of the tensor's values, in row-major order, to read and to write.
// REQUIRES: float32, contiguous, in CPU memory.
std::span<float> floats_of(const torch::Tensor& tensor);

// A Blob that keeps the tensor alive; a copy when the tensor is not contiguous
// or not in CPU memory (then in pageable memory). Otherwise a later write to
// the tensor changes the blob. No graph is kept. REQUIRES: dtype float32, int32
// or int64.
Blob to_blob(const torch::Tensor& tensor);

}  // namespace mdgan
