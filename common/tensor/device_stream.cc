#include "common/tensor/device_stream.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace mdgan {

DeviceStream::DeviceStream(c10::Device device) {
  if (!device.is_cpu())
    stream_ = c10::impl::VirtualGuardImpl(device.type())
                  .getStreamFromGlobalPool(device);
}

c10::OptionalStreamGuard DeviceStream::use() const {
  if (stream_) return c10::OptionalStreamGuard(*stream_);
  return c10::OptionalStreamGuard();
}

}  // namespace mdgan
