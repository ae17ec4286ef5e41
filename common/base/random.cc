#include "common/base/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "common/base/result.h"

namespace mdgan {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53U;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57U;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9U;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85U;

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c,
                                    std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kMultiplier0} * c[0];
    const std::uint64_t p1 = std::uint64_t{kMultiplier1} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0],
         static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1],
         static_cast<std::uint32_t>(p0)};
    k[0] += kWeyl0;
    k[1] += kWeyl1;
  }
  return c;
}

// One round of SplitMix64: spreads (seed, purpose, round) over the key.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed, Purpose purpose, std::uint32_t owner,
               std::uint64_t round) {
  const std::uint64_t key = mix(
      mix(seed ^ (std::uint64_t{static_cast<std::uint32_t>(purpose)} << 48)) ^
      round);
  key_ = {static_cast<std::uint32_t>(key),
          static_cast<std::uint32_t>(key >> 32)};
  // The two low words count blocks; owner and purpose separate streams whose
  // mixed keys might ever collide.
  counter_ = {0, 0, owner, static_cast<std::uint32_t>(purpose)};
}

void Random::refill() {
  block_ = philox(counter_, key_);
  used_ = 0;
  if (++counter_[0] == 0) ++counter_[1];
}

std::uint32_t Random::next() {
  if (used_ == 4) refill();
  return block_[used_++];
}

std::uint64_t Random::next64() {
  const std::uint64_t high = next();
  return (high << 32) | next();
}

std::uint64_t Random::below(std::uint64_t n) {
  MDGAN_CHECK(n > 0);
  const std::uint64_t limit = -n % n;  // 2^64 mod n: reject the uneven rest
  while (true) {
    const std::uint64_t x = next64();
    if (x >= limit) return x % n;
  }
}

double Random::uniform() {
  return static_cast<double>(next64() >> 11) * 0x1.0p-53;
}

void Random::fill_normal(std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); i += 2) {
    // (0, 1], so that the logarithm is finite.
    const double u = (static_cast<double>(next()) + 1.0) * 0x1.0p-32;
    const double v = static_cast<double>(next()) * 0x1.0p-32;
    const double radius = std::sqrt(-2.0 * std::log(u));
    const double angle = 2.0 * std::numbers::pi * v;
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < out.size())
      out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

void Random::fill_uniform(std::span<float> out, float low, float high) {
  for (float& x : out)
    x = low + (high - low) * (static_cast<float>(next() >> 8) * 0x1.0p-24F);
}

std::vector<std::uint32_t> permutation(std::uint32_t n, Random& random) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  for (std::uint32_t i = n; i > 1; --i)
    std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace mdgan
