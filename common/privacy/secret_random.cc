#include "common/privacy/secret_random.h"

#include <sodium.h>

#include <cmath>
#include <cstring>
#include <numbers>

#include "common/base/result.h"
#include "common/files/hash.h"

namespace mdgan {

static_assert(std::tuple_size_v<SecretRandom::Key> ==
              crypto_stream_chacha20_KEYBYTES);

SecretRandom::SecretRandom() { fill_random(key_); }

void SecretRandom::refill() {
  std::array<unsigned char, crypto_stream_chacha20_NONCEBYTES> nonce{};
  static_assert(sizeof nonce == sizeof block_);
  std::memcpy(nonce.data(), &block_, sizeof block_);
  ++block_;
  MDGAN_CHECK(crypto_stream_chacha20(
                  reinterpret_cast<unsigned char*>(numbers_.data()),
                  sizeof numbers_, nonce.data(),
                  reinterpret_cast<const unsigned char*>(key_.data())) == 0);
  used_ = 0;
}

std::uint64_t SecretRandom::next64() {
  if (used_ == numbers_.size()) refill();
  return numbers_[used_++];
}

void SecretRandom::fill_normal(std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); i += 2) {
    // (0, 1], so that the logarithm is finite.
    const double u = (static_cast<double>(next64() >> 11) + 1.0) * 0x1.0p-53;
    const double v = static_cast<double>(next64() >> 11) * 0x1.0p-53;
    const double radius = std::sqrt(-2.0 * std::log(u));
    const double angle = 2.0 * std::numbers::pi * v;
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < out.size())
      out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

std::vector<std::uint32_t> SecretRandom::sample(std::uint32_t n, double rate) {
  MDGAN_CHECK(rate >= 0 && rate <= 1);
  std::vector<std::uint32_t> in;
  for (std::uint32_t i = 0; i < n; ++i)
    if (static_cast<double>(next64() >> 11) * 0x1.0p-53 < rate) in.push_back(i);
  return in;
}

}  // namespace mdgan
