// A session's start: the welcome, the discriminator that it asks for, and the
// server's refusals.

#include <utility>

#include "peer/core/session.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// How long to insist when the server holds our name for taken (PROTOCOL.md,
// "name in use"): longer than the heartbeat takes to find out that our previous
// process is dead.
constexpr Duration kNameInUseFor = 60s;

}  // namespace

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
  refusal_.clear();
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
        refusal_ = error.text;
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
  // This was restored for an earlier welcome: what the last one asks for is
  // still to come.
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

void Session::on(const RestoreFailed& e, TimePoint now, Out& out) {
  // Say hello once more; the host no longer offers the bad checkpoint.
  out.emplace_back(Report{e.reason, true});
  held_round_ = {};
  discriminator_ = {};
  out.emplace_back(SayToServer{to_server(protocol::Goodbye{
      protocol::Reason::kLeaving, "its checkpoint cannot be read"})});
  on(Connected{}, now, out);
}

}  // namespace mdgan
