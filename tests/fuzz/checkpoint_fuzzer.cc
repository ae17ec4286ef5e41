// A checkpoint's three files, as a disk may give them back: those of a server's
// run and those that a peer keeps. By the first byte the manifest is the
// input's, or one that is true of whatever the other files hold.

#include <spdlog/spdlog.h>

#include "common/files/checkpoint_store.h"
#include "common/files/hash.h"
#include "peer/io/saved_discriminators.h"
#include "server/run/run_state.h"
#include "tests/fuzz/input.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

constexpr Round kRound{7};
constexpr const char* kFolder = "00000007";
constexpr const char* kRun = "01000000000000000000000000000000";

std::string entry(std::span<const std::byte> file) {
  return "{\"bytes\":" + std::to_string(file.size()) + ",\"sha256\":\"" +
         to_hex(sha256(file)) + "\"}";
}

std::string true_manifest(std::span<const std::byte> state,
                          std::span<const std::byte> meta) {
  return R"({"format_version":1,"round":7,"files":{"state.safetensors":)" +
         entry(state) + R"(,"meta.json":)" + entry(meta) + "}}";
}

void load_run_of(const std::filesystem::path& checkpoints) {
  const Result<RunState> run = load_run(checkpoints);
  const Result<RunState> same = load_run(checkpoints, kRound);
  require(run.ok() == same.ok(), "the newest is the only one");
  if (!run) {
    require(run.error().code == ExitCode::kCheckpoint,
            "a damaged checkpoint is told as one");
    return;
  }
  require(run->position.completed == kRound, "it is of its round");
  TrainingSpec spec;
  spec.image = *run->image;
  spec.algorithm = run->algorithm;
  const std::string meta = describe_run(*run, spec);
  CheckpointStore store(checkpoints, 1, 0);
  require(store.save(kRound, run->generator, meta).ok(),
          "what was loaded can be saved");
  const Result<RunState> again = load_run(checkpoints);
  require(again.ok() && again->position == run->position &&
              again->run == run->run && again->image == run->image &&
              again->algorithm == run->algorithm && again->k == run->k,
          "what was saved is what was loaded");
}

void load_peers_of(const std::filesystem::path& state) {
  const SavedDiscriminators saved(state, "a", 0);
  for (const protocol::Held& held : saved.offers()) {
    require(held.round == kRound && held.discriminator.value != 0,
            "what is offered has a name");
    const Result<SavedState> loaded = saved.load(held);
    if (loaded) (void)peer_state_of(*loaded);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const TemporaryDirectory folder;
  spdlog::set_level(spdlog::level::off);
  Input input(data, size);
  const unsigned how = input.below(4);
  const bool is_peer = (how & 1U) != 0;
  const bool has_manifest = (how & 2U) != 0;
  const auto given = has_manifest ? input.part() : std::span<const std::byte>{};
  const auto meta = input.part();
  const auto state = input.rest();
  const std::string made = true_manifest(state, meta);

  const std::filesystem::path store = folder / kRun;
  std::filesystem::remove_all(store);
  write(store / kFolder / "state.safetensors", state);
  write(store / kFolder / "meta.json", meta);
  write(store / kFolder / "manifest.json",
        has_manifest ? given : std::as_bytes(std::span(made)));
  if (is_peer)
    load_peers_of(folder.path());
  else
    load_run_of(store);
  return 0;
}

}  // namespace mdgan::test
