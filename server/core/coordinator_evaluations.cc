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
  if (!evaluations_.has_room()) {
    out.emplace_back(
        Note{"the generator of round " + std::to_string(round.value) +
                 " is not measured: peers are still at it with older ones "
                 "(evaluate-every could be larger)",
             true});
    return;
  }
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
    out.emplace_back(SendFeatures{
        member.connection, std::move(message),
        /*with_classifier=*/!std::exchange(member.has_classifier, true)});
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
  while (const auto round = evaluations_.take_ended(now))
    out.emplace_back(MergeEvaluations{*round});
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
