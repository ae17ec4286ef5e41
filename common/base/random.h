// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel
// random numbers: as easy as 1, 2, 3"). A stream is named by (seed, purpose,
// owner, round), so that a resumed run draws what an uninterrupted one would
// have drawn, on every machine and standard library.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace mdgan {

// What a stream is for. Numbers are part of reproducibility: never renumber.
enum class Purpose : std::uint32_t {
  kLatents = 1,  // owner: batch index
  kLabels = 2,   // owner: batch index
  kGeneratorInit = 3,
  kDiscriminatorInit = 4,  // owner: PeerId
  kRealSamples = 5,        // owner: PeerId
  kPenalty = 6,            // owner: PeerId; WGAN-GP's interpolation
  kSwapCycle = 7,
  kShardCut = 8,  // owner: 0 all of the data, 1 + c class c
  kSampleGrid = 9,
  kSimulation = 10,        // tests
  kFeedbackRounding = 11,  // owner: PeerId
  kHeldOut = 12,           // data for evaluation, where no part is for that
  kClassifierInit = 13,
  kClassifierBatches = 14,
  kEvaluation = 15,  // latents; owner: number of the batch
  kMetricSubsets = 16,
  kParticipants = 17,
  kAugmentation = 18,          // owner: PeerId; of D's step
  kFeedbackAugmentation = 19,  // owner: PeerId
  kFeedbackRealSamples = 20,   // owner: PeerId; those that G's loss pairs
};

class Random {
 public:
  Random(std::uint64_t seed, Purpose purpose, std::uint32_t owner = 0,
         std::uint64_t round = 0);

  std::uint32_t next();  // uniform on 32 bits
  std::uint64_t next64();
  // Uniform on [0, n) without bias. REQUIRES: n > 0.
  std::uint64_t below(std::uint64_t n);
  double uniform();                        // [0, 1)
  void fill_normal(std::span<float> out);  // N(0, 1), Box-Muller
  void fill_uniform(std::span<float> out, float low, float high);

 private:
  void refill();
  std::array<std::uint32_t, 2> key_{};
  std::array<std::uint32_t, 4> counter_{};
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

// 0..n-1 in random order (Fisher-Yates).
std::vector<std::uint32_t> permutation(std::uint32_t n, Random& random);

}  // namespace mdgan
