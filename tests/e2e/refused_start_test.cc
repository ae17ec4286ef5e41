// Starts that are refused, with the real programs: each says why, in time, and
// leaves what is there as it was.
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

// A run of two local peers, whole in one command.
Words local(const ProcessRun& t) {
  return {"--local-peers",      "2", "--data",          (t / "data").string(),
          "--rounds",           "6", "--samples-every", "3",
          "--checkpoint-every", "2"};
}

// Everything in the folder and what it holds, but the log, which every start
// writes, and the lock.
std::map<std::string, std::string> tree_of(const fs::path& folder) {
  std::map<std::string, std::string> tree;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    if (name == "log.txt" || name == "lock") continue;
    tree[name] =
        entry.is_regular_file() ? read_text(entry.path()) : "no plain file";
  }
  return tree;
}

// A run that has ended, with what a killed server leaves in it.
struct EndedRun {
  EndedRun() {
    REQUIRE(t.server("run", local(t)).wait() == 0);
    fs::create_directory(t / "run" / "checkpoints" / ".tmp-00000009-a1b2c3");
    write_text(t / "run" / "stats.jsonl",
               read_text(t / "run" / "stats.jsonl") + "\n{\"round\": 7, \"d_");
    write_text(t / "run" / "events.jsonl",
               read_text(t / "run" / "events.jsonl") + "{\"time\"");
    before = tree_of(t / "run");
  }
  // The exit code of the start, which says all of `words`.
  int refused(const Words& arguments,
              std::initializer_list<std::string_view> words) const {
    auto server = t.server("run", Words{"--rounds", "9"} + arguments);
    const auto code = server.wait();
    INFO(server.output());
    REQUIRE(code);
    CHECK(contains(server.output(), words));
    const auto after = tree_of(t / "run");
    for (const auto& [name, text] : before) {
      INFO(name);
      CHECK((after.contains(name) && after.at(name) == text));
    }
    CHECK(after.size() == before.size());
    return *code;
  }

  ProcessRun t;
  std::map<std::string, std::string> before;
};

}  // namespace

TEST_CASE("a start that is refused changes nothing") {
  const EndedRun run;
  const ProcessRun& t = run.t;
  write_bars(t / "larger", 100, 12);
  const std::string path = (t / "run").string();
  const auto resumed = [&](const Words& more) {
    return Words{"--resume", path} + more;
  };
  CHECK(run.refused(local(t) + Words{"--batch", "9"}, {"batch = 10, not 9"}) ==
        3);
  CHECK(run.refused(local(t) + Words{"--algorithm", "fl-gan"},
                    {"algorithm = md-gan, not fl-gan"}) == 3);
  CHECK(run.refused(resumed({"--model", "dcgan"}), {"not dcgan"}) == 3);
  CHECK(run.refused(resumed({"--data", (t / "larger").string()}),
                    {"not the size"}) == 3);
  CHECK(run.refused(resumed({"--data", (t / "none").string()}), {"none"}) == 6);
  CHECK(run.refused(resumed({"--image", "1x9x9"}), {"image size"}) == 3);
  CHECK(run.refused(resumed({"--bind", "tcp://192.0.2.1:9", "--insecure"}),
                    {"192.0.2.1"}) == 5);
  CHECK(run.refused(resumed({"--http", "192.0.2.1:9", "--http-token",
                             (t / "data").string()}),
                    {"no plain file"}) == 4);
  CHECK(run.refused(resumed({"--device", "cuda:7"}), {"cuda"}) == 3);
  CHECK(run.refused(resumed({"--key", (t / "no.key").string(), "--bind",
                             "tcp://127.0.0.1:*"}),
                    {"no.key"}) == 4);
  CHECK(run.refused(resumed({"--evaluate-every", "1", "--evaluate-features",
                             (t / "none.pt").string()}),
                    {"none.pt"}) == 3);
  CHECK(run.refused(
            resumed({"--local-peers", "300", "--data", (t / "data").string()}),
            {"fewer than a batch"}) == 6);
  CHECK(run.refused(resumed({"--k", "1"}), {"k = 2, not 1"}) == 3);
  CHECK(run.refused(resumed({"--ema", "0"}), {"ema = 0.9", "not 0"}) == 3);
  CHECK(run.refused({"--resume", ""}, {"resume is empty", "leave it out"}) ==
        2);
  CHECK(run.refused({"--resume", (t / "none").string()}, {"none"}) == 2);
  CHECK_FALSE(fs::exists(t / "none"));
  auto right = t.server("run", local(t) + Words{"--rounds", "9"});
  const auto code = right.wait();
  INFO(right.output());
  CHECK(code == 0);
  CHECK(t.round("run") == 9);
  CHECK(read_text(t / "run" / "stats.jsonl").ends_with("}\n"));
}

TEST_CASE("a first start that is refused leaves no folder behind") {
  const ProcessRun t;
  const auto refused = [&](const Words& more) {
    auto server = t.server("run", local(t) + more);
    const auto code = server.wait();
    INFO(server.output());
    CHECK_FALSE(fs::exists(t / "run"));
    return code;
  };
  CHECK(refused({"--local-peers", "300"}) == 6);
  CHECK(refused({"--model", "dcgan"}) == 3);
  CHECK(refused({"--bind", "tcp://192.0.2.1:9", "--insecure"}) == 5);
  CHECK(refused({"--run-dir", ""}) == 2);
  // What was there before stays.
  fs::create_directory(t / "run");
  write_text(t / "run" / "mine.txt", "mine");
  CHECK(t.server("run", local(t) + Words{"--model", "dcgan"}).wait() == 3);
  CHECK(read_text(t / "run" / "mine.txt") == "mine");
  CHECK(t.server("run", local(t)).wait() == 0);
}

TEST_CASE("a public key's file is no secret key, whoever can read it") {
  const ProcessRun t;
  REQUIRE(t.tool({MDGAN_SERVER, "keygen", "--key", (t / "s.key").string()},
                 "keygen.out")
              .wait() == 0);
  fs::permissions(t / "s.pub", fs::perms::owner_read | fs::perms::owner_write);
  auto server =
      t.server("run", local(t) + Words{"--bind", "tcp://127.0.0.1:*", "--key",
                                       (t / "s.pub").string()});
  CHECK(server.wait() == 4);
  CHECK(has(server.output(), "is a public key's file"));
}

TEST_CASE("a start that is refused for the run's own files changes nothing") {
  EndedRun run;
  const ProcessRun& t = run.t;
  const fs::path path = t / "run";
  const auto replaced = [&](const std::string& name,
                            const std::function<void(const fs::path&)>& by) {
    fs::rename(path / name, t / "aside");
    by(path / name);
    run.before = tree_of(path);
    CHECK(run.refused(local(t), {name}) != 0);
    fs::remove_all(path / name);
    fs::rename(t / "aside", path / name);
  };
  const auto pipe = [](const fs::path& at) {
    REQUIRE(::mkfifo(at.c_str(), 0666) == 0);
  };
  const auto folder = [](const fs::path& at) { fs::create_directory(at); };
  for (const char* name :
       {"config.ini", "log.txt", "status.json", "stats.jsonl", "events.jsonl",
        "incarnation", "partition.json", "lock"}) {
    INFO(name);
    replaced(name, pipe);
    replaced(name, folder);
  }
  replaced("peers", [](const fs::path& at) { write_text(at, ""); });
  replaced("peers/local-1", [](const fs::path& at) { write_text(at, ""); });
  // These the run does not have yet.
  const auto in_the_way = [&](const std::string& name,
                              const std::function<void(const fs::path&)>& by) {
    by(path / name);
    run.before = tree_of(path);
    CHECK(run.refused(local(t) + Words{"--tensorboard"}, {name}) == 7);
    fs::remove_all(path / name);
  };
  in_the_way("tensorboard", [](const fs::path& at) { write_text(at, ""); });
  in_the_way("model.pt", folder);
  auto right = t.server("run", local(t) + Words{"--rounds", "9"});
  const auto code = right.wait();
  INFO(right.output());
  CHECK(code == 0);
  CHECK(t.round("run") == 9);
}

TEST_CASE(
    "fault 40: a start whose model does not fit the run changes nothing") {
  EndedRun run;
  const ProcessRun& t = run.t;
  // The model finds it out: all else was found to be right.
  const std::string words = "does not belong to this run's model";
  const Words resumed{"--resume", (t / "run").string()};
  const fs::path file = t / "run" / "config.ini";
  const std::string right = read_text(file);
  const std::string line = "\nlatent = 100\n";
  REQUIRE(contains(right, {line}));
  std::string edited = right;
  edited.replace(right.find(line), line.size(), "\nlatent = 50\n");
  write_text(file, edited);
  run.before = tree_of(t / "run");
  CHECK(run.refused(resumed, {"'generator.", words}) == 7);
  CHECK(run.refused(local(t) + Words{"--rounds", "9"},
                    {"'generator.", words}) == 7);
  write_text(file, right);
  auto again = t.server("run", local(t) + Words{"--rounds", "9"});
  const auto code = again.wait();
  INFO(again.output());
  CHECK(code == 0);
  CHECK(t.round("run") == 9);
}

TEST_CASE("fault 38: a run without a checkpoint that will do changes nothing") {
  EndedRun run;
  const ProcessRun& t = run.t;
  const fs::path checkpoints = t / "run" / "checkpoints";
  std::string words = "has trained";
  SECTION("all are damaged") {
    for (const auto& entry : fs::directory_iterator(checkpoints))
      if (fs::exists(entry.path() / "meta.json"))
        write_text(entry.path() / "meta.json", "{}");
    words = "is valid";
  }
  SECTION("all are gone") {
    for (const auto& entry : fs::directory_iterator(checkpoints))
      fs::remove_all(entry.path());
  }
  SECTION("their folder is gone") { fs::remove_all(checkpoints); }
  run.before = tree_of(t / "run");
  CHECK(run.refused(local(t), {words, "backup"}) == 7);
  CHECK(run.refused({"--resume", (t / "run").string()}, {words, "backup"}) ==
        7);
}

TEST_CASE("fault 37: a peer that cannot keep its state ends before it joins") {
  const ProcessRun t;
  auto server =
      t.server("run", {"--bind", "tcp://127.0.0.1:*", "--rounds", "1000000",
                       "--min-peers", "1", "--quorum-timeout", "600"});
  (void)t.endpoint("run");
  std::string words;
  Words more;
  fs::create_directory(t / "state");
  SECTION("its folder is a file") {
    write_text(t / "state" / "peer-0", "");
    words = "state/peer-0";
  }
  SECTION("the folder of all states is a file") {
    fs::remove(t / "state");
    write_text(t / "state", "");
    words = "state";
  }
  SECTION("a pipe has the name of its status") {
    fs::create_directory(t / "state" / "peer-0");
    REQUIRE(::mkfifo((t / "state" / "peer-0" / "status.json").c_str(), 0666) ==
            0);
    words = "status.json is a pipe";
  }
  SECTION("there can be no ledger of its privacy budget") {
    write_text(t / "state" / "privacy", "");
    more = {"--dp", "discriminator", "--dp-epsilon", "8"};
    words = "state/privacy";
  }
  auto peer = t.peer("run", 0, 2, more);
  const auto code = peer.wait();
  INFO(peer.output());
  CHECK(code == 7);
  CHECK(contains(peer.output(), {words}));
  server.signal(SIGTERM);
  CHECK(server.wait() == 10);
  CHECK_FALSE(contains(server.output(), {"joined"}));
}

}  // namespace mdgan::test
