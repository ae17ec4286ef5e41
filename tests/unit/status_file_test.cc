#include "server/run/status_file.h"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/worker_pool.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

// What is posted waits until it is run.
struct Tasks {
  StatusFile::Post post() {
    return
        [this](std::function<void()> task) { all.push_back(std::move(task)); };
  }
  std::size_t run() {
    const auto now = std::exchange(all, {});
    for (const auto& task : now) task();
    return now.size();
  }
  std::vector<std::function<void()>> all;
};

nlohmann::json parsed(const fs::path& file) {
  return nlohmann::json::parse(read_text(file));
}

CoordinatorView some_view(TimePoint now) {
  CoordinatorView view;
  view.stage = RunStage::kCollecting;
  view.started = true;
  view.completed = Round{40};
  view.rounds = 100;
  view.live = 1;
  view.needed = 1;
  MemberView live;
  live.id = PeerId{0};
  live.name = "one";
  live.presence = Presence::kLive;
  live.shard_size = 250;
  live.endpoint = "tcp://10.0.0.1:5000";
  live.last_heard = now - 2s;
  live.owes_since = now - 500ms;
  live.in_exchange = true;
  live.missed = 3;
  MemberView absent;
  absent.id = PeerId{7};
  absent.name = "two";
  view.members = {live, absent};
  return view;
}

RunState some_run() {
  RunState run;
  run.run.fill(std::byte{0xab});
  run.incarnation = 2;
  run.position.completed = Round{30};
  run.generator.push_back({"weights", {}});  // as in a checkpoint
  return run;
}

}  // namespace

TEST_CASE("status.json says how a run stands, from its start to its end") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "status.json";
  Tasks tasks;
  StatusFile status(file, 100, tasks.post());
  tasks.run();
  nlohmann::json json = parsed(file);
  CHECK(json["schema"] == 1);
  CHECK(json["pid"] == ::getpid());
  CHECK(json["state"] == "starting");
  CHECK(json["rounds"] == 100);
  for (const char* unknown :
       {"incarnation", "run", "endpoint", "seconds_left", "rounds_per_second",
        "checkpoint", "waiting", "exit"})
    CHECK(json[unknown].is_null());

  const TimePoint now{1h};
  status.set_run(some_run());
  status.on_endpoint("tcp://127.0.0.1:4711");
  status.on_state(ServerState::kListening);
  tasks.run();
  json = parsed(file);
  CHECK(json["state"] == "listening");
  CHECK(json["endpoint"] == "tcp://127.0.0.1:4711");
  CHECK(json["insecure"] == false);
  CHECK(json["incarnation"] == 2);
  CHECK(json["run"] == "abababababababababababababababab");
  CHECK(json["round"] == 30);
  CHECK(json["checkpoint"] == 30);

  StatsRecord tick;
  tick.seconds_per_round = 0.5;
  tick.rounds_per_second = 2;
  status.on_tick(tick);
  status.on_checkpoint(Round{40}, {});
  status.on_checkpoint(Round{50}, Error{"the disk is full"});
  status.on_view(some_view(now), now);
  status.on_state(ServerState::kTraining);
  tasks.run();
  json = parsed(file);
  CHECK(json["state"] == "training");
  CHECK(json["round"] == 40);
  CHECK(json["rounds"] == 100);
  CHECK(json["rounds_per_second"] == 2);
  CHECK(json["seconds_left"] == 30);  // 60 rounds
  CHECK(json["checkpoint"] == 40);
  CHECK(json["live"] == 1);
  CHECK(json["needed"] == 1);
  CHECK(json["updated"].get<double>() > 1.7e9);
  REQUIRE(json["peers"].size() == 2);
  CHECK(json["peers"][0] == nlohmann::json{{"id", 0},
                                           {"name", "one"},
                                           {"presence", "live"},
                                           {"shard", 250},
                                           {"endpoint", "tcp://10.0.0.1:5000"},
                                           {"heard", 2.0},
                                           {"owes", 0.5},
                                           {"exchanging", true},
                                           {"missed", 3},
                                           {"answer_p50", nullptr},
                                           {"answer_p95", nullptr}});
  CHECK(json["peers"][1]["presence"] == "absent");
  CHECK(json["peers"][1]["heard"].is_null());
  CHECK(json["peers"][1]["owes"].is_null());

  status.on_finished({ExitCode::kBelowQuorum, "too few peers"});
  json = parsed(file);  // nobody has run what was posted
  CHECK(json["state"] == "finished");
  CHECK(json["endpoint"].is_null());
  CHECK(json["exit"]["code"] == 8);
  CHECK(json["exit"]["reason"] == "too few peers");
  CHECK(json["round"] == 40);
  tasks.run();
  CHECK(parsed(file)["state"] == "finished");
}

TEST_CASE("status.json names who was refused, and for whom a run waits") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "status.json";
  Tasks tasks;
  StatusFile status(file, 100, tasks.post());
  CoordinatorView view;
  view.needed = 1;
  for (int i = 0; i < 2; ++i)
    status.on_refused({"small", "10.0.0.7", "has 3 images"});
  status.on_view(view, TimePoint{1h});
  tasks.run();
  const auto json = parsed(file);
  CHECK(json["waiting"] == "waiting for 1 of 1 peer: small (refused)");
  REQUIRE(json["refused"].size() == 1);
  const auto& refused = json["refused"][0];
  CHECK(refused["name"] == "small");
  CHECK(refused["address"] == "10.0.0.7");
  CHECK(refused["reason"] == "has 3 images");
  CHECK(refused["times"] == 2);
  CHECK(refused["last"].get<double>() > 1.7e9);
}

TEST_CASE("names in status.json are what strangers say: any bytes") {
  RunStatus status;
  const std::string name = "a\"b\\\n</script>\xff\xc3\x28 \xe2\x82\xac";
  status.view.members.emplace_back().name = name;
  const auto json = nlohmann::json::parse(to_json(status));
  CHECK(json["peers"][0]["name"] ==
        "a\"b\\\n</script>\xef\xbf\xbd\xef\xbf\xbd( \xe2\x82\xac");
}

TEST_CASE("status.json is written at new states and once a second") {
  const TemporaryDirectory folder;
  Tasks tasks;
  StatusFile status(folder / "status.json", 100, tasks.post());
  CHECK(tasks.run() == 1);
  const TimePoint now{1h};
  status.on_view(some_view(now), now);
  CHECK(tasks.run() == 1);
  for (const auto after : {10ms, 500ms, 999ms}) {
    status.on_view(some_view(now), now + after);
    CHECK(tasks.run() == 0);
  }
  status.on_tick({});
  CHECK(tasks.run() == 0);
  status.on_state(ServerState::kPaused);
  CHECK(tasks.run() == 1);
  status.on_view(some_view(now), now + 1s);
  CHECK(tasks.run() == 1);
}

TEST_CASE("behind a slow disk waits the newest status, and it alone") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "status.json";
  Tasks tasks;
  StatusFile status(file, 100, tasks.post());
  CHECK_FALSE(fs::exists(file));  // not in this thread
  for (int i = 0; i < 100; ++i) {
    status.on_state(ServerState::kPaused);
    status.on_state(ServerState::kTraining);
  }
  CHECK(tasks.run() == 1);
  CHECK(parsed(file)["state"] == "training");
  status.on_state(ServerState::kStopping);
  CHECK(tasks.run() == 1);
  CHECK(parsed(file)["state"] == "stopping");
}

TEST_CASE("who reads status.json meets whole ones while it is written") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "status.json";
  WorkerPool pool(1, [] {});
  Strand strand(pool);
  const auto wait_for_writes = [&strand] {
    std::promise<void> done;
    strand.post([&done] { done.set_value(); });
    done.get_future().wait();
  };
  StatusFile status(file, 100,
                    [&strand](auto task) { strand.post(std::move(task)); });
  wait_for_writes();
  std::atomic<bool> over = false;
  std::jthread loop([&] {
    CoordinatorView view;
    for (std::size_t i = 0; i < 500; ++i) {
      view.members.resize(i % 2 == 0 ? 200 : 1);
      status.on_view(view, TimePoint{});
      status.on_state(ServerState::kTraining);
      wait_for_writes();
    }
    status.on_finished({});
    over = true;
  });
  std::size_t broken = 0;
  while (!over) {
    std::ifstream in(file);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!nlohmann::json::accept(text)) ++broken;
  }
  CHECK(broken == 0);
  CHECK(parsed(file)["state"] == "finished");
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a status that cannot be written stops nothing") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "gone" / "status.json";
  Tasks tasks;
  StatusFile status(file, 100, tasks.post());
  tasks.run();
  CHECK_FALSE(fs::exists(file));
  fs::create_directory(folder / "gone");
  status.on_state(ServerState::kTraining);
  tasks.run();
  CHECK(parsed(file)["state"] == "training");
}

}  // namespace mdgan::test
