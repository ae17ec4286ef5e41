#include "server/run/run_status.h"

#include <nlohmann/json.hpp>

#include "common/files/hash.h"
#include "protocol/training_spec.h"
#include "server/run/waiting.h"

namespace mdgan {
namespace {

using OrderedJson = nlohmann::ordered_json;

template <typename T>
OrderedJson or_null(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

OrderedJson text_or_null(const std::string& text) {
  return text.empty() ? OrderedJson() : OrderedJson(text);
}

double seconds_since_1970(std::chrono::system_clock::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

OrderedJson member_json(const MemberView& member, TimePoint seen) {
  const auto age = [seen](const std::optional<TimePoint>& then) {
    return then ? OrderedJson(seconds(seen - *then)) : OrderedJson();
  };
  return {{"id", member.id.value},
          {"name", member.name},
          {"presence", name_of(kPresenceNames, member.presence)},
          {"shard", member.shard_size},
          {"endpoint", member.endpoint},
          {"heard", age(member.last_heard)},
          {"owes", age(member.owes_since)},
          {"exchanging", member.in_exchange},
          {"missed", member.missed},
          {"answer_p50", or_null(member.answer_p50)},
          {"answer_p95", or_null(member.answer_p95)}};
}

OrderedJson answers_json(const AnswerHistogram& answers) {
  return {{"le", AnswerHistogram::kBounds},
          {"counts", answers.counts},
          {"sum", answers.sum}};
}

}  // namespace

std::string to_json(const RunStatus& status) {
  const CoordinatorView& view = status.view;
  const bool known = status.incarnation > 0;
  OrderedJson json{
      {"schema", 1},
      {"pid", status.pid},
      {"incarnation", known ? OrderedJson(status.incarnation) : OrderedJson()},
      {"run", known ? OrderedJson(to_hex(status.run)) : OrderedJson()},
      {"endpoint", text_or_null(status.endpoint)},
      {"insecure", status.insecure},
      {"state", name_of(kServerStateNames, status.state)},
      {"round", view.completed.value},
      {"rounds", view.rounds},
      {"rounds_per_second", or_null(status.rounds_per_second)},
      {"seconds_left", or_null(status.seconds_left)},
      {"checkpoint", status.checkpoint ? OrderedJson(status.checkpoint->value)
                                       : OrderedJson()},
      {"checkpoints_failed", status.checkpoints_failed},
      {"live", view.live},
      {"needed", view.needed},
      {"answers", answers_json(view.answers)},
      {"peers", OrderedJson::array()},
      {"refused", OrderedJson::array()},
      {"waiting", text_or_null(waiting_text(view, status.refusals))},
      {"exit",
       status.finish
           ? OrderedJson{{"code", static_cast<int>(status.finish->code)},
                         {"reason", status.finish->text}}
           : OrderedJson()},
      {"updated", seconds_since_1970(status.updated)},
  };
  for (const MemberView& member : view.members)
    json["peers"].push_back(member_json(member, status.seen));
  for (const Refusals::Entry& entry : status.refusals.entries())
    json["refused"].push_back({{"name", entry.refusal.name},
                               {"address", entry.refusal.address},
                               {"reason", entry.refusal.reason},
                               {"times", entry.times},
                               {"last", seconds_since_1970(entry.last)}});
  return json.dump(1, ' ', /*ensure_ascii=*/false,
                   OrderedJson::error_handler_t::replace) +
         '\n';
}

}  // namespace mdgan
