// Evaluations by the peers: who is asked, and whose answers are merged.

#include <set>
#include <string>
#include <utility>

#include "server/core/coordinator.h"

namespace mdgan {

void Coordinator::begin_evaluation(Out& out) {
  const Round round = report_.round;
  if (config_.evaluate_every == 0 || stopping_ ||
      (round.value != config_.rounds &&
       !passes(round.value, report_.steps, config_.evaluate_every)))
    return;
  // A peer that never answers is not to keep later ones from being measured.
  if (!evaluations_.has_room())
    if (const auto oldest = evaluations_.take_oldest())
      merge_evaluation(*oldest, "before newer ones were begun", out);
  if (!evaluations_.has_room() && round.value != config_.rounds) {
    if (!std::exchange(evaluations_left_out_, true))
      out.emplace_back(
          Note{"the generator of round " + std::to_string(round.value) +
                   " is not measured, nor are others while the images of "
                   "older ones are being drawn (evaluate-every could be "
                   "larger)",
               true});
    return;
  }
  evaluations_left_out_ = false;
  evaluations_.begin(round);
  out.emplace_back(MakeFeatures{round});
}

void Coordinator::on(const FeaturesReady& e, TimePoint now, Out& out) {
  if (!evaluations_.is_begun(e.round)) return;
  if (!e.ok) {
    evaluations_.end(e.round);
    return;
  }
  std::set<PeerId> asked;
  for (auto& [id, member] : members_) {
    if (member.presence == Presence::kAbsent || !member.evaluates) continue;
    asked.insert(id);
    protocol::Message message =
        message_to(member, protocol::Evaluate{e.classifier, {}}, now);
    message.round = e.round;
    out.emplace_back(SendFeatures{member.connection, std::move(message)});
  }
  if (asked.empty())
    out.emplace_back(
        Note{"no peer measures the generator of round " +
                 std::to_string(e.round.value) +
                 ": none has images held out (mdgan-peer --evaluate-data)",
             true});
  evaluations_.ask(e.round, std::move(asked), now + config_.quorum_timeout);
  end_evaluations(now, out);
}

void Coordinator::on_evaluated(Member& member, const MessageArrived& e,
                               TimePoint now, Out& out) {
  const auto& evaluated = std::get<protocol::Evaluated>(e.message.body);
  const Round round = e.message.round;
  if (!evaluations_.awaits(round, member.id)) {
    ++counters_.unexpected;  // late, or said twice
    return;
  }
  evaluations_.answered(round, member.id);
  const std::string& why = e.defect.empty() ? evaluated.reason : e.defect;
  if (why.empty())
    out.emplace_back(KeepEvaluated{round, member.id, member.name, evaluated});
  else if (member_notes_.allows(now))
    out.emplace_back(Note{"peer " + std::to_string(member.id.value) + " (" +
                              member.name +
                              ") did not measure the generator of round " +
                              std::to_string(round.value) + ": " + why,
                          true});
  end_evaluations(now, out);
}

void Coordinator::end_evaluations(TimePoint now, Out& out) {
  while (const auto ended = evaluations_.take_ended(now))
    merge_evaluation(*ended, "within quorum-timeout", out);
}

void Coordinator::merge_evaluation(const SiteEvaluations::Ended& ended,
                                   const char* when, Out& out) {
  if (!ended.awaited.empty()) {
    std::string names;
    for (const PeerId id : ended.awaited)
      names += (names.empty() ? "" : ", ") + members_.at(id).name;
    out.emplace_back(Note{"the generator of round " +
                              std::to_string(ended.round.value) +
                              " was not measured " + when + " by " + names,
                          true});
  }
  out.emplace_back(MergeEvaluations{ended.round});
}

bool Coordinator::awaits_evaluated(ConnectionId connection,
                                   const protocol::Message& message) const {
  const Member* const member = find(connection, message.peer);
  return member != nullptr && message.run == config_.run &&
         message.incarnation == config_.incarnation &&
         std::holds_alternative<protocol::Evaluated>(message.body) &&
         evaluations_.awaits(message.round, message.peer);
}

// The run is over but for evaluations, for which its end waits.
void Coordinator::handle_after_the_end(const ServerEvent& event, TimePoint now,
                                       Out& out) {
  if (const auto* features = std::get_if<FeaturesReady>(&event)) {
    on(*features, now, out);
  } else if (const auto* arrived = std::get_if<MessageArrived>(&event)) {
    const protocol::Message& message = arrived->message;
    // Who comes back meanwhile is told the end with the others, once for all
    // peers of the connection.
    if (const auto* hello = std::get_if<protocol::Hello>(&message.body);
        hello != nullptr && arrived->defect.empty() &&
        position_.names.contains(hello->name) &&
        came_back_.insert(arrived->connection).second)
      out.emplace_back(SendMessage{arrived->connection,
                                   {config_.run,
                                    config_.incarnation,
                                    position_.completed,
                                    {},
                                    farewell_}});
    if (Member* const member = find(arrived->connection, message.peer);
        member != nullptr && message.run == config_.run &&
        message.incarnation == config_.incarnation) {
      if (std::holds_alternative<protocol::Evaluated>(message.body))
        on_evaluated(*member, *arrived, now, out);
      else if (std::holds_alternative<protocol::Goodbye>(message.body))
        evaluations_.lose(message.peer);
    }
  } else if (const auto* lost = std::get_if<ConnectionLost>(&event)) {
    if (const auto it = on_connection_.find(lost->connection);
        it != on_connection_.end())
      for (const PeerId id : it->second) evaluations_.lose(id);
  } else if (std::holds_alternative<StopRequested>(event)) {
    evaluations_.clear();
  }
  end_evaluations(now, out);
  // The goodbye follows when all is saved: peers are to wait for it.
  if (std::holds_alternative<TimePassed>(event)) send_keepalives(now, out);
}

}  // namespace mdgan
