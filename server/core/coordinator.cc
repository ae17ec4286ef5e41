#include "server/core/coordinator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/transition.h"
#include "common/base/words.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// How long a swap may take before it is known what one takes.
constexpr Duration kFirstSwap = 10s;
// Lines a minute on who came and went, beside two of each peer that is awaited.
constexpr std::uint32_t kMemberNotes = 40;
// Lines a minute on answers that could not be used.
constexpr std::uint32_t kAnswerNotes = 20;
// How long a resumed run waits for all of its peers, before it goes on with the
// quorum.
constexpr Duration kRejoinTime = 60s;
// So many failed peers are remembered by name at most.
constexpr std::size_t kFailedKept = 64;

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
    : config_(std::move(config)),
      position_(std::move(position)),
      durable_(position_.completed),
      last_asked_(position_.completed),
      swap_time_(std::min<Duration>(kFirstSwap, config_.swap_timeout)),
      member_notes_(kMemberNotes + 2 * config_.min_peers),
      answer_notes_(kAnswerNotes) {
  for (const auto& [name, id] : position_.names) {
    Member& member = members_[id];
    member.id = id;
    member.name = name;
    member.taken_part = true;
  }
  for (const auto& [peer, discriminator] : position_.discriminators)
    owners_.emplace(discriminator, peer);
}

void Coordinator::handle(const ServerEvent& event, TimePoint now, Out& out) {
  if (stage_ == RunStage::kFinished) {
    handle_after_the_end(event, now, out);
    return;
  }
  // Rounds that were asked ahead may be stepped one after the other.
  const auto before = std::pair(stage_, position_.completed);
  std::visit([&](const auto& e) { on(e, now, out); }, event);
  forget_strangers();
  if (std::pair(stage_, position_.completed) == before) return;
  const bool computing =
      stage_ == RunStage::kGenerating || stage_ == RunStage::kStepping;
  watchdog_.reset();
  if (computing) watchdog_ = now + config_.round_timeout;
}

std::optional<TimePoint> Coordinator::next_deadline() const {
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint t) {
    if (!next || t < *next) next = t;
  };
  if (keepalive_due_ != TimePoint::max()) consider(keepalive_due_);
  if (const auto due = evaluations_.next_deadline()) consider(*due);
  if (stage_ == RunStage::kFinished) return next;
  if (const OpenRound* round = collecting()) consider(round->deadline.at());
  if (stage_ == RunStage::kWaiting && started_) consider(wait_deadline_);
  if (!exchange_ends_.empty()) consider(exchange_ends_.begin()->first);
  if (rejoin_deadline_) consider(*rejoin_deadline_);
  if (watchdog_) consider(*watchdog_);
  return next;
}

std::uint32_t Coordinator::live_peers() const {
  return static_cast<std::uint32_t>(live_.size());
}

RunPosition Coordinator::position_to_save() const {
  RunPosition saved = position_;
  for (const auto& [id, member] : members_) {
    if (!member.is_late || member.taken_part || saved.set_aside.contains(id))
      continue;
    saved.names.erase(member.name);
    saved.discriminators.erase(id);
    saved.keys.erase(id);
  }
  return saved;
}

Duration Coordinator::round_time() const {
  return mdgan::round_time(config_.round_timeout, stride_);
}

Duration Coordinator::copy_time() const {
  return config_.swap_timeout + (stride_ - 1) * kLocalRound;
}

std::uint32_t Coordinator::needed_peers() const {
  if (!started_ && !quorum_will_do_) return config_.min_peers;
  return quorum_of_run();
}

std::uint32_t Coordinator::quorum_of_run() const {
  const double quorum = std::ceil(config_.quorum * config_.min_peers);
  return std::max(1U, static_cast<std::uint32_t>(quorum));
}

// --- events -----------------------------------------------------------------

void Coordinator::on(const Started&, TimePoint now, Out& out) {
  // A run that had begun goes on with those who are back, after a while.
  if (position_.completed.value > 0 || !position_.names.empty()) {
    const auto wait = std::min<Duration>(kRejoinTime, config_.quorum_timeout);
    rejoin_deadline_ = now + wait;
    if (const auto quorum = quorum_of_run(); quorum < config_.min_peers)
      out.emplace_back(Note{"waits up to " + duration_words(seconds(wait)) +
                            " for " + plural(config_.min_peers, "peer") +
                            " of the run; then " + std::to_string(quorum) +
                            " will do"});
  }
  // Where the image shape is known, the model need not wait for a peer.
  if (config_.image && !awaits_classes() && !model_)
    decide_model(*config_.image, config_.classes, out);
}

void Coordinator::on(const MessageArrived& e, TimePoint now, Out& out) {
  const protocol::Message& message = e.message;
  if (const auto* hello = std::get_if<protocol::Hello>(&message.body)) {
    if (started_ &&
        !hello_limit_.allows(hello_sender(e.key, e.connection), now))
      return;
    if (e.defect.empty())
      on_hello(e.connection, *hello, e.key, now, out);
    else
      refuse_hello(e.connection, *hello, e.refusal, e.defect, out);
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
    on_feedback(*member, e, now, out);
  } else if (const auto* staged =
                 std::get_if<protocol::Staged>(&message.body)) {
    on_staged(*member, *staged, now, out);
  } else if (std::holds_alternative<protocol::Chunk>(message.body)) {
    on_chunk(*member, e, now, out);
  } else if (const auto* taken =
                 std::get_if<protocol::ChunksTaken>(&message.body)) {
    on_chunks_taken(*member, *taken, now, out);
  } else if (std::holds_alternative<protocol::Evaluated>(message.body)) {
    on_evaluated(*member, e, now, out);
  } else if (const auto* bye = std::get_if<protocol::Goodbye>(&message.body)) {
    if (bye->reason == protocol::Reason::kFailed &&
        failed_.size() < kFailedKept)
      failed_.insert(message.peer);
    lose({&message.peer, 1}, bye->text.empty() ? "left" : "left: " + bye->text,
         now, out, NoteKind::kLeft);
  } else {
    ++counters_.unexpected;
    refuse(e.connection, message.peer, protocol::ErrorCode::kState,
           "a peer may not send this message", out);
  }
}

void Coordinator::on(const KeyRevoked& e, TimePoint now, Out& out) {
  // One error for all peers of the connection, which have one key.
  refuse(e.connection, {}, protocol::ErrorCode::kUnauthorised, e.reason, out);
  forget_early(e.connection);
  const auto it = on_connection_.find(e.connection);
  if (it == on_connection_.end()) return;
  const std::vector<PeerId> peers(it->second.begin(), it->second.end());
  lose(peers, "is let in no more: " + e.reason, now, out);
}

void Coordinator::on(const ConnectionLost& e, TimePoint now, Out& out) {
  forget_early(e.connection);
  const auto it = on_connection_.find(e.connection);
  if (it == on_connection_.end()) return;
  const std::vector<PeerId> peers(it->second.begin(), it->second.end());
  lose(peers, "connection lost", now, out);
}

void Coordinator::on(const ModelReady& e, TimePoint now, Out& out) {
  model_ = e;
  config_.image = e.spec.image;
  config_.classes = e.spec.classes;
  deciding_ = false;
  for (const EarlyHellos::Early& early : early_hellos_.take())
    on_hello(early.connection, early.hello, early.key, now, out);
}

void Coordinator::on(const ModelRefused& e, TimePoint, Out& out) {
  deciding_ = false;
  for (const EarlyHellos::Early& early : early_hellos_.take())
    refuse_hello(early.connection, early.hello, protocol::ErrorCode::kMismatch,
                 e.error.message, out);
  // A shape that came from a peer may be that peer's mistake; one that is
  // fixed, or a lack of memory here, cannot be cured by waiting.
  if (config_.image || e.error.code != ExitCode::kConfiguration)
    finish(e.error.code, {protocol::Reason::kFailed, e.error.message}, out);
  else
    out.emplace_back(Note{e.error.message, true});
}

void Coordinator::on(const BatchesReady& e, TimePoint now, Out& out) {
  const auto it = rounds_.find(e.round);
  if (it == rounds_.end() || it->second.phase != OpenRound::Phase::kGenerating)
    return;
  it->second.enter(OpenRound::Phase::kReady, "batches are ready");
  if (stage_ == RunStage::kGenerating && e.round == current())
    ask_peers(it->second, now, out);
  else
    ask_ahead(now, out);
}

void Coordinator::on(const GeneratorStepped& e, TimePoint now, Out& out) {
  const auto it = rounds_.find(e.round);
  if (it == rounds_.end() || it->second.phase != OpenRound::Phase::kStepping)
    return;
  rounds_.erase(it);
  position_.completed = e.round;
  out.emplace_back(report_);
  begin_evaluation(out);
  if (collecting() != nullptr) {  // asked ahead
    await_answers(now, out);
    return;
  }
  if (!swap_is_due() || available().size() < 2 || !begin_swap(now, out))
    end_round(now, out);
}

void Coordinator::on(const GeneratorFailed& e, TimePoint, Out& out) {
  finish(e.error.code, {protocol::Reason::kFailed, e.error.message}, out);
}

void Coordinator::on(const TimePassed&, TimePoint now, Out& out) {
  end_evaluations(now, out);
  while (!exchange_ends_.empty() && exchange_ends_.begin()->first <= now) {
    const SwapId id = exchange_ends_.begin()->second;
    std::vector<SwapEdge> broken;
    for (const SwapEdge& edge : exchanges_.at(id).edges)
      if (!exchanges_.at(id).staged.contains(edge.target))
        broken.push_back(edge);
    abort_exchange(id, "", broken, now, out);
    if (stage_ == RunStage::kFinished) return;
  }
  if (rejoin_deadline_ && *rejoin_deadline_ <= now) {
    rejoin_deadline_.reset();
    quorum_will_do_ = true;
    if (!started_) {
      out.emplace_back(Note{std::to_string(live_peers()) + " of " +
                                plural(config_.min_peers, "peer") +
                                " came back; from now on " +
                                std::to_string(needed_peers()) + " will do",
                            true});
      if (stage_ == RunStage::kWaiting && model_) begin_round(now, out);
    }
  }
  if (watchdog_ && *watchdog_ <= now) {
    watchdog_ = now + config_.round_timeout;
    out.emplace_back(
        Note{std::string(stage_ == RunStage::kStepping
                             ? "the generator's step of round "
                             : "generating the batches of round ") +
                 std::to_string(current().value) +
                 " takes longer than round-timeout: is this machine "
                 "overloaded, or its device hung?",
             true});
  }

  if (OpenRound* round = collecting(); round && round->deadline.at() <= now) {
    const bool enough = round->quorum_reached(config_.quorum) || stopping_;
    switch (round->deadline.pass(now, enough, config_.quorum_timeout)) {
      case RoundDeadline::Over::kClose:
        close_round(*round, now, out);
        break;
      case RoundDeadline::Over::kWaitForQuorum:
        out.emplace_back(Note{"round " + std::to_string(round->round.value) +
                                  ": fewer peers than the quorum answered "
                                  "within round-timeout; waiting for more",
                              true});
        break;
      case RoundDeadline::Over::kGiveUp:
        give_up("fewer peers than the quorum answered within quorum-timeout",
                now, out);
        return;
    }
  }
  if (stage_ == RunStage::kWaiting && started_ && wait_deadline_ <= now) {
    give_up("still " + std::to_string(live_peers()) + " of " +
                plural(needed_peers(), "peer") + " after quorum-timeout",
            now, out);
    return;
  }
  if (keepalive_due_ <= now) send_keepalives(now, out);
}

void Coordinator::enter(RunStage next, const char* why) {
  transition<RunStage>(stage_, next, why, kStageTransitions, kRunStageNames);
}

// --- helpers ----------------------------------------------------------------

void Coordinator::send(Member& member, protocol::Body body, TimePoint now,
                       Out& out) {
  protocol::Message message = message_to(member, std::move(body), now);
  out.emplace_back(SendMessage{member.connection, std::move(message)});
}

protocol::Message Coordinator::message_to(Member& member, protocol::Body body,
                                          TimePoint now) {
  // While a round is open its number is the current one; between rounds, what
  // is said concerns the round completed last.
  const bool open =
      stage_ == RunStage::kCollecting || stage_ == RunStage::kGenerating;
  member.last_sent = now;
  keepalive_due_ = std::min(keepalive_due_, now + silence_allowed(member));
  return {config_.run, config_.incarnation,
          open ? current() : position_.completed, member.id, std::move(body)};
}

bool Coordinator::has_its_key(ConnectionId connection,
                              const protocol::Hello& hello,
                              const PublicKey& key, Out& out) const {
  if (key == PublicKey{}) return true;
  const auto known = position_.names.find(hello.name);
  if (known == position_.names.end()) return true;
  const auto its = position_.keys.find(known->second);
  if (its == position_.keys.end() || its->second == key) return true;
  refuse_hello(connection, hello, protocol::ErrorCode::kUnauthorised,
               "peer " + hello.name +
                   " of this run has another key: start it with the key that "
                   "it had, or give the new key a name of its own in "
                   "authorized_peers",
               out);
  return false;
}

bool Coordinator::knows(ConnectionId connection) const {
  return on_connection_.contains(connection) ||
         early_hellos_.connections().contains(connection);
}

const Member* Coordinator::find(ConnectionId connection, PeerId peer) const {
  const auto it = members_.find(peer);
  if (it == members_.end() || it->second.presence == Presence::kAbsent ||
      it->second.connection != connection)
    return nullptr;
  return &it->second;
}

Member* Coordinator::find(ConnectionId connection, PeerId peer) {
  return const_cast<Member*>(std::as_const(*this).find(connection, peer));
}

}  // namespace mdgan
