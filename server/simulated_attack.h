// What hostile peers of a simulation answer in place of their feedback: for
// experiments with the rules that are to bear them. Only local peers can be
// told to be hostile (server/commands/hostile_peers.h); mdgan-peer cannot.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/ids.h"
#include "common/options/options_parser.h"
#include "common/tensor/blob.h"

namespace mdgan {

enum class Attack {
  kSignFlip,  // -F
  kReverse,   // -10 F
  kScale,     // 50 F
  kConstant,  // one number throughout, as long as F
  kNan,
  kNoise,    // a free rider's: normal noise, a hundredth of F's length
  kZero,     // likewise
  kCollude,  // ten times as long as F, towards one picture that all share
};
inline constexpr std::array<std::pair<Attack, std::string_view>, 8>
    kAttackNames{{
        {Attack::kSignFlip, "sign-flip"},
        {Attack::kReverse, "reverse"},
        {Attack::kScale, "scale"},
        {Attack::kConstant, "constant"},
        {Attack::kNan, "nan"},
        {Attack::kNoise, "noise"},
        {Attack::kZero, "zero"},
        {Attack::kCollude, "collude"},
    }};

struct SimulatedAttack {
  std::uint32_t peers = 0;  // so many of the local peers, the last; 0: none
  Attack attack = Attack::kSignFlip;
};

// The option's notation: "sign-flip:3"; empty: none.
CustomValue attack_value(SimulatedAttack* value);

// What a hostile peer answers in place of `feedback`, [b, ...] float32. It
// depends on the arguments alone, so a resumed run is the same.
Blob attacked(Attack attack, const Blob& feedback, std::uint64_t seed,
              PeerId peer, Round round);

}  // namespace mdgan
