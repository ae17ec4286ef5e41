#include "server/core/coordinator.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mdgan {
namespace {

// Rounds in a row without one valid answer before the run gives up.
constexpr int kFruitlessRounds = 5;
// What a further local round of FL-GAN adds to round-timeout.
constexpr Duration kLocalRound = std::chrono::seconds(1);

}  // namespace

Coordinator::Coordinator(CoordinatorConfig config, RunPosition position)
    : config_(std::move(config)), position_(std::move(position)) {
  for (const auto& [name, id] : position_.names) {
    Member& member = members_[id];
    member.id = id;
    member.name = name;
  }
}

void Coordinator::handle(const ServerEvent& event, TimePoint now, Out& out) {
  if (state_ == RunStage::kFinished) return;
  std::visit([&](const auto& e) { on(e, now, out); }, event);
}

std::optional<TimePoint> Coordinator::next_deadline() const {
  if (state_ == RunStage::kFinished) return std::nullopt;
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint t) {
    if (!next || t < *next) next = t;
  };
  if (state_ == RunStage::kCollecting) consider(round_deadline_);
  if (state_ == RunStage::kWaiting && started_) consider(wait_deadline_);
  if (!exchanges_.empty()) consider(exchanges_.begin()->second.deadline);
  if (look_after_ != TimePoint::max()) consider(look_after_);
  return next;
}

std::uint32_t Coordinator::live_peers() const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(members_, [](const auto& entry) {
        return entry.second.presence == Presence::kLive;
      }));
}

Duration Coordinator::round_time() const {
  return config_.round_timeout + (stride_ - 1) * kLocalRound;
}

Duration Coordinator::swap_time() const {
  return config_.swap_timeout + (stride_ - 1) * kLocalRound;
}

std::vector<PeerId> Coordinator::available() const {
  std::vector<PeerId> ids;
  for (const auto& [id, member] : members_)
    if (member.presence == Presence::kLive && !member.owes) ids.push_back(id);
  return ids;
}

std::uint32_t Coordinator::needed_peers() const {
  if (!started_) return config_.min_peers;
  const double quorum = std::ceil(config_.quorum * config_.min_peers);
  return std::max(1U, static_cast<std::uint32_t>(quorum));
}

// --- events -----------------------------------------------------------------

void Coordinator::on(const Started&, TimePoint, Out& out) {
  // Where the image shape is known, the model need not wait for a peer.
  if (config_.image && !model_ && !std::exchange(deciding_, true))
    out.emplace_back(DecideModel{*config_.image});
}

void Coordinator::on(const MessageArrived& e, TimePoint now, Out& out) {
  const protocol::Message& message = e.message;
  if (const auto* hello = std::get_if<protocol::Hello>(&message.body)) {
    if (e.defect.empty())
      on_hello(e.connection, *hello, now, out);
    else
      refuse_hello(e.connection, *hello, protocol::ErrorCode::kMismatch,
                   e.defect, out);
    return;
  }
  Member* member = find(e.connection, message.peer);
  if (member == nullptr || message.run != config_.run ||
      message.incarnation != config_.incarnation) {
    ++counters_.unexpected;
    // A goodbye of a stranger needs no answer; any other wants to be told.
    if (!std::holds_alternative<protocol::Goodbye>(message.body))
      refuse(e.connection, message.peer, protocol::ErrorCode::kUnknownPeer,
             "this server does not know this session: say hello again", out);
    return;
  }
  member->last_heard = now;
  if (std::holds_alternative<protocol::Feedback>(message.body)) {
    on_feedback(*member, message, e.defect, now, out);
  } else if (const auto* staged =
                 std::get_if<protocol::Staged>(&message.body)) {
    on_staged(*member, *staged, now, out);
  } else if (const auto* bye = std::get_if<protocol::Goodbye>(&message.body)) {
    lose(*member, bye->text.empty() ? "left" : "left: " + bye->text, now, out);
  } else {
    ++counters_.unexpected;
    refuse(e.connection, message.peer, protocol::ErrorCode::kState,
           "a peer may not send this message", out);
  }
}

void Coordinator::on(const ConnectionLost& e, TimePoint now, Out& out) {
  for (auto& [id, member] : members_)
    if (member.presence != Presence::kAbsent &&
        member.connection == e.connection)
      lose(member, "connection lost", now, out);
}

void Coordinator::on(const ModelReady& e, TimePoint now, Out& out) {
  model_ = e;
  config_.image = e.spec.image;
  deciding_ = false;
  for (const auto& [connection, hello] : std::exchange(early_hellos_, {}))
    on_hello(connection, hello, now, out);
}

void Coordinator::on(const ModelRefused& e, TimePoint, Out& out) {
  deciding_ = false;
  for (const auto& [connection, hello] : std::exchange(early_hellos_, {}))
    refuse_hello(connection, hello, protocol::ErrorCode::kMismatch,
                 e.error.message, out);
  // A shape that came from a peer may be that peer's mistake; one that is
  // fixed cannot be cured by waiting.
  if (config_.image)
    finish(e.error.code, protocol::Reason::kFailed, e.error.message, out);
  else
    out.emplace_back(Note{e.error.message, true});
}

void Coordinator::on(const BatchesReady& e, TimePoint now, Out& out) {
  if (e.round != current()) return;
  generating_ = false;
  batches_ready_ = true;
  if (state_ == RunStage::kGenerating) ask_peers(now, out);
}

void Coordinator::on(const GeneratorStepped& e, TimePoint now, Out& out) {
  if (state_ != RunStage::kStepping || e.round != current()) return;
  position_.completed = e.round;
  batches_ready_ = false;
  out.emplace_back(report_);
  if (swap_is_due() && available().size() >= 2)
    begin_swap(now, out);
  else
    end_round(now, out);
}

void Coordinator::on(const GeneratorFailed& e, TimePoint, Out& out) {
  finish(e.error.code, protocol::Reason::kFailed, e.error.message, out);
}

void Coordinator::on(const StopRequested&, TimePoint now, Out& out) {
  stopping_ = true;
  if (state_ == RunStage::kWaiting)
    end_round(now, out);
  else
    out.emplace_back(Note{"stopping: this round is finished first", true});
}

void Coordinator::on(const TimePassed&, TimePoint now, Out& out) {
  std::vector<SwapId> expired;
  for (const auto& [id, exchange] : exchanges_)
    if (exchange.deadline <= now) expired.push_back(id);
  for (const SwapId id : expired)
    end_exchange(id, false, "not complete after swap-timeout", now, out);

  if (state_ == RunStage::kCollecting && round_deadline_ <= now) {
    if (quorum_reached() || stopping_) {
      close_round(now, out);
    } else if (!quorum_missed_) {
      quorum_missed_ = true;
      round_deadline_ = now + config_.quorum_timeout;
      out.emplace_back(Note{"round " + std::to_string(current().value) +
                                ": fewer peers than the quorum answered within "
                                "round-timeout; waiting for more",
                            true});
    } else {
      give_up("fewer peers than the quorum answered within quorum-timeout", now,
              out);
      return;
    }
  }
  if (state_ == RunStage::kWaiting && started_ && wait_deadline_ <= now) {
    give_up("still " + std::to_string(live_peers()) + " of " +
                std::to_string(needed_peers()) + " peers after quorum-timeout",
            now, out);
    return;
  }
  if (look_after_ <= now) look_after_members(now, out);
}

bool Coordinator::quorum_reached() const {
  const double quorum =
      std::ceil(config_.quorum * static_cast<double>(asked_count_));
  return static_cast<double>(contributions_) >= std::max(1.0, quorum);
}

void Coordinator::give_up(const std::string& why, TimePoint now, Out& out) {
  save(now, out);
  finish(ExitCode::kBelowQuorum, protocol::Reason::kStopped,
         why + "; the run goes on with --resume", out);
}

// --- rounds -----------------------------------------------------------------

// Starts the next round, or waits for enough peers to do so.
void Coordinator::begin_round(TimePoint now, Out& out) {
  if (stopping_) {
    end_round(now, out);
    return;
  }
  serve_joiners(now, out);
  const std::uint32_t live = live_peers();
  if (live < needed_peers() || (started_ && available().empty())) {
    if (state_ != RunStage::kWaiting) {
      state_ = RunStage::kWaiting;
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
    if (traits_of(config_.algorithm).averages_by_epochs)
      // Shard sizes are what peers claim: no stride is longer than the run.
      stride_ = std::clamp<std::uint64_t>(
          swap_period(smallest_shard(), config_.swap_epochs, config_.batch), 1,
          std::max<std::uint64_t>(config_.rounds, 1));
    out.emplace_back(Note{"training starts with " + std::to_string(live) +
                          " peers, k = " + std::to_string(config_.k)});
  }
  if (batches_ready_) {
    ask_peers(now, out);
    return;
  }
  state_ = RunStage::kGenerating;
  if (!std::exchange(generating_, true))
    out.emplace_back(GenerateBatches{current()});
}

// Steps 2 of Algorithm 1: X^g_n = X^(n mod k), X^d_n = X^((n+1) mod k), n being
// the peer's rank among those asked.
void Coordinator::ask_peers(TimePoint now, Out& out) {
  const std::vector<PeerId> peers = available();
  if (peers.empty()) {
    begin_round(now, out);  // everybody left while the batches were made
    return;
  }
  state_ = RunStage::kCollecting;
  quorum_missed_ = false;
  round_deadline_ = now + round_time();
  asked_.clear();
  asked_count_ = unanswered_ = peers.size();
  contributions_ = 0;
  // Per connection, the batches its peers need: those to train on first, so
  // that a peer can begin before the others have arrived.
  struct Wanted {
    std::uint32_t batch = 0;
    std::uint32_t peers = 0;
  };
  std::map<ConnectionId, std::vector<Wanted>> wanted;
  const auto want = [&](ConnectionId connection, std::uint32_t batch) {
    auto& list = wanted[connection];
    auto it = std::ranges::find(list, batch, &Wanted::batch);
    if (it == list.end()) it = list.insert(it, {batch, 0});
    ++it->peers;
  };
  for (std::size_t n = 0; n < peers.size(); ++n) {
    Member& member = members_.at(peers[n]);
    const protocol::RoundBegin begin{
        static_cast<std::uint32_t>(n % config_.k),
        static_cast<std::uint32_t>((n + 1) % config_.k), steps()};
    asked_[member.id].generated = begin.generated;
    member.owes = current();
    member.owes_since = now;
    send(member, begin, now, out);
    want(member.connection, begin.discriminated);
  }
  if (config_.k > 1)  // else it is the same batch
    for (const auto& [id, asked] : asked_)
      want(members_.at(id).connection, asked.generated);
  for (const auto& [connection, batches] : wanted)
    for (const auto& [index, count] : batches)
      out.emplace_back(SendBatch{connection, current(), index, count});
}

bool Coordinator::expects_feedback(ConnectionId connection,
                                   const protocol::Message& message) const {
  const auto* feedback = std::get_if<protocol::Feedback>(&message.body);
  if (feedback == nullptr || state_ != RunStage::kCollecting ||
      message.run != config_.run ||
      message.incarnation != config_.incarnation ||
      message.round != current() || find(connection, message.peer) == nullptr)
    return false;
  const auto asked = asked_.find(message.peer);
  return asked != asked_.end() && !asked->second.answer &&
         asked->second.generated == feedback->generated;
}

void Coordinator::on_feedback(Member& member, const protocol::Message& message,
                              const std::string& defect, TimePoint now,
                              Out& out) {
  const auto& feedback = std::get<protocol::Feedback>(message.body);
  const bool expected = expects_feedback(member.connection, message);
  if (member.owes == message.round) member.owes.reset();
  if (!expected) {
    // Late is not dead: the peer is asked again from the next round on.
    if (message.round < current())
      ++counters_.stale_feedback;
    else
      ++counters_.unexpected;
    if (state_ == RunStage::kWaiting) begin_round(now, out);
    return;
  }
  Answer& answer = asked_.at(member.id).answer.emplace();
  --unanswered_;
  if (defect.empty()) {
    ++contributions_;
    answer = {true, feedback.discriminator_loss, feedback.generator_loss};
  } else {
    ++counters_.invalid_feedback;
    out.emplace_back(Note{"round " + std::to_string(current().value) +
                              ": feedback of peer " + member.name +
                              " is not used: " + defect,
                          true});
  }
  close_round_if_complete(now, out);
}

void Coordinator::close_round_if_complete(TimePoint now, Out& out) {
  if (state_ != RunStage::kCollecting) return;
  if (unanswered_ == 0 || (quorum_missed_ && quorum_reached()))
    close_round(now, out);
}

void Coordinator::close_round(TimePoint now, Out& out) {
  const bool enough = quorum_reached();
  bool rubbish = false;
  StepGenerator step{current(), steps(), {}};
  report_ = {current(), steps(), static_cast<std::uint32_t>(asked_count_)};
  for (const auto& [id, asked] : asked_) {  // by PeerId: the order of the sum
    if (!asked.answer) {
      ++members_.at(id).missed;
      continue;
    }
    if (!asked.answer->contributed) {
      rubbish = true;
      continue;
    }
    step.contributors.push_back(
        {id, asked.generated, members_.at(id).shard_size});
    report_.discriminator_loss += asked.answer->discriminator_loss;
    report_.generator_loss += asked.answer->generator_loss;
  }
  asked_.clear();
  state_ = RunStage::kStepping;
  if (step.contributors.empty() || (!enough && !stopping_)) {
    // Too many of those asked have vanished or sent rubbish: ask anew.
    fruitless_ += rubbish ? 1 : 0;
    if (fruitless_ >= kFruitlessRounds)
      give_up("in " + std::to_string(kFruitlessRounds) +
                  " attempts fewer peers than the quorum gave a valid answer",
              now, out);
    else
      begin_round(now, out);
    return;
  }
  fruitless_ = 0;
  report_.contributed = static_cast<std::uint32_t>(step.contributors.size());
  report_.discriminator_loss /= report_.contributed;
  report_.generator_loss /= report_.contributed;
  out.emplace_back(std::move(step));
  // The next batches are made while this thread talks to the peers.
  if (!stopping_ && current().value < config_.rounds) {
    generating_ = true;
    out.emplace_back(GenerateBatches{following(current())});
  }
}

// After the round's swap, if it had one: save, stop or go on.
void Coordinator::end_round(TimePoint now, Out& out) {
  const Round done = position_.completed;
  const bool last = done.value >= config_.rounds;
  const bool periodic =
      config_.checkpoint_every > 0 &&
      passes(done.value, report_.steps, config_.checkpoint_every);
  if (started_ && (last || stopping_ || periodic)) save(now, out);
  if (last) {
    finish(ExitCode::kOk, protocol::Reason::kDone, "the run is complete", out);
  } else if (stopping_) {
    finish(ExitCode::kOk, protocol::Reason::kStopped,
           started_ ? "stopped after round " + std::to_string(done.value)
                    : "stopped before training began",
           out);
  } else {
    begin_round(now, out);
  }
}

void Coordinator::save(TimePoint now, Out& out) {
  for (auto& [id, member] : members_)
    if (member.presence == Presence::kLive)
      send(member, protocol::Checkpoint{}, now, out);
  out.emplace_back(SaveCheckpoint{position_.completed});
}

void Coordinator::finish(ExitCode code, protocol::Reason reason,
                         const std::string& text, Out& out) {
  for (auto& [id, member] : members_)
    if (member.presence != Presence::kAbsent)
      out.emplace_back(
          SendMessage{member.connection,
                      {config_.run, config_.incarnation, position_.completed,
                       id, protocol::Goodbye{reason, text}}});
  state_ = RunStage::kFinished;
  out.emplace_back(Finish{code, text});
}

// --- helpers ----------------------------------------------------------------

void Coordinator::send(Member& member, protocol::Body body, TimePoint now,
                       Out& out) {
  // While a round is open its number is the current one; between rounds, what
  // is said concerns the round completed last.
  const bool open =
      state_ == RunStage::kCollecting || state_ == RunStage::kGenerating;
  member.last_sent = now;
  look_after_ = std::min(look_after_, now + silence_allowed(member));
  out.emplace_back(SendMessage{
      member.connection,
      {config_.run, config_.incarnation, open ? current() : position_.completed,
       member.id, std::move(body)}});
}

bool Coordinator::knows(ConnectionId connection) const {
  return std::ranges::any_of(members_, [&](const auto& entry) {
    return entry.second.presence != Presence::kAbsent &&
           entry.second.connection == connection;
  });
}

const Coordinator::Member* Coordinator::find(ConnectionId connection,
                                             PeerId peer) const {
  const auto it = members_.find(peer);
  if (it == members_.end() || it->second.presence == Presence::kAbsent ||
      it->second.connection != connection)
    return nullptr;
  return &it->second;
}

Coordinator::Member* Coordinator::find(ConnectionId connection, PeerId peer) {
  return const_cast<Member*>(std::as_const(*this).find(connection, peer));
}

}  // namespace mdgan
