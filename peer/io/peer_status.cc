#include "peer/io/peer_status.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/base/words.h"
#include "common/files/json_file.h"
#include "common/files/read_file.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

using OrderedJson = nlohmann::ordered_json;
using protocol::presentable;
using namespace json_file;  // NOLINT: for its readers of fields

// The file is written every second: an older one has its reason.
constexpr double kOld = 10;

template <typename T>
OrderedJson or_null(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

PeerStatus status_of(const OrderedJson& json) {
  PeerStatus status;
  status.pid = static_cast<std::int64_t>(number(field(json, "pid")));
  status.name = text(field(json, "name"));
  status.images = number(field(json, "images"));
  status.server = text(field(json, "server"));
  status.connected = truth(field(json, "connected"));
  status.since = real(field(json, "since"));
  status.insecure = truth(field(json, "insecure"));
  if (field(json, "peer").is_number_unsigned())
    status.peer = number(field(json, "peer"));
  status.round = number(field(json, "round"));
  status.rounds = number(field(json, "rounds"));
  status.live = number(field(json, "live"));
  status.needed = number(field(json, "needed"));
  status.answer_seconds = optional_real(field(json, "answer_seconds"));
  status.swaps = number(field(json, "swaps"));
  if (const OrderedJson& spent = field(json, "privacy"); spent.is_object())
    status.privacy =
        PrivacySpent{real(field(spent, "epsilon")), real(field(spent, "limit")),
                     real(field(spent, "delta")), number(field(spent, "steps")),
                     text(field(spent, "refusal"))};
  if (const OrderedJson& sent = field(json, "sent"); sent.is_object())
    for (const auto& [kind, bytes] : sent.items())
      status.sent[kind] = number(bytes);
  if (const OrderedJson& exit = field(json, "exit"); exit.is_object())
    status.exit =
        PeerStatus::Exit{static_cast<int>(number(field(exit, "code")) & 0xFFU),
                         text(field(exit, "reason"))};
  status.updated = real(field(json, "updated"));
  return status;
}

std::string connection_words(const PeerStatus& status, double now) {
  return fmt::format("{} {} for {}",
                     status.connected ? "connected to" : "no connection to",
                     presentable(status.server),
                     duration_words(std::max(0.0, now - status.since)));
}

std::string progress_words(const PeerStatus& status) {
  if (!status.peer) return "waits to be let in by the server";
  if (status.round == 0)
    return fmt::format("waits for training to start: {} of {}",
                       count_words(status.live), plural(status.needed, "peer"));
  return fmt::format("trains, round {} of {}", count_words(status.round),
                     count_words(status.rounds));
}

}  // namespace

std::string privacy_words(const PrivacySpent& spent) {
  return fmt::format("epsilon {:.2f} of {:g} at delta {:g}", spent.epsilon,
                     spent.limit, spent.delta);
}

std::string peer_sentence(const PeerStatus& status, bool runs, double now) {
  if (status.exit)
    return fmt::format("ended with exit code {} after round {}{}",
                       status.exit->code, count_words(status.round),
                       status.exit->reason.empty()
                           ? ""
                           : ": " + presentable(status.exit->reason));
  const double age = std::max(0.0, now - status.updated);
  if (age > kOld && !runs)
    return fmt::format(
        "this peer (process {}) is gone since {} ago, after round {}: it was "
        "killed, or its machine went down; start it again in the same folder, "
        "under the same name, to go on",
        status.pid, duration_words(age), count_words(status.round));
  std::string words =
      progress_words(status) + "; " + connection_words(status, now);
  if (status.answer_seconds)
    words +=
        fmt::format("; its last answer took {:.2f} s", *status.answer_seconds);
  if (age > kOld)
    words += fmt::format(
        "; that was {} ago: process {} hangs, or cannot write "
        "its folder",
        duration_words(age), status.pid);
  return words;
}

std::string to_json(const PeerStatus& status, int indent) {
  const OrderedJson json{
      {"schema", 1},
      {"pid", status.pid},
      {"name", status.name},
      {"images", status.images},
      {"server", status.server},
      {"connected", status.connected},
      {"since", status.since},
      {"insecure", status.insecure},
      {"peer", or_null(status.peer)},
      {"round", status.round},
      {"rounds", status.rounds},
      {"live", status.live},
      {"needed", status.needed},
      {"answer_seconds", or_null(status.answer_seconds)},
      {"swaps", status.swaps},
      {"privacy", status.privacy
                      ? OrderedJson{{"epsilon", status.privacy->epsilon},
                                    {"limit", status.privacy->limit},
                                    {"delta", status.privacy->delta},
                                    {"steps", status.privacy->steps},
                                    {"refusal", status.privacy->refusal}}
                      : OrderedJson()},
      {"sent", status.sent},
      {"exit", status.exit ? OrderedJson{{"code", status.exit->code},
                                         {"reason", status.exit->reason}}
                           : OrderedJson()},
      {"updated", status.updated},
  };
  return json.dump(indent, ' ', /*ensure_ascii=*/indent < 0,
                   OrderedJson::error_handler_t::replace) +
         '\n';
}

Result<PeerStatus> read_peer_status(const std::filesystem::path& file) {
  const auto bytes = read_file(file, ExitCode::kCheckpoint);
  if (!bytes) return bytes.error();
  const OrderedJson json = parsed<OrderedJson>(*bytes);
  if (!json.is_object() || field(json, "schema") != 1)
    return Error{file.string() +
                     " is damaged, or of another version of this "
                     "program",
                 ExitCode::kCheckpoint};
  return status_of(json);
}

std::string peer_status_text(const PeerStatus& status, bool runs, double now) {
  std::string all = peer_sentence(status, runs, now) + "\n";
  all += fmt::format(
      "peer {}{}: {}; {} received\n", clipped(presentable(status.name), 100),
      status.peer ? fmt::format(" (number {})", *status.peer) : "",
      plural(status.images, "image"), plural(status.swaps, "discriminator"));
  if (status.privacy)
    all += fmt::format("privacy: {} after {} on its images{}\n",
                       privacy_words(*status.privacy),
                       plural(status.privacy->steps, "step"),
                       status.privacy->refusal.empty()
                           ? ""
                           : "; " + presentable(status.privacy->refusal));
  if (status.insecure) all += "INSECURE: others can read what is sent\n";
  std::vector<std::vector<std::string>> rows{{"what left this process", ""}};
  for (const auto& [kind, count] : status.sent)
    if (count > 0)
      rows.push_back({clipped(presentable(kind), 40), bytes_words(count)});
  return all + "\n" +
         (rows.size() > 1 ? table_text(rows)
                          : "nothing has left this process\n");
}

}  // namespace mdgan
