// Random numbers that nobody else knows, for noise and sampling that are to
// hide something: a ChaCha20 stream under a key from the kernel. Unlike those
// of common/base/random.h they cannot be drawn again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mdgan {

class SecretRandom {
 public:
  using Key = std::array<std::byte, 32>;

  SecretRandom();                                       // under a new key
  explicit SecretRandom(const Key& key) : key_(key) {}  // for tests

  std::uint64_t next64();
  // N(0, 1), Box-Muller on 53 bits.
  void fill_normal(std::span<float> out);
  // Poisson sampling: those of 0, ..., n-1 that are in, each by itself with
  // probability `rate`, ascending.
  std::vector<std::uint32_t> sample(std::uint32_t n, double rate);

 private:
  void refill();

  Key key_{};
  std::uint64_t block_ = 0;
  std::array<std::uint64_t, 2048> numbers_{};
  std::size_t used_ = 2048;
};

}  // namespace mdgan
