// Batches whose labels are those of the peers' shards (label_plan.h).

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "server/core/coordinator.h"
#include "server/core/label_plan.h"

namespace mdgan {

std::vector<PeerLabels> Coordinator::labels_of(
    std::span<const PeerId> peers) const {
  std::vector<PeerLabels> labels;
  for (const PeerId peer : peers)
    labels.push_back({peer, counts_of_images(members_.at(peer).class_counts,
                                             members_.at(peer).shard_size)});
  return labels;
}

// Says which classes nobody can judge, and which somebody can again.
void Coordinator::note_classes(Out& out) {
  std::set<std::size_t> missing;
  for (std::size_t y = 0; y < config_.image->classes; ++y)
    if (std::ranges::none_of(live_, [&](PeerId peer) {
          return members_.at(peer).class_counts[y] > 0;
        }))
      missing.insert(y);
  for (const std::size_t y : missing)
    if (!missing_classes_.contains(y))
      out.emplace_back(Note{
          "no live peer has images of class " + config_.classes[y] +
              ": the generator learns nothing of it until one comes (back)",
          true});
  for (const std::size_t y : missing_classes_)
    if (!missing.contains(y))
      out.emplace_back(Note{"a peer with images of class " +
                            config_.classes[y] + " is there again"});
  missing_classes_ = std::move(missing);
}

LabelPlan Coordinator::plan_labels_of(Round round, Out& out) {
  if (config_.labels == BatchLabels::kUniform || live_.empty()) return {};
  note_classes(out);
  // The peers that are asked are known when the batches are there; here they
  // are a guess that is right while all peers answer in time.
  return plan_labels(labels_of(participants_of(live_, round)), config_.k);
}

std::vector<PeerId> Coordinator::participants_of(std::vector<PeerId> peers,
                                                 Round round) const {
  if (config_.participants == 0) return peers;
  const auto draw = [&](const std::vector<PeerId>& from) {
    return draw_participants(from, config_.participants, config_.seed, round);
  };
  // Those for whom no quorum waits take no place of others.
  const auto newcomer = std::stable_partition(
      peers.begin(), peers.end(), [this](PeerId peer) { return counts(peer); });
  // Until somebody has answered all of them are asked: drawn one at a time, a
  // crowd that never answers would keep the round from the one that does.
  if (newcomer == peers.begin() && !anybody_contributed()) return peers;
  std::vector<PeerId> drawn = draw({peers.begin(), newcomer});
  const std::vector<PeerId> more = draw({newcomer, peers.end()});
  drawn.insert(drawn.end(), more.begin(), more.end());
  std::ranges::sort(drawn);
  return drawn;
}

double Coordinator::unlikeness(PeerId a, PeerId b) const {
  if (config_.labels == BatchLabels::kUniform) return 0;
  const PeerId both[] = {a, b};
  const auto labels = labels_of(both);
  const double distance = label_distance(labels[0].counts, labels[1].counts);
  return distance > kLikeLabels ? distance : 0;
}

std::vector<std::vector<PeerId>> Coordinator::swap_groups() const {
  std::vector<PeerId> peers = available();
  // Who has only just come may be gone as soon, and no checkpoint has it.
  std::erase_if(peers, [this](PeerId peer) { return !counts(peer); });
  if (config_.labels == BatchLabels::kUniform) return {std::move(peers)};
  return like_peers(labels_of(peers));
}

}  // namespace mdgan
