// `mdgan-server stop`, with a shell's loop in the server's place.
#include <signal.h>

#include "server/commands/status.h"
#include "server/run/run_status.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/contains.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

void write_status(const fs::path& file, std::int64_t pid, ServerState state,
                  std::optional<Finish> finish = std::nullopt) {
  RunStatus status;
  status.pid = pid;
  status.state = state;
  status.view.completed = Round{40};
  status.view.rounds = 100;
  status.checkpoint = Round{40};
  status.finish = std::move(finish);
  status.updated = std::chrono::system_clock::now();
  write_text(file, to_json(status));
}

// Has the run's lock open, and counts the signals in a file. The first one ends
// it, with the status that lies in `end.json`.
ChildProcess fake_server(const fs::path& run) {
  ChildProcess server(
      {"/bin/sh", "-c",
       "cd '" + run.string() +
           "'; exec 9> lock; trap 'echo >> signals; sleep 0.2; "
           "mv end.json status.json; exit 10' TERM; touch ready; "
           "while :; do sleep 0.05 9>&-; done"},
      run / "log");
  REQUIRE(eventually([&] { return fs::exists(run / "ready"); }));
  return server;
}

}  // namespace

TEST_CASE("stop ends a run's server, waits, and says how it ended") {
  const TemporaryDirectory run;
  ChildProcess server = fake_server(run.path());
  write_status(run / "status.json", server.pid(), ServerState::kTraining);
  write_status(run / "end.json", server.pid(), ServerState::kFinished,
               Finish{ExitCode::kStopped, "stopped after round 40"});
  const auto stopped = stop_run({run.path().string()});
  REQUIRE(stopped);
  CHECK(contains(*stopped, {"exit code 10", "saved is round 40", "--resume"}));
  CHECK(server.wait() == 10);
  CHECK(read_text(run / "signals") == "\n");
  // Once more does nothing, and is no failure.
  const auto again = stop_run({run.path().string()});
  REQUIRE(again);
  CHECK(contains(*again, {"nothing to stop"}));
}

TEST_CASE("stop gives the code of a server that did not end well") {
  const TemporaryDirectory run;
  ChildProcess server = fake_server(run.path());
  write_status(run / "status.json", server.pid(), ServerState::kTraining);
  write_status(run / "end.json", server.pid(), ServerState::kFinished,
               Finish{ExitCode::kCheckpoint, "the disk is full"});
  const auto stopped = stop_run({run.path().string()});
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == ExitCode::kCheckpoint);
  CHECK(contains(stopped.error().message, {"the disk is full"}));
  // The run has failed, though nothing is left to stop.
  const auto again = stop_run({run.path().string()});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == ExitCode::kCheckpoint);
}

TEST_CASE("stop sends no second signal to a server that stops already") {
  const TemporaryDirectory run;
  ChildProcess server = fake_server(run.path());
  write_status(run / "status.json", server.pid(), ServerState::kStopping);
  write_status(run / "end.json", server.pid(), ServerState::kFinished,
               Finish{ExitCode::kOk, "the run is complete"});
  server.signal(SIGTERM);  // Ctrl-C, or another `stop`
  CHECK(stop_run({run.path().string()}));
  CHECK(server.wait() == 10);
  CHECK(read_text(run / "signals") == "\n");
}

TEST_CASE("stop signals no process that does not use the run's folder") {
  const TemporaryDirectory run;
  ChildProcess stranger({"/bin/sleep", "1000"}, run / "log");
  write_text(run / "lock", "");
  // The server was killed, and its number is another process's now.
  write_status(run / "status.json", stranger.pid(), ServerState::kTraining);
  const auto stopped = stop_run({run.path().string()});
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == ExitCode::kUnreachable);
  CHECK(contains(stopped.error().message, {"nothing to stop"}));
  CHECK(stranger.running());
}

}  // namespace mdgan::test
