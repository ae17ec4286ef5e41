#include "server/simulated_attack.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "common/base/random.h"
#include "common/base/result.h"
#include "common/merge/norms.h"
#include "common/tensor/floats.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

constexpr float kReversed = -10;
constexpr float kScaled = 50;
constexpr double kNoiseLength = 0.01;
constexpr double kColluding = 10;

// Makes `values` as long as this.
void stretch(std::span<float> values, double length) {
  const double now = euclidean_norm(std::span<const float>(values));
  const double factor = now > 0 ? length / now : 0;
  for (float& v : values)
    v = static_cast<float>(factor * static_cast<double>(v));
}

}  // namespace

CustomValue attack_value(SimulatedAttack* value) {
  std::string names;
  for (const auto& [attack, name] : kAttackNames)
    names += (names.empty() ? "" : ", ") + std::string(name);
  return {
      "like sign-flip:3, an attack and a number of peers; there are " + names,
      [=] {
        if (value->peers == 0) return std::string();
        return std::string(name_of(kAttackNames, value->attack)) + ":" +
               std::to_string(value->peers);
      },
      [=](std::string_view text) {
        if (text.empty()) return *value = {}, true;
        const std::size_t colon = text.find(':');
        if (colon == text.npos) return false;
        const auto attack = value_of(kAttackNames, text.substr(0, colon));
        std::uint32_t peers = 0;
        const char* const end = text.data() + text.size();
        const auto read = std::from_chars(text.data() + colon + 1, end, peers);
        if (!attack || read.ec != std::errc() || read.ptr != end || peers < 1 ||
            peers > protocol::kMaxPeers)
          return false;
        *value = {peers, *attack};
        return true;
      }};
}

Blob attacked(Attack attack, const Blob& feedback, std::uint64_t seed,
              PeerId peer, Round round) {
  MDGAN_CHECK(!feedback.meta.dims.empty() && feedback.meta.dims[0] > 0);
  const std::span<const float> honest = floats_of(feedback);
  const double length = euclidean_norm(feedback);
  std::vector<float> values(honest.begin(), honest.end());
  const auto scale = [&](float factor) {
    for (float& v : values) v *= factor;
  };
  switch (attack) {
    case Attack::kSignFlip:
      scale(-1);
      break;
    case Attack::kReverse:
      scale(kReversed);
      break;
    case Attack::kScale:
      scale(kScaled);
      break;
    case Attack::kConstant:
      std::ranges::fill(values, 1.0F);
      stretch(values, length);
      break;
    case Attack::kNan:
      std::ranges::fill(values, std::numeric_limits<float>::quiet_NaN());
      break;
    case Attack::kNoise:
      // One more than the peer's: the picture that colluders share is the 0th.
      Random(seed, Purpose::kSimulation, peer.value + 1, round.value)
          .fill_normal(values);
      stretch(values, kNoiseLength * length);
      break;
    case Attack::kZero:
      scale(0);
      break;
    case Attack::kCollude: {
      std::vector<float> picture(values.size() / feedback.meta.dims[0]);
      Random(seed, Purpose::kSimulation).fill_normal(picture);
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = picture[i % picture.size()];
      stretch(values, kColluding * length);
      break;
    }
  }
  return copy_blob(feedback.meta, std::as_bytes(std::span(values)));
}

}  // namespace mdgan
