// The messages by which peers measure the generator on images of their own, as
// plain values; see messages.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/tensor_meta.h"

namespace mdgan::protocol {

// server -> peer: measure the images that the generator made after the
// envelope's round, of which these are the features. Tensors: features [n,f]
// float32; radii [n] float32, each one's squared distance to its third
// neighbour among them.
struct Evaluate {
  std::array<std::byte, 32>
      classifier{};  // SHA-256 of the file that gives them
  std::vector<TensorMeta> tensors;
  friend bool operator==(const Evaluate&, const Evaluate&) = default;
};

// peer -> server: what that gave. Tensors: the sum of the held-out images'
// features [f] and of their outer products [f,f], float64; none where it could
// not be measured.
struct Evaluated {
  std::uint64_t images = 0;  // held out, that were measured
  double kernel_distance_mean = 0;
  double kernel_distance_std = 0;
  double recall = 0;
  std::string reason;  // why it could not be measured; empty: it could
  std::vector<TensorMeta> tensors;
  friend bool operator==(const Evaluated&, const Evaluated&) = default;
};

}  // namespace mdgan::protocol
