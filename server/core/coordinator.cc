#include "server/core/coordinator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/transition.h"

namespace mdgan {
namespace {

// What a further local round of FL-GAN adds to round-timeout.
constexpr Duration kLocalRound = std::chrono::seconds(1);
// What the open round, or a swap, still has once the server is to stop: a
// supervisor kills after about ten seconds.
constexpr Duration kStopGrace = std::chrono::seconds(4);
// A full disk may have room again after so long.
constexpr Duration kSaveAgain = std::chrono::seconds(30);

using enum RunStage;
constexpr std::pair<RunStage, RunStage> kStageTransitions[]{
    {kWaiting, kGenerating},  {kWaiting, kCollecting},
    {kGenerating, kWaiting},  {kGenerating, kCollecting},
    {kCollecting, kStepping}, {kStepping, kWaiting},
    {kStepping, kGenerating}, {kStepping, kCollecting},
    {kStepping, kSwapping},   {kSwapping, kWaiting},
    {kSwapping, kGenerating}, {kSwapping, kCollecting},
    {kWaiting, kFinished},    {kGenerating, kFinished},
    {kCollecting, kFinished}, {kStepping, kFinished},
    {kSwapping, kFinished},
};

}  // namespace

Coordinator::Coordinator(CoordinatorConfig config, RunPosition position)
    : config_(config), position_(std::move(position)) {
  for (const auto& [name, id] : position_.names) {
    Member& member = members_[id];
    member.id = id;
    member.name = name;
  }
}

void Coordinator::handle(const ServerEvent& event, TimePoint now, Out& out) {
  if (stage_ == RunStage::kFinished) return;
  std::visit([&](const auto& e) { on(e, now, out); }, event);
}

std::optional<TimePoint> Coordinator::next_deadline() const {
  if (stage_ == RunStage::kFinished) return std::nullopt;
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint t) {
    if (!next || t < *next) next = t;
  };
  if (const OpenRound* round = collecting()) consider(round->deadline);
  if (stage_ == RunStage::kWaiting && started_) consider(wait_deadline_);
  if (!exchanges_.empty()) consider(exchanges_.begin()->second.deadline);
  if (keepalive_due_ != TimePoint::max()) consider(keepalive_due_);
  return next;
}

std::uint32_t Coordinator::live_peers() const {
  return static_cast<std::uint32_t>(live_.size());
}

Duration Coordinator::round_time() const {
  return config_.round_timeout + (stride_ - 1) * kLocalRound;
}

Duration Coordinator::swap_time() const {
  if (stopping_) return std::min<Duration>(config_.swap_timeout, kStopGrace);
  return config_.swap_timeout + (stride_ - 1) * kLocalRound;
}

std::vector<PeerId> Coordinator::available() const {
  std::vector<PeerId> ids;
  for (const PeerId id : live_)
    if (!members_.at(id).owes) ids.push_back(id);
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
    lose({&message.peer, 1}, bye->text.empty() ? "left" : "left: " + bye->text,
         now, out);
  } else {
    ++counters_.unexpected;
    refuse(e.connection, message.peer, protocol::ErrorCode::kState,
           "a peer may not send this message", out);
  }
}

void Coordinator::on(const ConnectionLost& e, TimePoint now, Out& out) {
  const auto it = on_connection_.find(e.connection);
  if (it == on_connection_.end()) return;
  const std::vector<PeerId> peers(it->second.begin(), it->second.end());
  lose(peers, "connection lost", now, out);
}

void Coordinator::on(const ModelReady& e, TimePoint now, Out& out) {
  model_ = e;
  config_.image = e.spec.image;
  deciding_ = false;
  for (const auto& [connection, hello] : early_hellos_.take())
    on_hello(connection, hello, now, out);
}

void Coordinator::on(const ModelRefused& e, TimePoint, Out& out) {
  deciding_ = false;
  for (const auto& [connection, hello] : early_hellos_.take())
    refuse_hello(connection, hello, protocol::ErrorCode::kMismatch,
                 e.error.message, out);
  // A shape that came from a peer may be that peer's mistake; one that is
  // fixed cannot be cured by waiting.
  if (config_.image)
    finish(e.error.code, {protocol::Reason::kFailed, e.error.message}, out);
  else
    out.emplace_back(Note{e.error.message, true});
}

void Coordinator::on(const BatchesReady& e, TimePoint now, Out& out) {
  const auto it = rounds_.find(e.round);
  if (it == rounds_.end() || it->second.phase != OpenRound::Phase::kGenerating)
    return;
  it->second.phase = OpenRound::Phase::kReady;
  if (stage_ == RunStage::kGenerating && e.round == current())
    ask_peers(it->second, now, out);
}

void Coordinator::on(const GeneratorStepped& e, TimePoint now, Out& out) {
  const auto it = rounds_.find(e.round);
  if (it == rounds_.end() || it->second.phase != OpenRound::Phase::kStepping)
    return;
  rounds_.erase(it);
  position_.completed = e.round;
  out.emplace_back(report_);
  if (swap_is_due() && available().size() >= 2)
    begin_swap(now, out);
  else
    end_round(now, out);
}

void Coordinator::on(const GeneratorFailed& e, TimePoint, Out& out) {
  finish(e.error.code, {protocol::Reason::kFailed, e.error.message}, out);
}

void Coordinator::on(const StopRequested& e, TimePoint now, Out& out) {
  if (!std::exchange(stopping_, true)) stop_code_ = e.code;
  if (stage_ == RunStage::kWaiting) {
    end_round(now, out);
    return;
  }
  const TimePoint limit = now + kStopGrace;
  for (auto& [number, round] : rounds_)
    round.deadline = std::min(round.deadline, limit);
  for (auto& [id, exchange] : exchanges_)
    exchange.deadline = std::min(exchange.deadline, limit);
  out.emplace_back(
      Note{"stopping: this round is finished first, if peers answer", true});
}

void Coordinator::on(const CheckpointSaved& e, TimePoint now, Out&) {
  if (!e.ok) save_again_ = now + kSaveAgain;
}

void Coordinator::on(const TimePassed&, TimePoint now, Out& out) {
  std::vector<SwapId> expired;
  for (const auto& [id, exchange] : exchanges_)
    if (exchange.deadline <= now) expired.push_back(id);
  for (const SwapId id : expired)
    end_exchange(id, false, "not complete after swap-timeout", now, out);
  if (stage_ == RunStage::kFinished) return;

  if (OpenRound* round = collecting(); round && round->deadline <= now) {
    if (round->quorum_reached(config_.quorum) || stopping_) {
      close_round(*round, now, out);
    } else if (!round->quorum_missed) {
      round->quorum_missed = true;
      round->deadline = now + config_.quorum_timeout;
      out.emplace_back(Note{"round " + std::to_string(round->round.value) +
                                ": fewer peers than the quorum answered within "
                                "round-timeout; waiting for more",
                            true});
    } else {
      give_up("fewer peers than the quorum answered within quorum-timeout", now,
              out);
      return;
    }
  }
  if (stage_ == RunStage::kWaiting && started_ && wait_deadline_ <= now) {
    give_up("still " + std::to_string(live_peers()) + " of " +
                std::to_string(needed_peers()) + " peers after quorum-timeout",
            now, out);
    return;
  }
  if (keepalive_due_ <= now) send_keepalives(now, out);
}

void Coordinator::give_up(const std::string& why, TimePoint now, Out& out) {
  save(now, out);
  finish(ExitCode::kBelowQuorum,
         {protocol::Reason::kStopped,
          why + "; start the server again to go on with the run", true},
         out);
}

// --- the run -----------------------------------------------------------------

// After the round's swap, if it had one: save, stop or go on.
void Coordinator::end_round(TimePoint now, Out& out) {
  const Round done = position_.completed;
  const bool last = done.value >= config_.rounds;
  const bool periodic =
      config_.checkpoint_every > 0 &&
      passes(done.value, report_.steps, config_.checkpoint_every);
  const bool again = save_again_ && *save_again_ <= now;
  if (started_ && (last || stopping_ || periodic || again)) save(now, out);
  if (last) {
    finish(ExitCode::kOk, {protocol::Reason::kDone, "the run is complete"},
           out);
  } else if (stopping_) {
    finish(stop_code_,
           {protocol::Reason::kStopped,
            started_ ? "stopped after round " + std::to_string(done.value)
                     : "stopped before training began",
            stop_code_ == ExitCode::kStopped},
           out);
  } else {
    begin_round(now, out);
  }
}

void Coordinator::save(TimePoint now, Out& out) {
  save_again_.reset();
  for (auto& [id, member] : members_)
    if (member.presence == Presence::kLive)
      send(member, protocol::Checkpoint{}, now, out);
  out.emplace_back(SaveCheckpoint{position_.completed});
}

void Coordinator::finish(ExitCode code, protocol::Goodbye goodbye, Out& out) {
  for (auto& [id, member] : members_)
    if (member.presence != Presence::kAbsent)
      out.emplace_back(SendMessage{member.connection,
                                   {config_.run, config_.incarnation,
                                    position_.completed, id, goodbye}});
  enter(RunStage::kFinished, "the run ends");
  out.emplace_back(Finish{code, std::move(goodbye.text)});
}

void Coordinator::enter(RunStage next, const char* why) {
  transition<RunStage>(stage_, next, why, kStageTransitions, kRunStageNames);
}

// --- helpers ----------------------------------------------------------------

void Coordinator::send(Member& member, protocol::Body body, TimePoint now,
                       Out& out) {
  // While a round is open its number is the current one; between rounds, what
  // is said concerns the round completed last.
  const bool open =
      stage_ == RunStage::kCollecting || stage_ == RunStage::kGenerating;
  member.last_sent = now;
  keepalive_due_ = std::min(keepalive_due_, now + silence_allowed(member));
  out.emplace_back(SendMessage{
      member.connection,
      {config_.run, config_.incarnation, open ? current() : position_.completed,
       member.id, std::move(body)}});
}

bool Coordinator::knows(ConnectionId connection) const {
  return on_connection_.contains(connection);
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
