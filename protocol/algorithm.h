// The algorithms of PROTOCOL.md, section 12: their names, and what each asks of
// the server, the peers and their messages. A new one takes a value of the enum
// (training_spec.h), a row here, and on each side a file and a row
// (server/train/algorithms.h, peer/train/algorithms.h).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/training_spec.h"

namespace mdgan {

struct TensorCodecs;
namespace protocol {
struct TensorMeta;
}

// What the tensors of a round's messages are.
enum class RoundContent {
  kImages,   // out: k batches of generated images; back: feedback on one
  kReplica,  // out: one replica, G's and D's parameters; back: one as long
};

struct AlgorithmTraits {
  Algorithm algorithm;
  std::string_view name;  // on the wire and in configuration files
  RoundContent content;
  // The ability that a peer's hello must list; empty: every peer has it.
  std::string_view ability;
  // Whether peers swap discriminators, every swap-epochs.
  bool swaps;
  // Whether a peer keeps state between rounds that the server does not send: a
  // late joiner then needs a copy of another peer's.
  bool peer_keeps_state;
  // Whether a message stands for the rounds of swap-epochs epochs of the
  // smallest shard; else for one round.
  bool averages_by_epochs;
  // The most local steps a round; more are refused.
  std::uint32_t max_local_steps;
};

inline constexpr std::uint32_t kAnyLocalSteps =
    std::numeric_limits<std::uint32_t>::max();

// In the order of the enum.
inline constexpr auto kAlgorithms = std::to_array<AlgorithmTraits>({
    {.algorithm = Algorithm::kMdGan,
     .name = "md-gan",
     .content = RoundContent::kImages,
     .ability = "",
     .swaps = true,
     .peer_keeps_state = true,
     .averages_by_epochs = false,
     .max_local_steps = kAnyLocalSteps},
    {.algorithm = Algorithm::kFlGan,
     .name = "fl-gan",
     .content = RoundContent::kReplica,
     .ability = "fl-gan",
     .swaps = false,
     .peer_keeps_state = true,  // Adam's moments
     .averages_by_epochs = true,
     .max_local_steps = kAnyLocalSteps},
    {.algorithm = Algorithm::kDataParallel,
     .name = "data-parallel",
     .content = RoundContent::kReplica,
     .ability = "data-parallel",
     .swaps = false,
     .peer_keeps_state = false,
     .averages_by_epochs = false,
     .max_local_steps = 1},
});

constexpr const AlgorithmTraits& traits_of(Algorithm algorithm) {
  return kAlgorithms[static_cast<std::size_t>(algorithm)];
}
static_assert(std::ranges::all_of(kAlgorithms,
                                  [](const AlgorithmTraits& row) {
                                    return &traits_of(row.algorithm) == &row;
                                  }),
              "the rows are in the order of the enum");

inline constexpr auto kAlgorithmNames = [] {
  std::array<std::pair<Algorithm, std::string_view>, kAlgorithms.size()> names;
  std::ranges::transform(kAlgorithms, names.begin(), [](const auto& row) {
    return std::pair(row.algorithm, row.name);
  });
  return names;
}();

// The tensors that a batch message must have in a run of this spec. Images:
// [b, c, h, w] float32 or, with the codec, uint8, and labels [b] int32 where
// the model is conditional. Replica: [parameters] float32, `parameters` being
// the welcome's.
std::vector<protocol::TensorMeta> batch_metas(const TrainingSpec& spec,
                                              const TensorCodecs& codecs,
                                              std::uint64_t parameters);

// The tensors that an answer must have. Images: the feedback, [b, c, h, w] in
// the codec's type; one float32 for each image; with int8 also its scale.
// Replica: as batch_metas().
std::vector<protocol::TensorMeta> answer_metas(const TrainingSpec& spec,
                                               const TensorCodecs& codecs,
                                               std::uint64_t parameters);

// The tensors that a transfer must have: the parameters and, where they travel
// with them, Adam's moments.
std::vector<protocol::TensorMeta> transfer_metas(const TrainingSpec& spec,
                                                 const TensorCodecs& codecs,
                                                 std::uint64_t parameters);

}  // namespace mdgan
