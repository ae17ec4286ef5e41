#include "peer/core/session.h"

#include <algorithm>
#include <utility>

#include "common/base/transition.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kHelloEvery = 2s;
// The server speaks every 2 s. What is not for this session for so long while
// the connection lives was lost, or the server knows it no more.
constexpr Duration kSilence = 20s;
constexpr Duration kSilenceStep = 1s;  // so seldom it is set anew

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
  forget_rounds();
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

void Session::hear(TimePoint now) {
  if (silent_at_ < now + kSilence - kSilenceStep) silent_at_ = now + kSilence;
}

void Session::on(const PartArrived&, TimePoint now, Out&) { hear(now); }

void Session::on(const ServerSaid& e, TimePoint now, Out& out) {
  const protocol::Message& message = e.message;
  hear(now);
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
  if (state_ == State::kGreeting)
    if (const auto* waits = std::get_if<protocol::Progress>(&message.body)) {
      progress_ = *waits;
      return;
    }
  if (state_ == State::kGreeting || message.run != run_ ||
      message.incarnation != incarnation_) {
    ++counters_.refused;
    return;
  }
  if (std::holds_alternative<protocol::RoundBegin>(message.body)) {
    on_round(message, now, out);
  } else if (const auto* swap = std::get_if<protocol::Swap>(&message.body)) {
    if (swap->receives && end_is_missing())
      on(Connected{}, now, out);
    else
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
  } else if (const auto* evaluate =
                 std::get_if<protocol::Evaluate>(&message.body)) {
    out.emplace_back(MeasureGenerator{run_, incarnation_, message.round,
                                      evaluate->classifier});
  } else if (const auto* progress =
                 std::get_if<protocol::Progress>(&message.body)) {
    progress_ = *progress;
  } else {
    ++counters_.refused;
  }
}

void Session::on(const BatchArrived& e, TimePoint, Out& out) {
  if (!is_asked_in(e.round)) return;
  batches_.emplace_back(e.round, e.index);
  advance_round(out);
}

void Session::on(const FeedbackComputed& e, TimePoint, Out& out) {
  if (!open_ || open_->ask != e.ask) return;  // of an earlier connection
  protocol::Feedback feedback;
  feedback.generated = open_->generated;
  out.emplace_back(SendFeedback{to_server(std::move(feedback))});
  held_round_ = open_->round;
  ++counters_.rounds;
  std::erase_if(batches_,
                [&](const auto& batch) { return batch.first == open_->round; });
  open_.reset();
  if (leave_when_done_) {
    save_if_clean(out);
    out.emplace_back(SayToServer{
        to_server(protocol::Goodbye{protocol::Reason::kLeaving, "stopped"})});
    leave(ExitCode::kOk, "left on request", out);
    return;
  }
  if (ahead_.empty()) return;
  open_ = ahead_.front();
  ahead_.pop_front();
  advance_round(out);
}

void Session::on(const GeneratorMeasured& e, TimePoint, Out& out) {
  if (state_ == State::kGreeting || e.run != run_ ||
      e.incarnation != incarnation_)
    return;  // for a server that is gone
  protocol::Message message = to_server(protocol::Evaluated{});
  message.round = e.round;
  out.emplace_back(SendEvaluated{std::move(message)});
}

void Session::on(const Failed& e, TimePoint, Out& out) {
  if (state_ != State::kGreeting)
    out.emplace_back(SayToServer{to_server(
        protocol::Goodbye{protocol::Reason::kFailed, e.error.message})});
  leave(e.error.code, e.error.message, out);
}

void Session::on(const ServerLost& e, TimePoint, Out& out) {
  save_if_clean(out);
  leave(e.error.code,
        e.error.message +
            (refusal_.empty()
                 ? ""
                 : "; before that the server refused this peer: " + refusal_),
        out);
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

// --- rounds -----------------------------------------------------------------

// Whether an exchange has ended, since the next order is there, and its end did
// not arrive: the server then tells by its welcome which discriminator is
// whose.
bool Session::end_is_missing() const {
  return staged_ && staged_->told && state_ != State::kPreparing;
}

void Session::on_round(const protocol::Message& message, TimePoint now,
                       Out& out) {
  if (end_is_missing()) {
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
  const OpenRound asked{message.round, begin.generated, begin.discriminated,
                        begin.steps, ++asks_};
  std::erase_if(batches_, [&](const auto& batch) {
    return batch.first == message.round;
  });
  const auto again = std::ranges::find(ahead_, asked.round, &OpenRound::round);
  if (again != ahead_.end()) {
    *again = asked;
    return;
  }
  if (open_ && open_->round != asked.round &&
      ahead_.size() < protocol::kMaxStaleness) {
    ahead_.push_back(asked);
    return;
  }
  // Asked anew; or more than may be, since what was open is not awaited.
  if (open_ && open_->round != asked.round) forget_rounds();
  open_ = asked;
  advance_round(out);
}

bool Session::is_asked_in(Round round) const {
  return (open_ && open_->round == round) || is_asked_ahead_in(round);
}

bool Session::is_asked_ahead_in(Round round) const {
  return std::ranges::find(ahead_, round, &OpenRound::round) != ahead_.end();
}

void Session::forget_rounds() {
  open_.reset();
  ahead_.clear();
  batches_.clear();
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
