#include "common/tensor/upload_buffer.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <thread>

namespace mdgan {

UploadBuffer::UploadBuffer(at::IntArrayRef dims, torch::ScalarType type,
                           torch::Device device)
    : host_(torch::empty(
          dims, torch::TensorOptions(type).pinned_memory(device.is_cuda()))),
      device_(device) {
  if (!device.is_cpu()) read_ = std::make_unique<c10::Event>(device.type());
}

const torch::Tensor& UploadBuffer::host() const {
  // A generic event can be waited for only from LibTorch 2 on. The copy mostly
  // is over: the host has done a step since.
  while (read_ != nullptr && !read_->query()) std::this_thread::yield();
  return host_;
}

torch::Tensor UploadBuffer::upload() {
  torch::Tensor copy = host_.to(device_, /*non_blocking=*/true);
  if (read_ != nullptr)
    read_->record(
        c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
  return copy;
}

}  // namespace mdgan
