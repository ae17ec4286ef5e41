// Requests to a run's page, and a run's files for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "server/run/run_status.h"
#include "server/view/page_server.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

inline constexpr double kNow = 1'800'000'000;
inline const std::string kToken = "a-token-of-a-test-0123456789";

inline HttpRequest get(std::string path, std::string query = {}) {
  HttpRequest request;
  request.path = std::move(path);
  request.query = std::move(query);
  request.host = "127.0.0.1:8080";
  return request;
}

inline nlohmann::json body(const HttpResponse& response) {
  REQUIRE(response.status == 200);
  REQUIRE(response.content_type == "application/json");
  return nlohmann::json::parse(response.body);
}

inline std::string sentence(RunView& view) {
  return body(view.answer(get("/api/status"), kNow))["sentence"];
}

inline std::string stats_line(std::uint64_t round, double loss) {
  return R"({"round":)" + std::to_string(round) + R"(,"d_loss":)" +
         std::to_string(loss) +
         R"(,"seconds":{"wait":0.5},"bytes_sent":100,"peers":2})" + "\n";
}

inline void write_status(const std::filesystem::path& run,
                         const std::string& name) {
  RunStatus status;
  status.pid = 1;
  status.state = ServerState::kTraining;
  status.view.completed = Round{120};
  status.view.rounds = 400;
  status.view.live = 1;
  status.updated = std::chrono::system_clock::time_point(
      std::chrono::seconds(static_cast<std::int64_t>(kNow)));
  MemberView member;
  member.name = name;
  member.presence = Presence::kLive;
  status.view.members = {member};
  for (int i = 0; i < 3; ++i)
    status.view.answers.add(std::chrono::milliseconds(300));
  status.view.answers.add(std::chrono::milliseconds(40'600));
  write_text(run / "status.json", to_json(status));
}

}  // namespace mdgan::test
