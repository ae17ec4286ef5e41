#include "common/files/checkpoint_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "common/files/atomic_write.h"
#include "tests/support/catch.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

std::vector<NamedBlob> state_of(float value, std::size_t n = 4) {
  const std::vector<float> values(n, value);
  return {{"parameters", copy_blob({protocol::DType::kFloat32, {n}},
                                   std::as_bytes(std::span(values)))}};
}

float value_of(const SavedState& state) {
  float value = 0;
  REQUIRE(state.tensors.size() == 1);
  std::copy_n(state.tensors[0].blob.bytes.begin(), sizeof(value),
              std::as_writable_bytes(std::span(&value, 1)).begin());
  return value;
}

std::vector<std::uint64_t> rounds_of(const CheckpointStore& store) {
  std::vector<std::uint64_t> values;
  for (const Round round : store.rounds()) values.push_back(round.value);
  return values;
}

void save(CheckpointStore& store, std::uint64_t round, float value) {
  const auto saved = store.save(Round{round}, state_of(value), "{\"n\": 1}");
  INFO(saved.error().message);
  REQUIRE(saved);
}

// Names that begin with kTemporaryPrefix, anywhere below.
std::size_t temporaries(const fs::path& directory) {
  const fs::recursive_directory_iterator all(directory);
  return static_cast<std::size_t>(
      std::count_if(begin(all), end(all), [](const fs::directory_entry& e) {
        return e.path().filename().string().starts_with(kTemporaryPrefix);
      }));
}

TEST_CASE("a saved checkpoint loads again", "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir / "a" / "b", 3, 0);
  REQUIRE(store.open_for_writing());
  save(store, 7, 1.5F);
  CHECK(rounds_of(store) == std::vector<std::uint64_t>{7});
  const auto state = store.load(Round{7});
  REQUIRE(state);
  CHECK(value_of(*state) == 1.5F);
  CHECK(state->meta == "{\"n\": 1}");
  CHECK(state->tensors[0].name == "parameters");
  CHECK(fs::exists(dir / "a" / "b" / "00000007" / "manifest.json"));
  CHECK(temporaries(dir.path()) == 0);
}

TEST_CASE("an empty or missing directory has no checkpoint, without an error",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  const CheckpointStore store(dir / "missing", 3, 0);
  CHECK(store.rounds().empty());
  const auto latest = store.load_latest();
  REQUIRE(latest);
  CHECK_FALSE(latest->has_value());
  CHECK_FALSE(store.load(Round{1}));
  CHECK_FALSE(fs::exists(dir / "missing"));
}

TEST_CASE("the last checkpoints and the regular ones are kept",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 2, 100);
  REQUIRE(store.open_for_writing());
  for (std::uint64_t round = 25; round <= 275; round += 25)
    save(store, round, 1);
  CHECK(rounds_of(store) == std::vector<std::uint64_t>{100, 200, 250, 275});
  CHECK(temporaries(dir.path()) == 0);
}

TEST_CASE("of rounds that pass multiples the first checkpoint stays",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 1, 1000);
  REQUIRE(store.open_for_writing());
  for (std::uint64_t round = 600; round <= 4200; round += 600)
    save(store, round, 1);
  CHECK(rounds_of(store) == std::vector<std::uint64_t>{1200, 2400, 3000, 4200});
}

TEST_CASE("saving a round again replaces it, and removes later ones",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 3, 0);
  REQUIRE(store.open_for_writing());
  for (const std::uint64_t round : {10U, 20U, 30U}) save(store, round, 1);
  save(store, 20, 2);
  CHECK(rounds_of(store) == std::vector<std::uint64_t>{10, 20});
  const auto latest = store.load_latest();
  REQUIRE(latest);
  CHECK(value_of(**latest) == 2.0F);
  CHECK(temporaries(dir.path()) == 0);
}

TEST_CASE("rounds of more than eight digits are in order", "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 3, 0);
  REQUIRE(store.open_for_writing());
  save(store, 99'999'999, 1);
  save(store, 100'000'000, 2);
  const auto latest = store.load_latest();
  REQUIRE(latest);
  CHECK((*latest)->round == Round{100'000'000});
}

TEST_CASE("every flipped bit in a checkpoint is noticed", "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 3, 0);
  REQUIRE(store.open_for_writing());
  save(store, 5, 1);
  for (const char* name : {"state.safetensors", "meta.json", "manifest.json"}) {
    const fs::path path = dir / "00000005" / name;
    const std::string whole = read_text(path);
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      std::string damaged = whole;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
      write_text(path, damaged);
      const auto state = store.load(Round{5});
      INFO(name << ", bit " << bit);
      REQUIRE_FALSE(state);
      REQUIRE(state.error().code == ExitCode::kCheckpoint);
      REQUIRE(state.error().message.find(dir.path().string()) !=
              std::string::npos);
    }
    write_text(path, whole);
  }
  CHECK(store.load(Round{5}));
}

TEST_CASE("every truncated or missing file of a checkpoint is noticed",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 3, 0);
  REQUIRE(store.open_for_writing());
  save(store, 5, 1);
  for (const char* name : {"state.safetensors", "meta.json", "manifest.json"}) {
    const fs::path path = dir / "00000005" / name;
    const std::string whole = read_text(path);
    INFO(name);
    // The manifest ends with a line end that means nothing.
    const std::size_t shortest_good =
        whole.ends_with('\n') ? whole.size() - 1 : whole.size();
    for (std::size_t n = 0; n < shortest_good; ++n) {
      write_text(path, whole.substr(0, n));
      REQUIRE_FALSE(store.load(Round{5}));
    }
    fs::remove(path);
    REQUIRE_FALSE(store.load(Round{5}));
    write_text(path, whole);
  }
  CHECK(store.load(Round{5}));
}

TEST_CASE("a checkpoint under another round's name is refused",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 3, 0);
  REQUIRE(store.open_for_writing());
  save(store, 5, 1);
  fs::rename(dir / "00000005", dir / "00000006");
  CHECK_FALSE(store.load(Round{6}));
}

TEST_CASE("a damaged newest checkpoint gives way to the one before",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 3, 0);
  REQUIRE(store.open_for_writing());
  for (const std::uint64_t round : {1U, 2U, 3U})
    save(store, round, static_cast<float>(round));
  write_text(dir / "00000003" / "state.safetensors", "");
  fs::remove(dir / "00000002" / "manifest.json");
  auto latest = store.load_latest();
  REQUIRE(latest);
  CHECK((*latest)->round == Round{1});
  CHECK(value_of(**latest) == 1.0F);

  // Never a silent fresh start when all are damaged.
  fs::remove(dir / "00000001" / "meta.json");
  latest = store.load_latest();
  REQUIRE_FALSE(latest);
  CHECK(latest.error().code == ExitCode::kCheckpoint);
}

TEST_CASE("fault 38: a newest checkpoint that may be sound is not passed over",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 3, 0);
  REQUIRE(store.open_for_writing());
  save(store, 1, 1);
  save(store, 2, 2);
  const fs::path manifest = dir / "00000002" / "manifest.json";
  std::string why;
  SECTION("another version of the program has written it") {
    std::string text = read_text(manifest);
    const std::string version = "\"format_version\": 1";
    REQUIRE(text.find(version) != text.npos);
    text.replace(text.find(version), version.size(), "\"format_version\": 2");
    write_text(manifest, text);
    why = "has the format 2, and this program knows 1";
  }
  SECTION("it cannot be read") {
    const fs::path state = dir / "00000002" / "state.safetensors";
    fs::remove(state);
    fs::create_directory(state);
    why = "state.safetensors cannot be read";
  }
  const auto latest = store.load_latest();
  REQUIRE_FALSE(latest.ok());
  CHECK(latest.error().code == ExitCode::kCheckpoint);
  CHECK(latest.error().message.find(why) != std::string::npos);
  CHECK(fs::exists(manifest));
  // Without it the one before will do, whatever else lies there.
  fs::rename(dir / "00000002", dir / "aside");
  write_text(dir / "00000003", "");
  fs::create_directory(dir / "00000004");
  REQUIRE(::mkfifo((dir / "00000004" / "manifest.json").c_str(), 0600) == 0);
  const auto piped = store.load_latest();
  REQUIRE_FALSE(piped.ok());
  CHECK(piped.error().message.find("cannot be read") != std::string::npos);
  fs::remove_all(dir / "00000004");
  const auto before = store.load_latest();
  REQUIRE(before.ok());
  CHECK((*before)->round == Round{1});
}

TEST_CASE("what a killed process left half done is ignored and removed",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 3, 0);
  REQUIRE(store.open_for_writing());
  save(store, 1, 1);
  // Killed after each step of save(): the directory, each file, an old one
  // about to be removed.
  const fs::path whole = dir / "00000001";
  fs::create_directory(dir / ".tmp-00000002-aa");
  for (const char* name : {".tmp-00000002-bb", ".tmp-00000002-cc"})
    fs::copy(whole, dir / name);
  fs::remove(dir / ".tmp-00000002-bb" / "manifest.json");
  write_text(dir / ".tmp-00000002-bb" / ".tmp-manifest.json-dd", "{");
  fs::copy(whole, dir / ".tmp-old-ee");

  CHECK(rounds_of(store) == std::vector<std::uint64_t>{1});
  auto latest = store.load_latest();
  REQUIRE(latest);
  CHECK((*latest)->round == Round{1});

  CheckpointStore next(dir.path(), 3, 0);
  REQUIRE(next.open_for_writing());
  CHECK(temporaries(dir.path()) == 5);  // a start that is refused has no say
  save(next, 2, 2);
  CHECK(temporaries(dir.path()) == 0);
  latest = next.load_latest();
  REQUIRE(latest);
  CHECK((*latest)->round == Round{2});
}

TEST_CASE("a full disk costs the new checkpoint and nothing else",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  CheckpointStore store(dir.path(), 1, 0);
  REQUIRE(store.open_for_writing());
  save(store, 1, 1);
  const std::vector<NamedBlob> large = state_of(2, 100'000);
  {
    const FileSizeLimit full(8192);
    const auto saved = store.save(Round{2}, large, "{}");
    REQUIRE_FALSE(saved);
    CHECK(saved.error().code == ExitCode::kCheckpoint);
    CHECK(saved.error().message.find("state.safetensors") != std::string::npos);
  }
  CHECK(temporaries(dir.path()) == 0);
  const auto latest = store.load_latest();
  REQUIRE(latest);
  CHECK((*latest)->round == Round{1});
  CHECK(store.save(Round{2}, large, "{}"));  // there is room again
  CHECK(rounds_of(store) == std::vector<std::uint64_t>{2});
}

TEST_CASE("a directory that cannot be written is an error at the start",
          "[checkpoint]") {
  const TemporaryDirectory dir;
  write_text(dir / "file", "");
  CheckpointStore store(dir / "file" / "checkpoints", 3, 0);
  const auto opened = store.open_for_writing();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ExitCode::kCheckpoint);
}

}  // namespace
}  // namespace mdgan::test
