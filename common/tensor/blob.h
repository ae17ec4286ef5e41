// A tensor's bytes without LibTorch: what crosses between sockets, files and
// the trainers. A view with shared ownership; copying a Blob copies no tensor
// bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "protocol/messages.h"

namespace mdgan {

struct Blob {
  protocol::TensorMeta meta;
  std::span<const std::byte> bytes;   // little-endian, row-major, contiguous
  std::shared_ptr<const void> owner;  // keeps `bytes` alive: a tensor, a frame
  bool empty() const { return bytes.empty(); }
};

struct NamedBlob {
  std::string name;
  Blob blob;
};

// A Blob whose bytes are yet to be written, through `bytes` and before anybody
// else gets it.
struct NewBlob {
  Blob blob;
  std::span<std::byte> bytes;  // aligned to 64 bytes
};
NewBlob make_blob(protocol::TensorMeta meta);

// A Blob that owns a copy of `bytes`, aligned to 64 bytes.
// REQUIRES: bytes.size() == product of meta.dims * bytes_of(meta.dtype).
Blob copy_blob(protocol::TensorMeta meta, std::span<const std::byte> bytes);

// Whether every float32 in the blob is finite. REQUIRES: dtype float32.
bool is_finite(const Blob& blob);

// Whether every value in the blob is a number in [-limit, limit].
// REQUIRES: dtype float32 or bfloat16; limit finite and not negative.
bool is_within(const Blob& blob, float limit);

}  // namespace mdgan
