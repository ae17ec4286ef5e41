// The run's course between rounds: when it is saved, and how it ends.

#include <algorithm>
#include <string>
#include <utility>

#include "server/core/coordinator.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// So many checkpoints may be on their way to the disk, of which peers keep as
// many; and a further one is not begun where the last takes longer than this.
constexpr int kSavesAtOnce = 3;
constexpr Duration kSlowSave = 1s;
// When a checkpoint that could not be written is tried again.
constexpr Duration kSaveAgain = 30s;

}  // namespace

void Coordinator::on(const CheckpointSaved& e, TimePoint now, Out&) {
  saving_ = std::max(saving_ - 1, 0);
  if (e.ok)
    durable_ = std::max(durable_, e.round);
  else
    save_again_ = now + kSaveAgain;
}

void Coordinator::on(const StopRequested& e, TimePoint now, Out& out) {
  if (!std::exchange(stopping_, true)) stop_code_ = e.code;
  evaluations_.clear();
  if (stage_ == RunStage::kWaiting) {
    end_round(now, out);
    return;
  }
  out.emplace_back(
      Note{"stopping: this round is finished first, if its peers "
           "answer within " +
               std::to_string(kStopGrace / 1s) + " s",
           true});
  for (auto& [number, round] : rounds_) round.deadline.stop(now);
  for (auto& [id, exchange] : exchanges_) {
    exchange_ends_.erase({exchange.deadline, id});
    exchange.deadline = std::min(exchange.deadline, now + kStopGrace);
    exchange_ends_.emplace(exchange.deadline, id);
  }
}

bool Coordinator::anybody_contributed() const {
  return std::ranges::any_of(members_,
                             [](const auto& m) { return m.second.taken_part; });
}

bool Coordinator::all_failed() const {
  // Before anybody has contributed, a stranger may be all that is there.
  return anybody_contributed() &&
         std::ranges::all_of(members_, [&](const auto& m) {
           return !m.second.taken_part || failed_.contains(m.first);
         });
}

void Coordinator::give_up(const std::string& why, TimePoint now, Out& out) {
  save(now, out);
  std::string diverged;
  std::uint32_t count = 0;
  for (const PeerId id : failed_) {
    diverged += (diverged.empty() ? "" : ", ") + members_.at(id).name;
    count += members_.at(id).taken_part ? 1U : 0U;
  }
  const bool only_answers = invalid_attempts_ >= kInvalidAttempts;
  if (only_answers || (count > 0 && live_peers() + count >= needed_peers()))
    finish(ExitCode::kDiverged,
           {protocol::Reason::kFailed,
            why + "; these failed or sent answers that cannot be used: " +
                diverged +
                ". A lower learning rate, or a checkpoint of before, may help"},
           out);
  else
    finish(ExitCode::kBelowQuorum,
           {protocol::Reason::kStopped,
            why + "; the same command goes on with the run", true},
           out);
}

// After the round's swap, if it had one: save, stop or go on.
void Coordinator::end_round(TimePoint now, Out& out) {
  const Round done = position_.completed;
  const bool last = done.value >= config_.rounds;
  const bool periodic =
      config_.checkpoint_every > 0 &&
      passes(done.value, report_.steps, config_.checkpoint_every);
  const bool again = save_again_ && *save_again_ <= now && saving_ == 0;
  // A disk that hangs does not stop training.
  const bool disk_keeps_up = saving_ == 0 || (saving_ < kSavesAtOnce &&
                                              now - saving_since_ < kSlowSave);
  if (periodic && !disk_keeps_up) save_again_ = now;  // once it is free
  if (started_ && (last || stopping_ || (periodic && disk_keeps_up) || again))
    save(now, out);
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
  ++saving_;
  saving_since_ = now;
  save_again_.reset();
  for (auto& [id, member] : members_)
    if (member.presence == Presence::kLive)
      send(member, protocol::Checkpoint{durable_}, now, out);
  out.emplace_back(SaveCheckpoint{position_.completed});
}

void Coordinator::finish(ExitCode code, protocol::Goodbye goodbye, Out& out) {
  if (goodbye.reason != protocol::Reason::kDone) evaluations_.clear();
  farewell_ = goodbye;
  for (auto& [id, member] : members_)
    if (member.presence != Presence::kAbsent)
      out.emplace_back(SendMessage{member.connection,
                                   {config_.run, config_.incarnation,
                                    position_.completed, id, goodbye}});
  for (const auto& [connection, hellos] : early_hellos_.connections())
    out.emplace_back(SendMessage{
        connection,
        {config_.run, config_.incarnation, position_.completed, {}, goodbye}});
  enter(RunStage::kFinished, "the run ends");
  out.emplace_back(Finish{code, std::move(goodbye.text)});
}

}  // namespace mdgan
