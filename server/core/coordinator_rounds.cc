// Rounds: batches are generated, peers asked, their answers collected, and the
// generator's step ordered.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/words.h"
#include "server/core/coordinator.h"

namespace mdgan {

OpenRound* Coordinator::collecting() {
  const auto it = rounds_.find(current());
  return it != rounds_.end() &&
                 it->second.phase == OpenRound::Phase::kCollecting
             ? &it->second
             : nullptr;
}

const OpenRound* Coordinator::collecting() const {
  return const_cast<Coordinator*>(this)->collecting();
}

std::vector<PeerId> Coordinator::available() const {
  std::vector<PeerId> ids;
  for (const PeerId id : live_)
    if (members_.at(id).owes.empty()) ids.push_back(id);
  return ids;
}

std::vector<PeerId> Coordinator::available_for(Round round) const {
  std::uint64_t oldest = current().value;
  if (const auto it = rounds_.find(current());
      it != rounds_.end() && it->second.phase == OpenRound::Phase::kStepping)
    ++oldest;  // its answers come too late
  std::vector<PeerId> ids;
  for (const PeerId id : live_) {
    const auto& owes = members_.at(id).owes;
    if (owes.empty() ||
        (owes.begin()->first.value >= oldest && !owes.contains(round)))
      ids.push_back(id);
  }
  return ids;
}

// Starts the next round, or waits for enough peers to do so.
void Coordinator::begin_round(TimePoint now, Out& out) {
  if (stopping_) {
    end_round(now, out);
    return;
  }
  serve_joiners(now, out);
  const std::uint32_t live = live_peers();
  const auto free = [this] { return available_for(current()).size(); };
  if (live < needed_peers() || (started_ && free() == 0)) {
    if (started_ && all_failed()) {
      give_up("no peer is left", now, out);
      return;
    }
    if (stage_ != RunStage::kWaiting) {
      enter(RunStage::kWaiting, "too few peers");
      wait_deadline_ = now + config_.quorum_timeout;
      out.emplace_back(Note{"paused: " + plural(live, "peer") +
                                (live == 1 ? " is live, " : " are live, ") +
                                std::to_string(free()) + " of them free, " +
                                std::to_string(needed_peers()) + " needed",
                            true});
    }
    return;
  }
  if (!started_) {
    started_ = true;
    rejoin_deadline_.reset();
    // Who came and went before is not of this run.
    for (const auto& [id, member] : members_)
      if (member.presence == Presence::kAbsent && !member.taken_part &&
          !position_.set_aside.contains(id))
        strangers_.push_back(id);
    if (traits_of(config_.algorithm).averages_by_epochs)
      // Shard sizes are what peers claim: no stride is longer than the run.
      stride_ = std::clamp<std::uint64_t>(
          swap_period(smallest_shard(), config_.swap_epochs, config_.batch), 1,
          std::max<std::uint64_t>(config_.rounds, 1));
    out.emplace_back(Note{"training starts with " + plural(live, "peer") +
                          ", k = " + std::to_string(config_.k)});
    warn_of_small_shard(out);
    // A server that is killed soon goes on with this run, not with another.
    // The peers' discriminators are still as the seed makes them.
    if (position_.completed.value == 0) {
      ++saving_;
      saving_since_ = now;
      out.emplace_back(SaveCheckpoint{});
    }
  }
  OpenRound& round = round_at(current());
  if (round.phase == OpenRound::Phase::kReady) {
    ask_peers(round, now, out);
    return;
  }
  enter(RunStage::kGenerating, "a round begins");
  generate_after(position_.completed, now, out);
}

OpenRound& Coordinator::round_at(Round round) {
  const auto [it, is_new] = rounds_.try_emplace(round);
  if (is_new) {
    const Round before =
        rounds_.begin() == it ? position_.completed : std::prev(it)->first;
    it->second.round = round;
    it->second.steps = static_cast<std::uint32_t>(round.value - before.value);
  }
  return it->second;
}

void Coordinator::generate(OpenRound& round, Out& out) {
  if (round.phase != OpenRound::Phase::kPlanned) return;
  round.enter(OpenRound::Phase::kGenerating, "batches are ordered");
  round.labels = plan_labels_of(round.round, out);
  out.emplace_back(
      GenerateBatches{round.round, {config_.k, round.labels.counts}});
}

// With a fixed staleness the batches of a round come from the weights after the
// same step, whenever that is made.
void Coordinator::generate_after(Round closed, TimePoint now, Out& out) {
  const Round next = following(closed);
  generate(round_at(next), out);
  if (config_.staleness == 0) return;
  const std::uint64_t last =
      std::min(next.value + config_.staleness, pause_after(closed, now).value);
  for (std::uint64_t round = next.value + 1; round <= last; ++round)
    generate(round_at({round}), out);
}

Round Coordinator::pause_after(Round closed, TimePoint now) const {
  if (save_again_ && *save_again_ <= now && saving_ == 0) return closed;
  std::uint64_t pause = config_.rounds;
  const auto every = [&](std::uint64_t since, std::uint64_t period) {
    if (period > 0)
      pause = std::min(pause,
                       since + ((closed.value - since) / period + 1) * period);
  };
  every(0, config_.checkpoint_every);
  if (live_peers() > 1)
    every(position_.last_swap.value,
          swap_period(smallest_shard(), config_.swap_epochs, config_.batch));
  return {pause};
}

// In order, while the answers to earlier rounds are awaited.
void Coordinator::ask_ahead(TimePoint now, Out& out) {
  if (config_.staleness == 0 || stopping_) return;
  if (stage_ != RunStage::kCollecting && stage_ != RunStage::kStepping) return;
  const std::uint64_t last =
      std::min(current().value + config_.staleness,
               pause_after(position_.completed, now).value);
  for (std::uint64_t number = current().value + 1; number <= last; ++number) {
    const auto it = rounds_.find({number});
    if (it == rounds_.end()) return;
    if (it->second.phase == OpenRound::Phase::kReady)
      ask_peers(it->second, now, out);
    if (it->second.phase != OpenRound::Phase::kCollecting) return;
  }
}

void Coordinator::await_answers(TimePoint now, Out& out) {
  OpenRound& round = *collecting();
  enter(RunStage::kCollecting, "peers were asked ahead");
  // It may have been behind another one for long, and its peers, too: its time
  // is that which it was given when they were asked, from now on.
  if (!stopping_) round.deadline.start_again(now);
  ask_ahead(now, out);
  close_round_if_complete(now, out);
}

// Who came when training was under way, and has not answered yet, may never: it
// is asked, but no quorum waits for it.
bool Coordinator::counts(PeerId peer) const {
  const Member& member = members_.at(peer);
  return member.taken_part || !member.is_late;
}

void Coordinator::ask_peers(OpenRound& round, TimePoint now, Out& out) {
  const bool is_ahead = round.round != current();
  const std::vector<PeerId> peers =
      participants_of(available_for(round.round), round.round);
  if (peers.empty()) {
    // Everybody left while the batches were made.
    if (!is_ahead) begin_round(now, out);
    return;
  }
  if (!is_ahead) enter(RunStage::kCollecting, "peers are asked");
  const std::vector<Assignment> assignments =
      round.labels.counts.empty()
          ? assign_batches(peers, config_.k)
          : assign_by_labels(labels_of(peers), round.labels);
  RoundDeadline deadline(now, round_time());
  if (stopping_) deadline.stop(now);
  round.ask(assignments, deadline,
            static_cast<std::size_t>(std::ranges::count_if(
                peers, [this](PeerId peer) { return counts(peer); })));
  last_asked_ = std::max(last_asked_, round.round);
  for (const Assignment& a : assignments) {
    Member& member = members_.at(a.peer);
    member.owes.insert_or_assign(round.round, now);
    protocol::Message begin = message_to(
        member, protocol::RoundBegin{a.generated, a.discriminated, round.steps},
        now);
    begin.round = round.round;
    out.emplace_back(SendMessage{member.connection, std::move(begin)});
  }
  send_batches(round.round, assignments, out);
  if (!is_ahead) ask_ahead(now, out);
}

// Each connection gets the batches that its peers need, once: those to train on
// first, so that a peer can begin before the others have arrived.
void Coordinator::send_batches(Round round,
                               const std::vector<Assignment>& assignments,
                               Out& out) const {
  struct Wanted {
    std::uint32_t batch = 0;
    std::uint32_t peers = 0;
  };
  std::map<ConnectionId, std::vector<Wanted>> wanted;
  const auto want = [&](PeerId peer, std::uint32_t batch) {
    auto& list = wanted[members_.at(peer).connection];
    auto it = std::ranges::find(list, batch, &Wanted::batch);
    if (it == list.end()) it = list.insert(it, {batch, 0});
    ++it->peers;
  };
  for (const Assignment& a : assignments) want(a.peer, a.discriminated);
  for (const Assignment& a : assignments)
    if (a.generated != a.discriminated) want(a.peer, a.generated);
  for (const auto& [connection, batches] : wanted)
    for (const auto& [index, count] : batches)
      out.emplace_back(SendBatch{connection, round, index, count});
}

void Coordinator::on_feedback(Member& member, const MessageArrived& e,
                              TimePoint now, Out& out) {
  const protocol::Message& message = e.message;
  const auto& feedback = std::get<protocol::Feedback>(message.body);
  if (message.round > last_asked_) {
    on_breach(member, "feedback for a round that nobody was asked in", now,
              out);
    return;
  }
  const auto it = rounds_.find(message.round);
  const bool is_expected =
      it != rounds_.end() && it->second.expects(member.id, feedback.generated);
  // The answer to an earlier attempt at the round leaves the new one owed.
  const bool is_owed =
      !is_expected && it != rounds_.end() && it->second.awaits(member.id);
  const auto asked =
      is_owed ? member.owes.end() : member.owes.find(message.round);
  const bool owed = asked != member.owes.end();
  if (owed) {
    member.answers.add(now - asked->second);
    answers_.add(now - asked->second);
    member.owes.erase(asked);
  }
  // Only now can it begin what it was asked meanwhile.
  if (owed && !member.owes.empty()) member.owes.begin()->second = now;
  if (!is_expected) {
    // Late is not dead: the peer is asked again from the next round on.
    if (message.round < current() || owed)
      ++counters_.stale_feedback;
    else
      ++counters_.unexpected;
    if (stage_ == RunStage::kWaiting) begin_round(now, out);
    return;
  }
  OpenRound& round = it->second;
  if (e.defect.empty()) {
    round.take(member.id, {true, feedback.discriminator_loss,
                           feedback.generator_loss, e.feedback_length});
    has_contributed(member);
    member.last_round = round.round;
    out.emplace_back(KeepFeedback{round.round, member.id});
  } else {
    round.take(member.id, {});
    refuse_feedback(member, round.round, e.defect, now, out);
  }
  if (std::exchange(member.slow, false))
    out.emplace_back(Note{"peer " + member.name + " answers in time again",
                          false, NoteKind::kInTime, member.name});
  if (round.quorum_reached(config_.quorum)) round.deadline.hurry(now);
  close_round_if_complete(now, out);
}

void Coordinator::refuse_feedback(const Member& member, Round round,
                                  const std::string& defect, TimePoint now,
                                  Out& out) {
  ++counters_.invalid_feedback;
  if (const std::uint64_t hidden = answer_notes_.take_hidden(now); hidden > 0)
    out.emplace_back(
        Note{plural(hidden, "more answer") + " that could not be used", true});
  if (!answer_notes_.allows(now)) return;
  out.emplace_back(Note{"round " + std::to_string(round.value) +
                            ": feedback of peer " + member.name +
                            " is not used: " + defect,
                        true});
}

void Coordinator::close_round_if_complete(TimePoint now, Out& out) {
  OpenRound* round = collecting();
  if (round == nullptr) return;
  if (round->unanswered == 0 || (round->deadline.quorum_missed() &&
                                 round->quorum_reached(config_.quorum)))
    close_round(*round, now, out);
}

void Coordinator::set_aside_for_answers(Member& member, TimePoint now,
                                        Out& out) {
  set_aside(member, "too many of its answers could not be used",
            "look at its data", now, out);
}

void Coordinator::close_round(OpenRound& round, TimePoint now, Out& out) {
  for (const PeerId peer : round.refuse_too_long())
    refuse_feedback(members_.at(peer), round.round,
                    "it is far longer than the others', and would stop the "
                    "generator for long",
                    now, out);
  const bool enough = round.quorum_reached(config_.quorum);
  ClosedRound closed = close(round);
  // In the order of rounds, in which the peer gave them.
  for (const PeerId peer : closed.invalid)
    if (const auto member = members_.find(peer); member != members_.end())
      member->second.invalid_score += kInvalidScore;
  const auto set_aside_repeaters = [&] {
    for (const PeerId peer : closed.invalid)
      if (const auto found = members_.find(peer);
          found != members_.end() &&
          found->second.invalid_score >= kInvalidAttempts * kInvalidScore &&
          !position_.set_aside.contains(peer))
        set_aside_for_answers(found->second, now, out);
  };
  for (const Contributor& c : closed.step.contributors)
    if (int& score = members_.at(c.peer).invalid_score; score > 0) --score;
  for (const PeerId peer : closed.missing) {
    Member& member = members_.at(peer);
    ++member.missed;
    if (!std::exchange(member.slow, true))
      out.emplace_back(Note{
          "peer " + member.name + " is slow: round " +
              std::to_string(round.round.value) +
              " goes on without it. It is asked again when it has answered",
          true, NoteKind::kLate, member.name});
    // Its answers to later rounds come later still.
    for (auto& [number, ahead] : rounds_)
      if (number > round.round) ahead.lose(peer);
  }
  enter(RunStage::kStepping, "a round is closed");
  if (!enough) {
    // Too many of those asked have vanished or sent invalid answers: ask anew.
    round.enter(OpenRound::Phase::kReady, "a quorum is missed");
    set_aside_repeaters();
    if (stage_ == RunStage::kFinished) return;
    const bool all_invalid =
        !closed.invalid.empty() && closed.step.contributors.empty();
    invalid_attempts_ = all_invalid ? invalid_attempts_ + 1 : 0;
    if (invalid_attempts_ >= kInvalidAttempts)
      give_up("in " + std::to_string(kInvalidAttempts) +
                  " attempts no peer gave a valid answer",
              now, out);
    else
      begin_round(now, out);
    return;
  }
  invalid_attempts_ = 0;
  round.enter(OpenRound::Phase::kStepping, "the round is closed");
  for (Contributor& c : closed.step.contributors)
    c.shard_size = members_.at(c.peer).shard_size;
  report_ = closed.report;
  out.emplace_back(std::move(closed.step));
  set_aside_repeaters();
  if (stage_ == RunStage::kFinished) return;
  // The next batches are made while this thread talks to the peers.
  if (!stopping_ && round.round.value < config_.rounds)
    generate_after(round.round, now, out);
}

}  // namespace mdgan
