// The text files that a run, a peer and a user keep. The first byte says which
// of them the rest is.

#include <spdlog/spdlog.h>

#include <array>

#include "common/files/jsonl.h"
#include "common/files/line_writer.h"
#include "common/files/read_file.h"
#include "peer/options.h"
#include "server/command_options.h"
#include "server/evaluate/evaluation_record.h"
#include "server/run/run_directory.h"
#include "tests/fuzz/input.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

std::string text_in(const fs::path& file) {
  const auto bytes = read_file(file, ExitCode::kCheckpoint);
  require(bytes.ok(), "the file is still there");
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

void server_configuration(const fs::path& file) {
  const std::string path = file.string();
  const std::array arguments{"mdgan-server", "train", "--config", path.c_str()};
  const auto parsed = parse_server_options(static_cast<int>(arguments.size()),
                                           arguments.data());
  if (!parsed) {
    require(!parsed.error().message.empty(), "an error has a text");
    return;
  }
  const auto* options = std::get_if<ServerOptions>(&*parsed);
  if (options == nullptr) return;
  const std::string text = effective_configuration(*options);
  write(file, std::as_bytes(std::span(text)));
  const auto again = parse_server_options(static_cast<int>(arguments.size()),
                                          arguments.data());
  require(again.ok(), "the configuration in force is one");
  require(effective_configuration(std::get<ServerOptions>(*again)) == text,
          "and gives the same options again");
}

void peer_configuration(const fs::path& file) {
  const std::string path = file.string();
  const std::array arguments{"mdgan-peer", "--config", path.c_str()};
  const auto parsed =
      parse_peer_options(static_cast<int>(arguments.size()), arguments.data());
  if (!parsed) return;
  if (const auto* options = std::get_if<PeerOptions>(&*parsed))
    (void)sessions_of(*options, "host");
}

void statistics(const fs::path& file) {
  require(truncate_after_round(file, Round{100}).ok(), "any file can be cut");
  const std::string once = text_in(file);
  require(once.empty() || once.ends_with('\n'), "it ends with a line");
  require(truncate_after_round(file, Round{100}).ok() && text_in(file) == once,
          "cutting again changes nothing");
  auto writer = LineWriter::open(file);
  require(writer.ok() && writer->append("{}").ok(), "it can be written on");
  require(text_in(file) == once + "{}\n", "and loses nothing");
}

void evaluations(const fs::path& run) {
  EvaluationRecord record;
  record.round = 100;
  record.samples = 10'000;
  record.features = "classifier";
  require(keep_evaluation(run, record).ok(), "a record is kept");
  const std::string once = text_in(run / "metric-fid10k.jsonl");
  require(keep_evaluation(run, record).ok() &&
              text_in(run / "metric-fid10k.jsonl") == once,
          "a record takes its own place");
  require(truncate_evaluations(run, Round{50}).ok(), "it can be cut");
}

void starts(const fs::path& run) {
  fs::create_directories(run / "checkpoints");
  const auto directory = RunDirectory::open(run);
  if (!directory) {  // the file says that the run has trained
    require(directory.error().code == ExitCode::kCheckpoint,
            "a run whose checkpoints are gone is refused");
    return;
  }
  const std::uint32_t last = directory->last_incarnation();
  const std::uint32_t next = directory->next_incarnation(last);
  require(next > last || last == ~std::uint32_t{0},
          "starts are counted upwards");
  require(directory->write_incarnation(next).ok() &&
              directory->last_incarnation() >= next,
          "what was counted is read");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const TemporaryDirectory folder;
  spdlog::set_level(spdlog::level::off);
  const fs::path run = folder / "run";
  fs::remove_all(run);
  Input input(data, size);
  switch (input.below(6)) {
    case 0:
      write(run / "server.ini", input.rest());
      server_configuration(run / "server.ini");
      break;
    case 1:
      write(run / "peer.ini", input.rest());
      peer_configuration(run / "peer.ini");
      break;
    case 2:
      write(run / "stats.jsonl", input.rest());
      statistics(run / "stats.jsonl");
      break;
    case 3:
      write(run / "metric-fid10k.jsonl", input.rest());
      evaluations(run);
      break;
    case 4:
      write(run / "status.json", input.rest());
      starts(run);
      break;
    default:
      write(run / "incarnation", input.rest());
      starts(run);
  }
  return 0;
}

}  // namespace mdgan::test
