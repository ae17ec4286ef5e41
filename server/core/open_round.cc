#include "server/core/open_round.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "common/base/random.h"
#include "common/base/result.h"
#include "common/base/transition.h"
#include "server/core/feedback_bound.h"

namespace mdgan {
namespace {

using enum OpenRound::Phase;
// A round without a quorum is ready again: its peers are asked anew.
constexpr std::pair<OpenRound::Phase, OpenRound::Phase> kPhaseTransitions[]{
    {kPlanned, kGenerating},  {kGenerating, kReady}, {kReady, kCollecting},
    {kCollecting, kStepping}, {kCollecting, kReady},
};
constexpr std::pair<OpenRound::Phase, std::string_view> kPhaseNames[]{
    {kPlanned, "planned"},       {kGenerating, "generating"}, {kReady, "ready"},
    {kCollecting, "collecting"}, {kStepping, "stepping"},
};

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

std::vector<PeerId> draw_participants(std::vector<PeerId> peers,
                                      std::uint32_t count, std::uint64_t seed,
                                      Round round) {
  if (peers.size() <= count) return peers;
  Random random(seed, Purpose::kParticipants, 0, round.value);
  std::vector<std::uint32_t> order =
      permutation(static_cast<std::uint32_t>(peers.size()), random);
  order.resize(count);
  std::ranges::sort(order);
  std::vector<PeerId> drawn;
  drawn.reserve(order.size());
  for (const std::uint32_t i : order) drawn.push_back(peers[i]);
  return drawn;
}

void OpenRound::enter(Phase next, const char* why) {
  transition<Phase>(phase, next, why, kPhaseTransitions, kPhaseNames);
}

void OpenRound::ask(std::span<const Assignment> assignments,
                    const RoundDeadline& until, std::size_t counting) {
  enter(Phase::kCollecting, "peers are asked");
  counted = counting;
  deadline = until;
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

bool OpenRound::has_answer_of(PeerId peer) const {
  const auto it = asked.find(peer);
  return it != asked.end() && it->second.answer;
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
  const double needed = std::ceil(quorum * static_cast<double>(counted));
  return static_cast<double>(contributions) >= std::max(1.0, needed);
}

ClosedRound close(const OpenRound& round) {
  ClosedRound closed;
  closed.step = {round.round, round.steps, {}};
  closed.report = {round.round, round.steps,
                   static_cast<std::uint32_t>(round.asked_count),
                   static_cast<std::uint32_t>(round.counted)};
  for (const auto& [peer, asked] : round.asked) {  // the order of the sum
    if (!asked.answer) {
      closed.missing.push_back(peer);
    } else if (!asked.answer->valid) {
      closed.invalid.push_back(peer);
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
