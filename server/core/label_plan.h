// Which labels the batches of a round have where each peer is to judge what its
// own shard holds, and which peers hold the like.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/ids.h"
#include "protocol/training_spec.h"
#include "server/core/open_round.h"

namespace mdgan {

struct PeerLabels {
  PeerId peer;
  ClassCounts counts;  // of its shard; not all 0
};

// Half the sum of the differences between two mixtures of classes (the total
// variation distance), in [0, 1]. REQUIRES: equally many classes.
double label_distance(const ClassCounts& a, const ClassCounts& b);

// The counts that a peer tells, or its 0 and 1, in the proportions in which it
// tells them but of `images` together: as many as it counts for, however many
// it claims. No sum of all peers' overflows. REQUIRES: their sum fits, and is
// not 0.
ClassCounts counts_of_images(const ClassCounts& told, std::uint64_t images);

// The class counts that the labels of each of the k batches are drawn from: the
// sums over groups of like peers. The groups grow around peers that are as
// unlike each other as can be (farthest-first traversal: Gonzalez 1985); k
// peers or fewer have a group each. Groups beyond the number of peers repeat
// the others. REQUIRES: k >= 1; at least one peer; equally many classes.
LabelPlan plan_labels(std::span<const PeerLabels> peers, std::uint32_t k);

// To each peer the batch of its group, for X^g and X^d alike; to one that was
// not there when the round was planned that whose labels are most like its
// shard's.
std::vector<Assignment> assign_by_labels(std::span<const PeerLabels> peers,
                                         const LabelPlan& plan);

// Peers whose discriminators may go to each other: those of a group are no
// farther than kLikeLabels from its first. In the order of `peers`.
inline constexpr double kLikeLabels = 0.2;
std::vector<std::vector<PeerId>> like_peers(std::span<const PeerLabels> peers);

}  // namespace mdgan
