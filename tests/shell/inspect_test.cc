// `mdgan-server inspect` on what the programs write.
#include "server/commands/inspect.h"

#include <array>

#include "common/files/checkpoint_store.h"
#include "common/files/safetensors.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

NamedBlob tensor(const std::string& name, std::vector<std::uint64_t> dims) {
  std::uint64_t values = 1;
  for (const std::uint64_t dim : dims) values *= dim;
  const std::vector<std::byte> zeros(values * 4);
  return {name, copy_blob({protocol::DType::kFloat32, std::move(dims)}, zeros)};
}

std::vector<NamedBlob> state() {
  return {tensor("generator.fc.weight", {300, 10}),
          tensor("ema.fc.weight", {300, 10}),
          tensor("generator.norm.running_mean", {300}),
          tensor("adam.first_moment", {3000})};
}

constexpr const char* kMeta =
    R"({"algorithm": "md-gan", "completed": 1000, "model": "mlp",
        "condition": "acgan", "image": [1, 28, 28, 10],
        "names": {"hospital-a": 0, "\u001b[2Jb": 1}, "keys": {}})";

void save(const fs::path& checkpoints, std::uint64_t round) {
  CheckpointStore store(checkpoints, 9, 0);
  REQUIRE(store.open_for_writing());
  REQUIRE(store.save(Round{round}, state(), kMeta));
}

std::string shown(const fs::path& path) {
  const auto text = inspect(path);
  if (!text) FAIL(text.error().message);
  return *text;
}

}  // namespace

TEST_CASE("inspect says what an exported generator is") {
  const TemporaryDirectory folder;
  const fs::path file = folder / "generator.safetensors";
  const std::array tensors{tensor("fc.weight", {300, 10}),
                           tensor("norm.running_mean", {300})};
  REQUIRE(write_safetensors(file, tensors,
                            {{"model", "mlp"},
                             {"weights", "ema"},
                             {"round", "12400"},
                             {"evil", "\x1b[2J"}}));
  const std::string text = shown(file);
  CHECK(contains(text, {"the generator of a run, exported", "model", "mlp",
                        "round    12400", "all: 2 tensors, 3,000 parameters",
                        "fc.weight", "[300, 10]"}));
  CHECK(text.find('\x1b') == text.npos);
}

TEST_CASE("inspect says what a checkpoint is, and how a run's stand") {
  const TemporaryDirectory run;
  write_text(run / "config.ini", "");
  CHECK(contains(shown(run.path()), {"with 0 checkpoints", "has not begun"}));
  save(run / "checkpoints", 1000);
  const std::string one = shown(run / "checkpoints" / "00001000" / "");
  CHECK(contains(one, {"a server's checkpoint of round 1,000, sound",
                       "1x28x28, 10 classes", "2 peers: ", "hospital-a",
                       "acgan", "generator: 2 tensors, 3,000 parameters",
                       "adam: 1 tensor, 3,000 values"}));
  CHECK(one.find('\x1b') == one.npos);

  save(run / "checkpoints", 2000);
  const fs::path damaged =
      run / "checkpoints" / "00002000" / "state.safetensors";
  std::string bytes = read_text(damaged);
  bytes.back() = 'x';
  write_text(damaged, bytes);
  const std::string text = shown(run.path());
  CHECK(contains(text, {"with 2 checkpoints", "round 2,000  DAMAGED",
                        "round 1,000  sound", "Round 1,000\n"}));
  const auto broken = inspect(damaged.parent_path());
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == ExitCode::kCheckpoint);
  CHECK(contains(broken.error().message, {"state.safetensors"}));

  write_text(run / "checkpoints" / "00001000" / "meta.json", "{");
  const auto none = inspect(run.path());
  REQUIRE_FALSE(none);
  CHECK(contains(none.error().message, {"none of its checkpoints is sound"}));
}

TEST_CASE("inspect names what is damaged or no file of ours") {
  const TemporaryDirectory folder;
  write_text(folder / "x.safetensors", "12345678{");
  write_text(folder / "empty", "");
  for (const char* name : {"x.safetensors", "empty", "nothing", "."}) {
    INFO(name);
    const auto text = inspect(folder / name);
    REQUIRE_FALSE(text);
    CHECK(text.error().code == ExitCode::kCheckpoint);
    CHECK(contains(text.error().message, {folder.path().string()}));
  }
}

}  // namespace mdgan::test
