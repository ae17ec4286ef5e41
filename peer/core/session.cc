#include "peer/core/session.h"

#include <algorithm>
#include <utility>

#include "common/base/transition.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kHelloEvery = 2s;
// The server speaks every 2 s. What is not for this session for so long while
// the connection lives was lost, or the server knows it no more.
constexpr Duration kSilence = 20s;
constexpr Duration kSilenceStep = 1s;  // so seldom it is set anew
// How long to insist when the server holds our name for taken (PROTOCOL.md,
// "name in use"): longer than the heartbeat takes to find out that our previous
// process is dead.
constexpr Duration kNameInUseFor = 60s;

}  // namespace

void Session::handle(const SessionEvent& event, TimePoint now, Out& out) {
  if (state_ == State::kOver) return;
  std::visit([&](const auto& e) { on(e, now, out); }, event);
}

std::optional<TimePoint> Session::next_deadline() const {
  if (state_ == State::kGreeting) return hello_due_;
  if (state_ == State::kOver) return std::nullopt;
  return silent_at_;
}

std::optional<PeerId> Session::peer() const {
  if (state_ == State::kGreeting || state_ == State::kOver) return std::nullopt;
  return peer_;
}

// --- events -----------------------------------------------------------------

void Session::on(const Connected&, TimePoint now, Out& out) {
  if (leave_when_done_) {  // there is no round left to finish
    leave(ExitCode::kOk, "left on request", out);
    return;
  }
  enter(State::kGreeting, "a new connection");
  open_.reset();
  batches_.clear();
  drop_transfers(out);
  greet(now, out);
}

void Session::on(const ClockTicked&, TimePoint now, Out& out) {
  if (state_ == State::kGreeting) {
    if (hello_due_ <= now) greet(now, out);
  } else if (silent_at_ <= now) {
    on(Connected{}, now, out);
  }
}

void Session::greet(TimePoint now, Out& out) {
  hello_due_ = now + kHelloEvery;
  out.emplace_back(SayHello{});
}

void Session::on(const ServerSaid& e, TimePoint now, Out& out) {
  const protocol::Message& message = e.message;
  if (silent_at_ < now + kSilence - kSilenceStep) silent_at_ = now + kSilence;
  if (std::holds_alternative<protocol::Welcome>(message.body)) {
    on_welcome(message, now, out);
    return;
  }
  if (const auto* error = std::get_if<protocol::ErrorReply>(&message.body)) {
    on_error(*error, now, out);
    return;
  }
  if (const auto* bye = std::get_if<protocol::Goodbye>(&message.body)) {
    switch (bye->reason) {
      case protocol::Reason::kDone:
      case protocol::Reason::kStopped:
        leave(bye->again ? ExitCode::kStopped : ExitCode::kOk,
              "the server says goodbye: " + bye->text, out);
        break;
      case protocol::Reason::kLeaving:
      case protocol::Reason::kFailed:
        leave(ExitCode::kUnreachable, "the server failed: " + bye->text, out);
        break;
    }
    return;
  }
  if (state_ == State::kGreeting || message.run != run_ ||
      message.incarnation != incarnation_) {
    ++counters_.refused;
    return;
  }
  if (std::holds_alternative<protocol::RoundBegin>(message.body)) {
    on_round(message, now, out);
  } else if (std::holds_alternative<protocol::Swap>(message.body)) {
    on_swap(message, out);
  } else if (const auto* commit =
                 std::get_if<protocol::Commit>(&message.body)) {
    on_commit(*commit, message.round, out);
  } else if (const auto* abort = std::get_if<protocol::Abort>(&message.body)) {
    on_abort(*abort, out);
  } else if (const auto* chunk = std::get_if<protocol::Chunk>(&message.body)) {
    on_chunk(*chunk, out);
  } else if (const auto* taken =
                 std::get_if<protocol::ChunksTaken>(&message.body)) {
    on_chunks_taken(*taken, out);
  } else if (const auto* checkpoint =
                 std::get_if<protocol::Checkpoint>(&message.body)) {
    keep_ = checkpoint->keep;
    if (state_ == State::kReady)
      out.emplace_back(SaveDiscriminator{message.round, discriminator_, keep_});
    else if (state_ == State::kPreparing)
      defer(message, out);
  } else if (const auto* progress =
                 std::get_if<protocol::Progress>(&message.body)) {
    progress_ = *progress;
  } else {
    ++counters_.refused;
  }
}

void Session::on(const BatchArrived& e, TimePoint, Out& out) {
  if (!open_ || open_->round != e.round) return;
  batches_.emplace_back(e.round, e.index);
  advance_round(out);
}

void Session::on(const TrainerPrepared& e, TimePoint now, Out& out) {
  if (state_ != State::kPreparing) return;
  if (e.error) {
    on(Failed{*e.error}, now, out);
    return;
  }
  switch (welcome_.start) {
    case protocol::Start::kFresh:
      out.emplace_back(InitialiseDiscriminator{});
      held_round_ = {};
      break;
    case protocol::Start::kKeep:
      break;
    case protocol::Start::kReceive:
      held_round_ = {};
      break;
    case protocol::Start::kRestore:
      held_round_ = welcome_.restore;
      // What the server tells so is that the exchange was committed.
      if (staged_ && staged_->round == welcome_.restore &&
          staged_->discriminator == welcome_.discriminator) {
        install_staged(out);
      } else {
        restoring_ = true;
        out.emplace_back(
            RestoreDiscriminator{welcome_.restore, welcome_.discriminator});
      }
      break;
  }
  discriminator_ = welcome_.discriminator;
  drop_staged(out);
  if (!restoring_) start(out);
}

void Session::on(const Restored&, TimePoint, Out& out) {
  // Of an earlier welcome: what the last one asks for is still to come.
  if (state_ != State::kPreparing || !std::exchange(restoring_, false)) return;
  start(out);
}

// The discriminator is there, or its copy is waited for.
void Session::start(Out& out) {
  enter(welcome_.start == protocol::Start::kReceive ? State::kReceiving
                                                    : State::kReady,
        "its discriminator is there");
  // Orders, rounds and transfers may have arrived meanwhile.
  obey_deferred(out);
}

void Session::on(const FeedbackComputed& e, TimePoint, Out& out) {
  if (!open_ || open_->ask != e.ask) return;  // of an earlier connection
  protocol::Feedback feedback;
  feedback.generated = open_->generated;
  out.emplace_back(SendFeedback{to_server(std::move(feedback))});
  held_round_ = open_->round;
  ++counters_.rounds;
  open_.reset();
  batches_.clear();
  if (leave_when_done_) {
    save_if_clean(out);
    out.emplace_back(SayToServer{
        to_server(protocol::Goodbye{protocol::Reason::kLeaving, "stopped"})});
    leave(ExitCode::kOk, "left on request", out);
  }
}

void Session::on(const RestoreFailed& e, TimePoint now, Out& out) {
  // Say hello once more; the host no longer offers the bad checkpoint.
  out.emplace_back(Report{e.reason, true});
  held_round_ = {};
  discriminator_ = {};
  out.emplace_back(SayToServer{to_server(protocol::Goodbye{
      protocol::Reason::kLeaving, "its checkpoint cannot be read"})});
  on(Connected{}, now, out);
}

void Session::on(const Failed& e, TimePoint, Out& out) {
  if (state_ != State::kGreeting)
    out.emplace_back(SayToServer{to_server(
        protocol::Goodbye{protocol::Reason::kFailed, e.error.message})});
  leave(e.error.code, e.error.message, out);
}

void Session::on(const ServerLost& e, TimePoint, Out& out) {
  save_if_clean(out);
  leave(e.error.code, e.error.message, out);
}

// Between rounds the discriminator is as of held_round_ and worth keeping; in
// the middle of one it is of no round that a run could go on from.
void Session::save_if_clean(Out& out) {
  if (state_ == State::kReady && held_round_.value > 0 &&
      !(open_ && open_->learning))
    out.emplace_back(SaveDiscriminator{held_round_, discriminator_, keep_});
}

void Session::on(const LeaveRequested&, TimePoint, Out& out) {
  // The round is finished first, unless that takes too long for who asks.
  if (open_ && open_->learning && !std::exchange(leave_when_done_, true))
    return;
  save_if_clean(out);
  if (state_ != State::kGreeting)
    out.emplace_back(SayToServer{
        to_server(protocol::Goodbye{protocol::Reason::kLeaving, "stopped"})});
  leave(ExitCode::kOk, "left on request", out);
}

// --- welcome and errors -----------------------------------------------------

void Session::on_welcome(const protocol::Message& message, TimePoint now,
                         Out& out) {
  const auto& welcome = std::get<protocol::Welcome>(message.body);
  const bool same_server =
      message.run == run_ && message.incarnation == incarnation_;
  // No copy could be had: the server now says to start in another way.
  const bool instead_of_copy = same_server &&
                               welcome_.start == protocol::Start::kReceive &&
                               welcome.start != protocol::Start::kReceive;
  if (state_ == State::kPreparing && instead_of_copy) {
    welcome_ = welcome;  // for when the trainer is there
    return;
  }
  const bool awaited = state_ == State::kGreeting ||
                       (state_ == State::kReceiving && instead_of_copy);
  if (!awaited) return;  // the answer to a hello said twice
  drop_transfers(out);
  if (message.run != run_) drop_staged(out);
  run_ = message.run;
  incarnation_ = message.incarnation;
  peer_ = message.peer;
  welcome_ = welcome;
  name_in_use_since_.reset();
  if (!welcome.warning.empty())
    out.emplace_back(Report{"the server warns: " + welcome.warning, true});
  enter(State::kPreparing, "welcomed");
  restoring_ = false;
  const auto codecs = protocol::parse_codecs(welcome.codecs);
  if (!codecs) {
    on(Failed{codecs.error()}, now, out);
    return;
  }
  out.emplace_back(PrepareTrainer{peer_, welcome_, *codecs});
}

void Session::on_error(const protocol::ErrorReply& error, TimePoint now,
                       Out& out) {
  switch (error.code) {
    case protocol::ErrorCode::kUnknownPeer:
      if (state_ != State::kGreeting) on(Connected{}, now, out);
      break;
    case protocol::ErrorCode::kNameInUse:
      if (state_ != State::kGreeting) break;
      if (!name_in_use_since_) {
        name_in_use_since_ = now;
        out.emplace_back(Report{"refused for now: " + error.text, true});
      } else if (now - *name_in_use_since_ > kNameInUseFor) {
        leave(ExitCode::kConfiguration, error.text, out);
      }
      break;
    case protocol::ErrorCode::kSetAside:
      leave(ExitCode::kDiverged, "the server: " + error.text, out);
      break;
    case protocol::ErrorCode::kVersion:
    case protocol::ErrorCode::kMismatch:
    case protocol::ErrorCode::kFull:
      leave(ExitCode::kConfiguration, "refused by the server: " + error.text,
            out);
      break;
    case protocol::ErrorCode::kUnauthorised:
      leave(ExitCode::kAuthentication, "refused by the server: " + error.text,
            out);
      break;
    case protocol::ErrorCode::kData:
      leave(ExitCode::kData, "refused by the server: " + error.text, out);
      break;
    case protocol::ErrorCode::kMalformed:
    case protocol::ErrorCode::kState:
      out.emplace_back(Report{"the server reports: " + error.text, true});
      break;
  }
}

// --- rounds -----------------------------------------------------------------

void Session::on_round(const protocol::Message& message, TimePoint now,
                       Out& out) {
  if (staged_ && staged_->told && state_ != State::kPreparing) {
    // The exchange ended before the round began, and its end did not arrive.
    on(Connected{}, now, out);
    return;
  }
  if (state_ == State::kReceiving) {  // no discriminator to train yet
    ++counters_.refused;
    return;
  }
  const auto& begin = std::get<protocol::RoundBegin>(message.body);
  if (begin.steps > message.round.value) {
    ++counters_.refused;
    return;
  }
  open_ = OpenRound{message.round, begin.generated, begin.discriminated,
                    begin.steps, ++asks_};
  batches_.clear();
  advance_round(out);
}

// Gives the trainer its work as soon as the batches for it are there.
void Session::advance_round(Out& out) {
  if (state_ != State::kReady || !open_) return;
  const auto arrived = [&](std::uint32_t index) {
    return std::ranges::find(batches_, std::pair{open_->round, index}) !=
           batches_.end();
  };
  if (!open_->learning && arrived(open_->discriminated)) {
    open_->learning = true;
    out.emplace_back(Learn{open_->round, open_->discriminated, open_->steps});
  }
  if (open_->learning && !open_->computing && arrived(open_->generated)) {
    open_->computing = true;
    out.emplace_back(
        ComputeFeedback{open_->round, open_->generated, open_->ask});
  }
}

void Session::enter(State next, const char* why) {
  using enum State;
  static constexpr std::pair<State, State> kLegal[]{
      {kGreeting, kGreeting},   {kGreeting, kPreparing},
      {kGreeting, kOver},       {kPreparing, kReady},
      {kPreparing, kReceiving}, {kPreparing, kGreeting},
      {kPreparing, kOver},      {kReceiving, kReady},
      {kReceiving, kPreparing}, {kReceiving, kGreeting},
      {kReceiving, kOver},      {kReady, kGreeting},
      {kReady, kOver},
  };
  static constexpr std::pair<State, std::string_view> kNames[]{
      {kGreeting, "greeting"},   {kPreparing, "preparing"},
      {kReceiving, "receiving"}, {kReady, "ready"},
      {kOver, "over"},
  };
  transition<State>(state_, next, why, kLegal, kNames);
}

// --- helpers ----------------------------------------------------------------

protocol::Message Session::to_server(protocol::Body body) const {
  return {run_, incarnation_, open_ ? open_->round : held_round_, peer_,
          std::move(body)};
}

void Session::leave(ExitCode code, const std::string& text, Out& out) {
  drop_transfers(out);
  drop_staged(out);
  enter(State::kOver, "leaves");
  out.emplace_back(Leave{code, text});
}

}  // namespace mdgan
