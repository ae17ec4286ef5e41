// Memory of the host that is filled for every step anew, and copied to the
// device while the host goes on.
#pragma once

#include <c10/core/Event.h>
#include <torch/types.h>

#include <memory>

namespace mdgan {

class UploadBuffer {
 public:
  // Undefined, like a tensor that is made so.
  UploadBuffer() = default;
  UploadBuffer(at::IntArrayRef dims, torch::ScalarType type,
               torch::Device device);

  bool defined() const { return host_.defined(); }

  // The memory, to fill and to read. Waits until the device has read what was
  // uploaded last.
  const torch::Tensor& host() const;

  // A copy on the device, which comes before whatever the calling thread asks
  // of the device next. On the CPU it is the memory itself.
  torch::Tensor upload();

 private:
  torch::Tensor host_;
  torch::Device device_ = torch::kCPU;
  std::unique_ptr<c10::Event> read_;  // after the last upload; null on the CPU
};

}  // namespace mdgan
