#include "server/core/label_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/base/result.h"

namespace mdgan {
namespace {

// A peer counts as so many images at most.
constexpr std::uint64_t kMostImages = std::uint64_t{1} << 40;

double total_of(const ClassCounts& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0);
}

// The place in `to` of the nearest counts; among equals, of the one with the
// least load.
std::uint32_t nearest(const ClassCounts& counts,
                      std::span<const ClassCounts> to,
                      std::span<const std::size_t> load) {
  std::size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < to.size(); ++i) {
    const double distance = label_distance(counts, to[i]);
    if (distance > least || (distance == least && load[i] >= load[best]))
      continue;
    least = distance;
    best = i;
  }
  return static_cast<std::uint32_t>(best);
}

// Puts more than k peers into k groups.
void group_peers(std::span<const PeerLabels> peers, std::uint32_t k,
                 LabelPlan& plan) {
  // The peers around which the groups grow, and how far each peer is from them.
  std::vector<ClassCounts> centres{peers[0].counts};
  std::vector<bool> is_centre(peers.size());
  is_centre[0] = true;
  std::vector<double> distance(peers.size());
  std::ranges::transform(peers, distance.begin(), [&](const PeerLabels& p) {
    return label_distance(p.counts, centres[0]);
  });
  while (centres.size() < k) {
    std::size_t farthest = peers.size();
    for (std::size_t n = 0; n < peers.size(); ++n)
      if (!is_centre[n] &&
          (farthest == peers.size() || distance[n] > distance[farthest]))
        farthest = n;
    is_centre[farthest] = true;
    centres.push_back(peers[farthest].counts);
    for (std::size_t n = 0; n < peers.size(); ++n)
      distance[n] = std::min(distance[n],
                             label_distance(peers[n].counts, centres.back()));
  }
  plan.counts.assign(k, ClassCounts(peers[0].counts.size()));
  // No group stays empty: of equal centres there are as many peers, and they
  // are spread.
  std::vector<std::size_t> load(k);
  for (const PeerLabels& peer : peers) {
    const std::uint32_t group = nearest(peer.counts, centres, load);
    plan.batch_of[peer.peer] = group;
    ++load[group];
    for (std::size_t y = 0; y < peer.counts.size(); ++y)
      plan.counts[group][y] += peer.counts[y];
  }
}

}  // namespace

double label_distance(const ClassCounts& a, const ClassCounts& b) {
  const double of_a = total_of(a);
  const double of_b = total_of(b);
  double sum = 0;
  for (std::size_t y = 0; y < a.size(); ++y)
    sum += std::abs(static_cast<double>(a[y]) / of_a -
                    static_cast<double>(b[y]) / of_b);
  return sum / 2;
}

ClassCounts counts_of_images(const ClassCounts& told, std::uint64_t images) {
  const std::uint64_t total =
      std::accumulate(told.begin(), told.end(), std::uint64_t{0});
  images = std::min(images, kMostImages);
  if (total == images) return told;
  const double ratio = static_cast<double>(images) / static_cast<double>(total);
  ClassCounts counts(told.size());
  for (std::size_t y = 0; y < told.size(); ++y)
    if (told[y] > 0)
      counts[y] = std::max<std::uint64_t>(
          1, static_cast<std::uint64_t>(static_cast<double>(told[y]) * ratio));
  return counts;
}

LabelPlan plan_labels(std::span<const PeerLabels> peers, std::uint32_t k) {
  MDGAN_CHECK(k >= 1 && !peers.empty());
  LabelPlan plan;
  if (peers.size() <= k)
    for (const PeerLabels& peer : peers) {
      plan.batch_of[peer.peer] = static_cast<std::uint32_t>(plan.counts.size());
      plan.counts.push_back(peer.counts);
    }
  else
    group_peers(peers, k, plan);
  for (std::size_t j = 0; plan.counts.size() < k; ++j)
    plan.counts.push_back(ClassCounts(plan.counts[j]));
  return plan;
}

std::vector<Assignment> assign_by_labels(std::span<const PeerLabels> peers,
                                         const LabelPlan& plan) {
  std::vector<Assignment> assignments;
  const std::vector<std::size_t> no_load(plan.counts.size());
  for (const PeerLabels& peer : peers) {
    const auto group = plan.batch_of.find(peer.peer);
    const std::uint32_t batch =
        group != plan.batch_of.end()
            ? group->second
            : nearest(peer.counts, plan.counts, no_load);
    assignments.push_back({peer.peer, batch, batch});
  }
  return assignments;
}

std::vector<std::vector<PeerId>> like_peers(std::span<const PeerLabels> peers) {
  std::vector<std::vector<PeerId>> groups;
  std::vector<const ClassCounts*> firsts;
  for (const PeerLabels& peer : peers) {
    const auto like = std::ranges::find_if(firsts, [&](const ClassCounts* f) {
      return label_distance(*f, peer.counts) <= kLikeLabels;
    });
    if (like == firsts.end()) {
      firsts.push_back(&peer.counts);
      groups.push_back({peer.peer});
    } else {
      groups[static_cast<std::size_t>(like - firsts.begin())].push_back(
          peer.peer);
    }
  }
  return groups;
}

}  // namespace mdgan
