// events.jsonl: what happened in a run.
#include "server/run/events_file.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "common/files/jsonl.h"
#include "tests/support/catch.h"
#include "tests/support/posted_tasks.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::vector<json> lines_of(const fs::path& file) {
  std::vector<json> all;
  std::istringstream text(read_text(file));
  for (std::string line; std::getline(text, line);)
    all.push_back(json::parse(line));
  return all;
}

}  // namespace

TEST_CASE("events.jsonl has a line for what happened, with round and time") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "events.jsonl";
  PostedTasks tasks;
  auto events = EventsFile::open(file, tasks.post());
  REQUIRE(events);
  events->on_note({"peer 0 (a) joined", false, NoteKind::kJoined, "a\xff"},
                  Round{0});
  events->on_note({"training starts"}, Round{0});  // no event
  events->on_note({"the disk is slow", true}, Round{7});
  CHECK(tasks.all.size() == 1);  // one task writes all that waits
  CHECK(read_text(file).empty());
  events->on_checkpoint(Round{10}, {});
  events->on_checkpoint(Round{11}, Error{"the disk is full"});
  tasks.run();
  CHECK(lines_of(file).size() == 4);
  CoordinatorView view;
  view.completed = Round{12};
  events->on_view(view, {});
  events->on_finished({ExitCode::kStopped, "stopped"});  // nobody runs tasks

  const std::vector<json> lines = lines_of(file);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0]["event"] == "joined");
  CHECK(lines[0]["peer"] == "a\xEF\xBF\xBD");
  CHECK(lines[0]["round"] == 0);
  CHECK(lines[0]["time"].get<double>() > 1.7e9);
  CHECK(lines[1]["event"] == "fault");
  CHECK(lines[1]["round"] == 7);
  CHECK_FALSE(lines[1].contains("peer"));
  CHECK(lines[2]["event"] == "checkpoint");
  CHECK(lines[2]["round"] == 10);
  CHECK(lines[3]["text"] == "the disk is full");
  CHECK(lines[4]["event"] == "finished");
  CHECK(lines[4]["code"] == 10);
  CHECK(lines[4]["round"] == 12);

  // A run that goes on after round 10 has not seen what came later.
  write_text(file, read_text(file) + "{\"round\": 3, \"ev");
  REQUIRE(truncate_after_round(file, Round{10}));
  CHECK(lines_of(file).size() == 3);
}

TEST_CASE("a swap's line says who gave to whom, unless they are many") {
  const TemporaryDirectory folder;
  PostedTasks tasks;
  auto events = EventsFile::open(folder / "events.jsonl", tasks.post());
  REQUIRE(events);
  Note swap{"swap after round 3", false, NoteKind::kSwap, "", {}};
  for (std::uint32_t i = 0; i < 64; ++i)
    swap.edges.push_back({PeerId{i}, PeerId{(i + 1) % 64}});
  events->on_note(swap, Round{3});
  swap.edges.push_back({PeerId{64}, PeerId{65}});
  events->on_note(swap, Round{4});
  tasks.run();
  const std::vector<json> lines = lines_of(folder / "events.jsonl");
  REQUIRE(lines.size() == 2);
  REQUIRE(lines[0]["from"].size() == 64);
  CHECK(lines[0]["from"][63] == 63);
  CHECK(lines[0]["to"][63] == 0);
  CHECK_FALSE(lines[1].contains("from"));
}

TEST_CASE("a disk that hangs costs events, not memory") {
  const TemporaryDirectory folder;
  PostedTasks tasks;
  auto events = EventsFile::open(folder / "events.jsonl", tasks.post());
  REQUIRE(events);
  for (int i = 0; i < 5000; ++i) events->on_note({"slow", true}, Round{1});
  CHECK(tasks.all.size() == 1);
  tasks.run();
  CHECK(lines_of(folder / "events.jsonl").size() == 1000);
  events->on_note({"again", true}, Round{1});
  tasks.run();
  CHECK(lines_of(folder / "events.jsonl").size() == 1001);
}

}  // namespace mdgan::test
