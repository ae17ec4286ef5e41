// Which settings fit a network: what `mdgan-server advise` prints.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/tensor_codecs.h"
#include "server/command_options.h"

namespace mdgan {

// One way of running on a given network, and what bounds it.
struct Expectation {
  enum class Bound { kComputing, kRate, kRoundTrip };

  std::uint32_t staleness = 0;
  TensorCodecs codecs;
  double rounds_per_second = 0;
  Bound bound = Bound::kComputing;
};

// The bytes of the tensors that one peer gets and sends in a round.
struct RoundBytes {
  std::uint64_t to_peer = 0;
  std::uint64_t from_peer = 0;
};
// REQUIRES: options.image is given.
RoundBytes round_bytes(const ServerOptions& options,
                       const TensorCodecs& codecs);

// The most rounds a second that a network allows:
//   min(1 / computing, rate / bytes of the fuller direction,
//       (S + 1) / (round trip + computing + bytes / rate)).
// With S = 0 one round follows the other; with more, S + 1 of them share what a
// message needs.
Expectation expect(const AdviseOptions& options, std::uint32_t staleness,
                   const TensorCodecs& codecs);

// A table of settings with what they give, and which of them to take: the least
// stale one, in float32 if that will do, that reaches nine tenths of what
// computing alone allows; or the fastest.
std::string advice(const AdviseOptions& options);

}  // namespace mdgan
