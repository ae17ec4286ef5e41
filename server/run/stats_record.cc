#include "server/run/stats_record.h"

#include <nlohmann/json.hpp>

namespace mdgan {

std::string to_json(const StatsRecord& record) {
  const PhaseSeconds& seconds = record.seconds;
  nlohmann::ordered_json json{
      {"schema", 1},
      {"round", record.round},
      {"d_loss", record.d_loss},
      {"g_loss", record.g_loss},
      {"feedback_norm", record.feedback_norm},
      {"seconds_per_round", record.seconds_per_round},
      {"seconds",
       {{"generate", seconds.generate},
        {"send", seconds.send},
        {"wait", seconds.wait},
        {"merge", seconds.merge},
        {"step", seconds.step}}},
      {"rounds_per_second", record.rounds_per_second},
      {"bytes_sent", record.bytes_sent},
      {"bytes_sent_apart", record.bytes_sent_apart},
      {"bytes_received", record.bytes_received},
      {"bytes_swapped", record.bytes_swapped},
      {"peers", record.peers},
      {"checkpoints_failed", record.checkpoints_failed},
      {"answers_refused", record.answers_refused},
      {"answers_not_whole", record.answers_not_whole},
      {"aggregate_fallbacks", record.aggregate_fallbacks},
  };
  if (record.evaluation)
    json["metrics"] =
        nlohmann::ordered_json::parse(to_json(*record.evaluation));
  return json.dump();
}

}  // namespace mdgan
