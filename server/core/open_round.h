// What belongs to one round of the coordinator: its batches, the peers that
// were asked, and their answers. Several rounds can exist at a time: the next
// one's batches are generated while the last one's answers are merged.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "common/base/ids.h"
#include "server/core/events.h"
#include "server/core/round_deadline.h"

namespace mdgan {

// Which of the round's batches a peer gets.
struct Assignment {
  PeerId peer;
  std::uint32_t generated = 0;      // X^g, on which its answer is
  std::uint32_t discriminated = 0;  // X^d, on which it trains
  friend bool operator==(const Assignment&, const Assignment&) = default;
};

// Step 2 of Algorithm 1 of Hardy et al. 2019: X^g_n = X^(n mod k) and
// X^d_n = X^((n+1) mod k), n being the peer's place in `peers`.
// REQUIRES: k >= 1.
std::vector<Assignment> assign_batches(std::span<const PeerId> peers,
                                       std::uint32_t k);

// Which `count` of the peers are asked in a round, drawn from (seed, round);
// all where there are no more. In the order of `peers`.
std::vector<PeerId> draw_participants(std::vector<PeerId> peers,
                                      std::uint32_t count, std::uint64_t seed,
                                      Round round);

// Which labels each batch has, and for which peers (label_plan.h).
struct LabelPlan {
  std::vector<ClassCounts> counts;  // as BatchPlan's
  std::map<PeerId, std::uint32_t> batch_of;
};

struct Answer {
  bool valid = false;  // else it does not contribute
  double discriminator_loss = 0;
  double generator_loss = 0;
  double length = 0;  // of the feedback; see feedback_bound.h
};

struct OpenRound {
  enum class Phase {
    kPlanned,     // nothing has been asked of anybody
    kGenerating,  // GenerateBatches is out, BatchesReady not in
    kReady,       // has its batches
    kCollecting,  // peers are asked
    kStepping,    // StepGenerator is out
  };
  struct Asked {
    std::uint32_t generated = 0;
    std::optional<Answer> answer;
  };

  // The only place that changes `phase`; aborts on a transition that is not
  // legal. `why`: what makes it happen.
  void enter(Phase next, const char* why);
  // Asks these peers, also anew: earlier answers are forgotten. A quorum is of
  // the `counting` of them. REQUIRES: phase is kReady.
  void ask(std::span<const Assignment> assignments, const RoundDeadline& until,
           std::size_t counting);
  // Whether this answer is awaited.
  bool expects(PeerId peer, std::uint32_t generated_batch) const;
  // Whether any answer of this peer is awaited.
  bool awaits(PeerId peer) const;
  // Whether there is an answer of this peer, of use or not.
  bool has_answer_of(PeerId peer) const;
  // REQUIRES: expects() it.
  void take(PeerId peer, const Answer& answer);
  // Makes invalid what too_long() says, and returns whose answers these are.
  std::vector<PeerId> refuse_too_long();
  // The peer will not answer. What it has contributed counts; what it still
  // owed does not. Returns whether it owed.
  bool lose(PeerId peer);
  bool quorum_reached(double quorum) const;  // of those counted

  Round round;
  std::uint32_t steps = 1;  // rounds that it stands for
  LabelPlan labels;         // empty: uniform
  Phase phase = Phase::kPlanned;
  std::map<PeerId, Asked> asked;  // but those lost without an answer
  std::size_t asked_count = 0;    // those too
  std::size_t counted = 0;        // of them, for the quorum
  std::size_t unanswered = 0;     // entries of `asked` without an answer
  std::size_t contributions = 0;  // valid answers in `asked`
  RoundDeadline deadline;
};

// What the close of a round makes of its answers: the step, in the order of
// PeerId, without the peers' shard sizes; the means of the losses; and the
// answers that do not count.
struct ClosedRound {
  StepGenerator step;
  ReportRound report;
  std::vector<PeerId> invalid;  // whose answers do not count
  std::vector<PeerId> missing;  // asked, present, and without an answer
};
ClosedRound close(const OpenRound& round);

}  // namespace mdgan
