// status.json as it is read and told in words.
#include "server/run/saved_status.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "server/run/run_directory.h"
#include "server/run/run_status.h"
#include "server/run/status_text.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr double kWritten = 1'800'000'000;

MemberView member(std::uint32_t id, const std::string& name, Presence presence,
                  std::optional<TimePoint> heard = std::nullopt) {
  MemberView member;
  member.id = PeerId{id};
  member.name = name;
  member.presence = presence;
  member.last_heard = heard;
  return member;
}

RunStatus training() {
  RunStatus status;
  status.pid = 4711;
  status.state = ServerState::kTraining;
  status.view.completed = Round{12'400};
  status.view.rounds = 40'000;
  status.view.live = 2;
  status.view.needed = 3;
  status.seen = TimePoint{1h};
  status.rounds_per_second = 3.5;
  status.seconds_left = 7800;
  status.checkpoint = Round{12'000};
  status.endpoint = "tcp://10.0.0.1:5555";
  status.updated = std::chrono::system_clock::time_point(
      std::chrono::seconds(1'800'000'000));
  status.view.members = {
      member(0, "hospital-a", Presence::kLive, TimePoint{1h - 1s}),
      member(1, "hospital-b", Presence::kLive, TimePoint{1h - 2s}),
      member(2, "hospital-c", Presence::kAbsent, TimePoint{1h - 39s})};
  status.view.members[1].owes_since = TimePoint{1h - 7s};
  status.view.members[0].answer_p50 = 0.125;
  status.view.members[0].answer_p95 = 1.5;
  return status;
}

SavedStatus saved(const fs::path& run, const RunStatus& status) {
  write_text(run / "status.json", to_json(status));
  const auto read = read_status(run);
  if (!read) FAIL(read.error().message);
  return *read;
}

}  // namespace

TEST_CASE("a run that trains is one sentence, and a table of its peers") {
  const TemporaryDirectory folder;
  const SavedStatus status = saved(folder.path(), training());
  CHECK(status_sentence(status, RunUser::kPid, "runs/1", kWritten + 1) ==
        "training, round 12,400 of 40,000, 2 h 10 min left; 2 of 3 peers; "
        "hospital-c missing for 40 s");
  const std::string text =
      status_text(status, RunUser::kPid, "runs/1", kWritten + 1);
  CHECK(contains(text, {"peers connect to tcp://10.0.0.1:5555; 3.5 "
                        "rounds/s; saved is round 12,000"}));
  // The peers that need attention come first: those that are missing, then
  // those that owe an answer.
  const std::size_t c = text.rfind("hospital-c");
  const std::size_t b = text.rfind("hospital-b");
  CHECK(c < b);
  CHECK(b < text.rfind("hospital-a"));
  CHECK(contains(text.substr(b), {"3 s ago", "8 s"}));
  CHECK(contains(text.substr(text.rfind("hospital-a")), {"0.12 to 1.5 s"}));
  CHECK_FALSE(is_over(status, RunUser::kPid, kWritten + 300));
}

TEST_CASE("a run that everybody can take part in says so in its status") {
  const TemporaryDirectory folder;
  RunStatus status = training();
  const auto text = [&] {
    return status_text(saved(folder.path(), status), RunUser::kPid, "runs/1",
                       kWritten);
  };
  CHECK_FALSE(contains(text(), {"INSECURE"}));
  status.insecure = true;
  CHECK(
      contains(text(), {"\nINSECURE: everybody who reaches it takes part\n"}));
}

TEST_CASE("what a run waits for is shown once it takes long") {
  const TemporaryDirectory folder;
  RunStatus status = training();
  status.view.stage = RunStage::kCollecting;
  const auto text = [&] {
    return status_text(saved(folder.path(), status), RunUser::kPid, "runs/1",
                       kWritten);
  };
  CHECK(contains(text(), {"waiting for the answers of 1 of 2 peers"}));
  status.view.members[1].owes_since = TimePoint{1h - 1s};
  CHECK_FALSE(contains(text(), {"waiting for the answers"}));
}

TEST_CASE("a server that is gone is told in words, with what to do") {
  const TemporaryDirectory folder;
  RunStatus killed = training();
  SavedStatus status = saved(folder.path(), killed);
  CHECK(status_sentence(status, RunUser::kNobody, "runs/1", kWritten + 300) ==
        "the server (process 4711) is gone without having finished, since 5 "
        "min ago: it was killed, or its machine went down, after round 12,400 "
        "of 40,000; saved is round 12,000: mdgan-server train --resume runs/1 "
        "goes on");
  CHECK(is_over(status, RunUser::kNobody, kWritten + 300));
  CHECK_FALSE(is_over(status, RunUser::kNobody, kWritten + 2));
  // The file is fresh: maybe another machine writes it.
  CHECK(contains(
      status_sentence(status, RunUser::kNobody, "runs/1", kWritten + 2),
      {"on another one, or was killed just now"}));
  CHECK(contains(
      status_sentence(status, RunUser::kUnknown, "runs/1", kWritten + 300),
      {"that was 5 min ago", "process 4711"}));
  CHECK(
      contains(status_sentence(status, RunUser::kPid, "runs/1", kWritten + 60),
               {"that was 1 min ago: the server (process 4711) hangs"}));
  killed.checkpoint.reset();
  status = saved(folder.path(), killed);
  CHECK(contains(
      status_sentence(status, RunUser::kNobody, "runs/1", kWritten + 300),
      {"nothing is saved: start it again"}));
}

TEST_CASE("a run that has finished says how, and how to go on") {
  const TemporaryDirectory folder;
  RunStatus status = training();
  status.state = ServerState::kFinished;
  status.finish = Finish{ExitCode::kStopped, "stopped after round 12400"};
  CHECK(status_sentence(saved(folder.path(), status), RunUser::kNobody,
                        "runs/1", kWritten) ==
        "finished with exit code 10, round 12,400 of 40,000: stopped after "
        "round 12400; saved is round 12,000: mdgan-server train --resume "
        "runs/1 goes on");
  status.finish = Finish{ExitCode::kOk, "the run is complete"};
  status.view.completed = Round{40'000};
  CHECK(status_sentence(saved(folder.path(), status), RunUser::kNobody,
                        "runs/1", kWritten) ==
        "finished with exit code 0, round 40,000 of 40,000: the run is "
        "complete");
}

TEST_CASE("peers' names in a status do nothing to a terminal") {
  const TemporaryDirectory folder;
  RunStatus status = training();
  status.view.members = {member(0, "\x1b[2Jnasty\nline", Presence::kAbsent),
                         member(1, "\xE2\x80\xAEreversed", Presence::kLive),
                         member(2, std::string(5000, 'x'), Presence::kAbsent)};
  const SavedStatus read = saved(folder.path(), status);
  for (const std::string& text :
       {status_text(read, RunUser::kPid, "runs/1", kWritten), read.json}) {
    CHECK(text.find('\x1b') == text.npos);
    CHECK(text.find("\xE2\x80\xAE") == text.npos);
  }
  const std::string text = status_text(read, RunUser::kPid, "runs/1", kWritten);
  CHECK(contains(text, {"?[2Jnasty?line missing"}));
  CHECK(text.size() < 2000);
  CHECK(nlohmann::json::parse(read.json)["peers"][0]["name"] ==
        "\x1b[2Jnasty\nline");
}

TEST_CASE("a damaged or foreign status.json is refused, naming it") {
  const TemporaryDirectory folder;
  const auto error = [&](const std::string& text) {
    write_text(folder / "status.json", text);
    const auto read = read_status(folder.path());
    REQUIRE_FALSE(read);
    CHECK(read.error().code == ExitCode::kCheckpoint);
    CHECK(contains(read.error().message, {"status.json"}));
    return read.error().message;
  };
  CHECK(contains(error(""), {"is damaged"}));
  CHECK(contains(error("[1]"), {"is damaged"}));
  // What nests is not walked to its end.
  const std::string deep =
      std::string(200'000, '[') + std::string(200'000, ']');
  CHECK(
      contains(error("{\"schema\":1,\"peers\":" + deep + "}"), {"is damaged"}));
  CHECK(contains(error(R"({"schema": 2, "state": "training"})"),
                 {"another version"}));
  CHECK(contains(error(R"({"schema": 1, "state": "asleep"})"), {"unknown"}));
  CHECK_FALSE(read_status(folder / "nothing"));
  // Fields of other types are as if they were not there.
  write_text(folder / "status.json",
             R"({"schema": 1, "state": "training", "pid": -3, "round": "x",
                 "peers": [7, {"name": 1, "presence": []}], "exit": 3,
                 "updated": 1e308, "seconds_left": 1e300})");
  const auto read = read_status(folder.path());
  REQUIRE(read);
  CHECK(read->pid == 0);
  CHECK(read->peers.size() == 2);
  CHECK(
      contains(status_text(*read, RunUser::kUnknown, "runs/1", 0), {"? left"}));
}

TEST_CASE("who uses a run's folder is known by its lock") {
  const TemporaryDirectory folder;
  const fs::path run = folder / "run";
  {
    const auto directory = RunDirectory::open(run);
    REQUIRE(directory);
    CHECK(user_of(run, ::getpid()) == RunUser::kPid);
    // Not by the number alone, which another process may have now.
    CHECK(user_of(run, ::getppid()) == RunUser::kAnother);
    CHECK(user_of(run, 0) == RunUser::kAnother);
  }
  CHECK(user_of(run, ::getpid()) == RunUser::kNobody);
  CHECK(user_of(folder / "nothing", ::getpid()) == RunUser::kNobody);
  // Having been asked, it can be used again.
  CHECK(RunDirectory::open(run));
}

TEST_CASE("the run that is meant is the one that was heard of last") {
  const TemporaryDirectory folder;
  const auto none = find_run("", folder.path());
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ExitCode::kUsage);
  for (const char* name : {"00001-a", "00002-b", "00003-empty"})
    fs::create_directory(folder / name);
  write_text(folder / "00001-a" / "status.json", "{}");
  write_text(folder / "00002-b" / "status.json", "{}");
  fs::last_write_time(folder / "00002-b" / "status.json",
                      fs::last_write_time(folder / "00001-a" / "status.json") -
                          std::chrono::hours(1));
  CHECK(*find_run("", folder.path()) == folder / "00001-a");
  CHECK(*find_run("elsewhere", folder.path()) == "elsewhere");
}

}  // namespace mdgan::test
