// A simulated run whose every parameter follows from a seed.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

namespace mdgan::test {

struct SimulatedRun {
  std::string failure;  // empty, or which invariant broke
  std::uint64_t events = 0;
  std::uint64_t rounds = 0;  // steps of the generator, repeated ones too
};

// Draws the number of peers and processes, the algorithm, the timeouts and the
// faults, and runs it to its end.
// With `trace` every message is written there.
SimulatedRun simulate(std::uint64_t seed, std::ostream* trace = nullptr);

}  // namespace mdgan::test
