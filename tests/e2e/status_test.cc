// status.json of real runs.
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

bool is(const nlohmann::json& status, const char* state) {
  return status.is_object() && status.at("state") == state;
}

// What endpoint() does not look at: of whichever server.
nlohmann::json status_in(const std::filesystem::path& run) {
  return nlohmann::json::parse(read_text(run / "status.json"));
}

}  // namespace

TEST_CASE("status.json follows a run: waiting, training, paused, stopped") {
  const ProcessRun t;
  auto server =
      t.server("run", {"--rounds", "1000000", "--min-peers", "2", "--quorum",
                       "1.0", "--bind", "tcp://127.0.0.1:0"});
  const std::string endpoint = t.endpoint("run");
  CHECK(endpoint.starts_with("tcp://127.0.0.1:"));
  CHECK_FALSE(endpoint.ends_with(":0"));
  REQUIRE(eventually([&] { return is(t.status("run"), "waiting"); }));
  auto one = t.peer("run", 0, 2);
  auto two = t.peer("run", 1, 2);
  REQUIRE(eventually([&] {
    const auto status = t.status("run");
    return is(status, "training") && status.at("round") > 0 &&
           !status.at("seconds_left").is_null();
  }));
  const nlohmann::json training = t.status("run");
  CHECK(training["pid"] == server.pid());
  CHECK(training["incarnation"] == 1);
  CHECK(training["endpoint"] == endpoint);
  CHECK(training["rounds"] == 1'000'000);
  CHECK(training["rounds_per_second"] > 0);
  CHECK(training["live"] == 2);
  CHECK(training["needed"] == 2);
  CHECK(training["exit"].is_null());
  REQUIRE(training["peers"].size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const nlohmann::json& peer = training["peers"][i];
    CHECK(peer["id"] == i);
    CHECK(peer["name"] == "peer-" + std::to_string(i));
    CHECK(peer["presence"] == "live");
    CHECK(peer["shard"] == 200);
    CHECK(peer["heard"] >= 0);
  }

  two.signal(SIGKILL);
  REQUIRE(eventually([&] { return is(t.status("run"), "paused"); }));
  CHECK(t.status("run")["peers"][1]["presence"] == "absent");
  CHECK(t.status("run")["live"] == 1);

  server.signal(SIGINT);
  REQUIRE(server.wait() == 0);
  const nlohmann::json finished = status_in(t / "run");
  CHECK(finished["state"] == "finished");
  CHECK(finished["exit"]["code"] == 0);
  CHECK(finished["exit"]["reason"].get<std::string>().starts_with("stopped"));
  CHECK(finished["endpoint"].is_null());
  CHECK(finished["round"] == finished["checkpoint"]);
  CHECK(finished["round"] == t.round("run"));

  // A start that is refused leaves it, and a server that goes on writes its
  // own.
  auto refused = t.server("run", {"--resume", (t / "run").string(), "--bind",
                                  "tcp://192.0.2.1:9", "--insecure"});
  REQUIRE(refused.wait() == 5);
  CHECK(status_in(t / "run") == finished);
  auto again = t.server(
      "run", {"--resume", (t / "run").string(), "--bind", "tcp://127.0.0.1:0"});
  (void)t.endpoint("run");
  CHECK(t.status("run")["run"] == finished["run"]);
  CHECK(t.status("run")["incarnation"] > 1);
  CHECK(t.status("run")["round"] == finished["round"]);
  again.signal(SIGKILL);
  CHECK(again.wait() == 128 + SIGKILL);
  CHECK_FALSE(is(status_in(t / "run"), "finished"));
}

TEST_CASE("a start whose page has no address changes no status") {
  const ProcessRun t;
  // A server on a port of the system's choice holds it meanwhile.
  auto holder = t.server(
      "holder", {"--rounds", "1000000", "--bind", "tcp://127.0.0.1:0"});
  const std::string taken = t.endpoint("holder").substr(6);
  auto refused = t.server("a", {"--http", taken});
  CHECK(refused.wait() == 5);
  CHECK_FALSE(std::filesystem::exists(t / "a" / "status.json"));
}

TEST_CASE("who waits for a server's endpoint hears that it has ended") {
  const ProcessRun t;
  auto server = t.server(
      "run", {"--data", (t / "nothing").string(), "--local-peers", "2"});
  CHECK_THROWS(t.endpoint("run"));
  CHECK(server.wait() != 0);
}

}  // namespace mdgan::test
