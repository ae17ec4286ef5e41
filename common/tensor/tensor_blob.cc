#include "common/tensor/tensor_blob.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace mdgan {
namespace {

using protocol::DType;

torch::ScalarType scalar_type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return torch::kFloat32;
    case DType::kInt32:
      return torch::kInt32;
    case DType::kInt64:
      return torch::kInt64;
    case DType::kFloat64:
      return torch::kFloat64;
    case DType::kBfloat16:
    case DType::kUint8:
    case DType::kInt8:
      break;  // on the wire only: quantise.h
  }
  MDGAN_CHECK(!"a known dtype");
}

DType dtype_of(torch::ScalarType type) {
  if (type == torch::kFloat32) return DType::kFloat32;
  if (type == torch::kInt32) return DType::kInt32;
  if (type == torch::kFloat64) return DType::kFloat64;
  MDGAN_CHECK(type == torch::kInt64);
  return DType::kInt64;
}

// Pinned memory would be filled faster. But a blob is freed by whoever has it
// last, ZeroMQ's thread, say, and that even while the program ends, when CUDA
// takes pinned memory back no more.
torch::Tensor to_host(const torch::Tensor& tensor) {
  return tensor.to(torch::kCPU).contiguous();
}

}  // namespace

torch::Tensor to_tensor(const Blob& blob) {
  const auto type = scalar_type_of(blob.meta.dtype);
  const std::vector<std::int64_t> dims(blob.meta.dims.begin(),
                                       blob.meta.dims.end());
  MDGAN_CHECK(static_cast<std::size_t>(c10::multiply_integers(dims)) *
                  protocol::bytes_of(blob.meta.dtype) ==
              blob.bytes.size());
  if (blob.empty()) return torch::empty(dims, type);
  // from_blob asks for a mutable pointer; the contract forbids writing.
  auto* data = const_cast<std::byte*>(blob.bytes.data());
  const auto keep_alive = [owner = blob.owner](void*) {};
  const torch::Tensor view = torch::from_blob(data, dims, keep_alive, type);
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  if (address % protocol::bytes_of(blob.meta.dtype) == 0) return view;
  torch::Tensor copy = torch::empty(dims, type);
  std::memcpy(copy.data_ptr(), data, blob.bytes.size());
  return copy;
}

Blob to_blob(const torch::Tensor& tensor) {
  auto host = std::make_shared<torch::Tensor>(to_host(tensor.detach()));
  Blob blob;
  blob.meta.dtype = dtype_of(host->scalar_type());
  blob.meta.dims.assign(host->sizes().begin(), host->sizes().end());
  blob.bytes = {static_cast<const std::byte*>(host->data_ptr()),
                host->nbytes()};
  blob.owner = std::move(host);
  return blob;
}

std::span<float> floats_of(const torch::Tensor& tensor) {
  MDGAN_CHECK(tensor.is_cpu() && tensor.is_contiguous());
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace mdgan
