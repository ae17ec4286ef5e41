#include "common/version/version.h"

#include <sodium.h>

#include <zmq.hpp>

#include "common/base/version.h"
#include "common/kernels/convolution/backend_name.h"
#include "common/kernels/dense/dense_kernel.h"
#include "common/tensor/device.h"
#include "protocol/messages.h"

namespace mdgan {

std::string version_text(const std::string& program) {
  std::string text = program + " " MDGAN_VERSION "\n";
  text += "protocol " + std::to_string(protocol::kMajor) + "." +
          std::to_string(protocol::kMinor) + "\n";
  for (const std::string& line : backend_versions()) text += line + "\n";
  text += "dense layers: " + std::string(dense_kernels().name) + " kernels\n";
  text += "stacks of convolutions: " + backend::name() + "\n";
  const auto [major, minor, patch] = zmq::version();
  text += "ZeroMQ " + std::to_string(major) + "." + std::to_string(minor) +
          "." + std::to_string(patch) +
          (zmq_has("curve") != 0 ? ", with CURVE\n" : ", without CURVE\n");
  text += std::string("crypto: libsodium ") + sodium_version_string() + "\n";
  return text;
}

}  // namespace mdgan
