#include "server/core/open_round.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/result.h"
#include "server/core/feedback_bound.h"

namespace mdgan {
namespace {

// What a straggler gets: a multiple of the time that the quorum took, but not
// less than what a busy machine may keep a healthy peer from answering.
constexpr int kStragglerMultiple = 5;
constexpr Duration kStragglerTime = std::chrono::seconds(3);

}  // namespace

std::vector<Assignment> assign_batches(std::span<const PeerId> peers,
                                       std::uint32_t k) {
  MDGAN_CHECK(k >= 1);
  std::vector<Assignment> assignments;
  assignments.reserve(peers.size());
  for (std::size_t n = 0; n < peers.size(); ++n)
    assignments.push_back({peers[n], static_cast<std::uint32_t>(n % k),
                           static_cast<std::uint32_t>((n + 1) % k)});
  return assignments;
}

void OpenRound::ask(std::span<const Assignment> assignments, TimePoint now,
                    TimePoint until) {
  phase = Phase::kCollecting;
  asked_at = now;
  deadline = until;
  quorum_missed = false;
  hurried = false;
  asked.clear();
  for (const Assignment& a : assignments)
    asked.emplace(a.peer, Asked{a.generated, {}});
  asked_count = unanswered = asked.size();
  contributions = 0;
}

bool OpenRound::awaits(PeerId peer) const {
  if (phase != Phase::kCollecting) return false;
  const auto it = asked.find(peer);
  return it != asked.end() && !it->second.answer;
}

bool OpenRound::expects(PeerId peer, std::uint32_t generated_batch) const {
  return awaits(peer) && asked.at(peer).generated == generated_batch;
}

void OpenRound::take(PeerId peer, const Answer& answer) {
  asked.at(peer).answer = answer;
  --unanswered;
  contributions += answer.valid ? 1 : 0;
}

std::vector<PeerId> OpenRound::refuse_too_long() {
  std::vector<PeerId> peers;
  std::vector<double> lengths;
  for (const auto& [peer, entry] : asked) {
    if (!entry.answer || !entry.answer->valid) continue;
    peers.push_back(peer);
    lengths.push_back(entry.answer->length);
  }
  std::vector<PeerId> refused;
  for (const std::size_t i : too_long(lengths)) refused.push_back(peers[i]);
  for (const PeerId peer : refused) asked.at(peer).answer->valid = false;
  contributions -= refused.size();
  return refused;
}

bool OpenRound::lose(PeerId peer) {
  const auto it = asked.find(peer);
  if (phase != Phase::kCollecting || it == asked.end() || it->second.answer)
    return false;
  asked.erase(it);
  --unanswered;
  return true;
}

bool OpenRound::quorum_reached(double quorum) const {
  const double needed = std::ceil(quorum * static_cast<double>(asked_count));
  return static_cast<double>(contributions) >= std::max(1.0, needed);
}

void OpenRound::hurry(TimePoint now) {
  if (std::exchange(hurried, true)) return;
  const Duration time =
      std::max<Duration>(kStragglerMultiple * (now - asked_at), kStragglerTime);
  deadline = std::min(deadline, asked_at + time);
}

ClosedRound close(const OpenRound& round) {
  ClosedRound closed;
  closed.step = {round.round, round.steps, {}};
  closed.report = {round.round, round.steps,
                   static_cast<std::uint32_t>(round.asked_count)};
  for (const auto& [peer, asked] : round.asked) {  // the order of the sum
    if (!asked.answer) {
      closed.missing.push_back(peer);
    } else if (!asked.answer->valid) {
      closed.any_invalid = true;
    } else {
      closed.step.contributors.push_back({peer, asked.generated});
      closed.report.discriminator_loss += asked.answer->discriminator_loss;
      closed.report.generator_loss += asked.answer->generator_loss;
    }
  }
  const auto contributed =
      static_cast<std::uint32_t>(closed.step.contributors.size());
  closed.report.contributed = contributed;
  if (contributed > 0) {
    closed.report.discriminator_loss /= contributed;
    closed.report.generator_loss /= contributed;
  }
  return closed;
}

}  // namespace mdgan
