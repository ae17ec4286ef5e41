// Rounds: batches are generated, peers asked, their answers collected, and the
// generator's step ordered.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

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

// Starts the next round, or waits for enough peers to do so.
void Coordinator::begin_round(TimePoint now, Out& out) {
  if (stopping_) {
    end_round(now, out);
    return;
  }
  serve_joiners(now, out);
  const std::uint32_t live = live_peers();
  if (live < needed_peers() || (started_ && available().empty())) {
    if (started_ && all_failed()) {
      give_up("no peer is left", now, out);
      return;
    }
    if (stage_ != RunStage::kWaiting) {
      enter(RunStage::kWaiting, "too few peers");
      wait_deadline_ = now + config_.quorum_timeout;
      out.emplace_back(
          Note{"paused: " + std::to_string(live) + " peers are live, " +
                   std::to_string(available().size()) + " of them free, " +
                   std::to_string(needed_peers()) + " needed",
               true});
    }
    return;
  }
  if (!started_) {
    started_ = true;
    rejoin_deadline_.reset();
    if (traits_of(config_.algorithm).averages_by_epochs)
      // Shard sizes are what peers claim: no stride is longer than the run.
      stride_ = std::clamp<std::uint64_t>(
          swap_period(smallest_shard(), config_.swap_epochs, config_.batch), 1,
          std::max<std::uint64_t>(config_.rounds, 1));
    out.emplace_back(Note{"training starts with " + std::to_string(live) +
                          " peers, k = " + std::to_string(config_.k)});
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
  generate(round, out);
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
  round.phase = OpenRound::Phase::kGenerating;
  out.emplace_back(GenerateBatches{round.round, {config_.k}});
}

void Coordinator::ask_peers(OpenRound& round, TimePoint now, Out& out) {
  const std::vector<PeerId> peers = available();
  if (peers.empty()) {
    begin_round(now, out);  // everybody left while the batches were made
    return;
  }
  enter(RunStage::kCollecting, "peers are asked");
  const std::vector<Assignment> assignments = assign_batches(peers, config_.k);
  const Duration time =
      stopping_ ? std::min(round_time(), kStopGrace) : round_time();
  round.ask(assignments, now, now + time);
  for (const Assignment& a : assignments) {
    Member& member = members_.at(a.peer);
    member.owes = round.round;
    member.owes_since = now;
    send(member,
         protocol::RoundBegin{a.generated, a.discriminated, round.steps}, now,
         out);
  }
  send_batches(round.round, assignments, out);
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
  const auto it = rounds_.find(message.round);
  const bool is_expected =
      it != rounds_.end() && it->second.expects(member.id, feedback.generated);
  // The answer to an earlier attempt at the round leaves the new one owed.
  const bool is_owed =
      !is_expected && it != rounds_.end() && it->second.awaits(member.id);
  if (member.owes == message.round && !is_owed) member.owes.reset();
  if (!is_expected) {
    // Late is not dead: the peer is asked again from the next round on.
    if (message.round < current())
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
    member.taken_part = true;
    member.last_round = round.round;
    out.emplace_back(KeepFeedback{round.round, member.id});
  } else {
    round.take(member.id, {});
    refuse_feedback(member, round.round, e.defect, out);
    if (member.invalid_in_a_row >= kInvalidAttempts) {
      set_aside_for_answers(member, now, out);
      return;
    }
  }
  if (std::exchange(member.slow, false))
    out.emplace_back(Note{"peer " + member.name + " answers in time again"});
  if (round.quorum_reached(config_.quorum)) round.hurry(now);
  close_round_if_complete(now, out);
}

void Coordinator::refuse_feedback(Member& member, Round round,
                                  const std::string& defect, Out& out) {
  ++counters_.invalid_feedback;
  ++member.invalid_in_a_row;
  out.emplace_back(Note{"round " + std::to_string(round.value) +
                            ": feedback of peer " + member.name +
                            " is not used: " + defect,
                        true});
}

void Coordinator::close_round_if_complete(TimePoint now, Out& out) {
  OpenRound* round = collecting();
  if (round == nullptr) return;
  if (round->unanswered == 0 ||
      (round->quorum_missed && round->quorum_reached(config_.quorum)))
    close_round(*round, now, out);
}

void Coordinator::set_aside_for_answers(Member& member, TimePoint now,
                                        Out& out) {
  set_aside(member,
            std::to_string(member.invalid_in_a_row) +
                " of its answers in a row could not be used",
            "look at its data", now, out);
}

void Coordinator::close_round(OpenRound& round, TimePoint now, Out& out) {
  const std::vector<PeerId> too_long = round.refuse_too_long();
  for (const PeerId peer : too_long)
    refuse_feedback(members_.at(peer), round.round,
                    "it is far longer than the others', and would stop the "
                    "generator for long",
                    out);
  const bool enough = round.quorum_reached(config_.quorum);
  ClosedRound closed = close(round);
  const auto set_aside_repeaters = [&] {
    for (const PeerId peer : too_long)
      if (Member& member = members_.at(peer);
          member.invalid_in_a_row >= kInvalidAttempts &&
          member.presence != Presence::kAbsent)
        set_aside_for_answers(member, now, out);
  };
  for (const Contributor& c : closed.step.contributors)
    members_.at(c.peer).invalid_in_a_row = 0;
  for (const PeerId peer : closed.missing) {
    Member& member = members_.at(peer);
    ++member.missed;
    if (!std::exchange(member.slow, true))
      out.emplace_back(Note{
          "peer " + member.name + " is slow: round " +
              std::to_string(round.round.value) +
              " goes on without it. It is asked again when it has answered",
          true});
  }
  enter(RunStage::kStepping, "a round is closed");
  if (!enough) {
    // Too many of those asked have vanished or sent rubbish: ask anew.
    round.phase = OpenRound::Phase::kReady;
    set_aside_repeaters();
    if (stage_ == RunStage::kFinished) return;
    const bool all_invalid =
        closed.any_invalid && closed.step.contributors.empty();
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
  round.phase = OpenRound::Phase::kStepping;
  for (Contributor& c : closed.step.contributors)
    c.shard_size = members_.at(c.peer).shard_size;
  report_ = closed.report;
  out.emplace_back(std::move(closed.step));
  set_aside_repeaters();
  if (stage_ == RunStage::kFinished) return;
  // The next batches are made while this thread talks to the peers.
  if (!stopping_ && round.round.value < config_.rounds)
    generate(round_at(following(round.round)), out);
}

}  // namespace mdgan
