// A GPU does the work of one stream in order, and that of several side by side.
#pragma once

#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

#include <optional>

namespace mdgan {

class DeviceStream {
 public:
  // One of the device's streams, of which LibTorch has 32; the CPU has none.
  explicit DeviceStream(c10::Device device);

  // While what is returned lives, the calling thread's work for the device goes
  // to the stream. Memory belongs to the stream that was in use when it was
  // taken: whoever reads it in another one waits for this one first.
  c10::OptionalStreamGuard use() const;

 private:
  std::optional<c10::Stream> stream_;
};

}  // namespace mdgan
