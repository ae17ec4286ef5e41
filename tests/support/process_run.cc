#include "tests/support/process_run.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

void append_number(std::string& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<char>(value >> shift & 0xff));
}

nlohmann::json last_stats(const fs::path& run) {
  const fs::path file = run / "stats.jsonl";
  if (!fs::exists(file)) return {};
  std::string text = read_text(file);
  text.erase(std::min(text.rfind('\n'), text.size()));
  const auto line = text.rfind('\n');
  return nlohmann::json::parse(text.substr(line == text.npos ? 0 : line + 1),
                               nullptr, false);
}

}  // namespace

void write_bars(const fs::path& directory, std::uint32_t count,
                std::uint32_t side) {
  fs::create_directories(directory);
  std::string images{'\0', '\0', '\x08', '\x03'};
  std::string labels{'\0', '\0', '\x08', '\x01'};
  append_number(images, count);
  append_number(images, side);
  append_number(images, side);
  append_number(labels, count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t label = i % 10;
    labels.push_back(static_cast<char>(label));
    for (std::uint32_t y = 0; y < side; ++y)
      for (std::uint32_t x = 0; x < side; ++x)
        images.push_back((y + x / 4) % side == label % side
                             ? static_cast<char>(255 - i % 32)
                             : '\0');
  }
  write_text(directory / "train-images-idx3-ubyte", images);
  write_text(directory / "train-labels-idx1-ubyte", labels);
}

ProcessRun::ProcessRun() { write_bars(directory_ / "data", 400, 8); }

ChildProcess ProcessRun::server(const std::string& run,
                                const std::vector<std::string>& more,
                                const std::vector<std::string>& through) const {
  std::vector<std::string> arguments{MDGAN_SERVER,
                                     "train",
                                     "--stats-every",
                                     "1",
                                     "--samples-every",
                                     "0",
                                     "--checkpoint-every",
                                     "0",
                                     "--swap-epochs",
                                     "0.5",
                                     "--seed",
                                     "5"};
  const bool resumes = std::ranges::find(more, "--resume") != more.end();
  if (!resumes) {
    arguments.insert(arguments.end(),
                     {"--run-dir", (directory_ / run).string()});
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  arguments.insert(arguments.begin(), through.begin(), through.end());
  ChildProcess server(arguments, directory_ / (run + ".server.out"));
  servers_[run] = server.pid();
  return server;
}

ChildProcess ProcessRun::peer(const std::string& run, std::uint32_t index,
                              std::uint32_t count,
                              const std::vector<std::string>& more) const {
  std::vector<std::string> arguments{
      MDGAN_PEER,
      "--server",
      endpoint(run),
      "--data",
      (directory_ / "data").string(),
      "--shard",
      std::to_string(index) + "/" + std::to_string(count),
      "--name",
      "peer-" + std::to_string(index),
      "--state-dir",
      (directory_ / "state").string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ChildProcess(
      arguments, directory_ / (run + ".peer" + std::to_string(index) + ".out"));
}

ChildProcess ProcessRun::tool(const std::vector<std::string>& arguments,
                              const std::string& log) const {
  return ChildProcess(arguments, directory_ / log);
}

std::string ProcessRun::log(const std::string& run) const {
  const fs::path file = directory_ / run / "log.txt";
  return fs::exists(file) ? read_text(file) : "";
}

nlohmann::json ProcessRun::status(const std::string& run) const {
  const fs::path file = directory_ / run / "status.json";
  if (!fs::exists(file)) return {};
  nlohmann::json status = nlohmann::json::parse(read_text(file));
  const auto server = servers_.find(run);
  if (server == servers_.end() || status.at("pid") != server->second) return {};
  return status;
}

std::string ProcessRun::endpoint(const std::string& run) const {
  const auto has_ended = [pid = servers_.at(run)] {
    siginfo_t info{};  // WNOWAIT: leaves the exit code to ChildProcess
    return ::waitid(P_PID, static_cast<id_t>(pid), &info,
                    WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == pid;
  };
  std::string found;
  bool ended = false;
  (void)eventually([&] {
    ended = has_ended();
    const nlohmann::json now = status(run);
    if (now.is_object() && now.at("endpoint").is_string())
      found = now.at("endpoint").get<std::string>();
    return ended || !found.empty();
  });
  if (ended || found.empty())
    throw std::runtime_error("the server of " + run +
                             (ended ? " has ended" : " does not listen") +
                             ":\n" + log(run));
  return found;
}

std::uint64_t ProcessRun::round(const std::string& run) const {
  const auto stats = last_stats(directory_ / run);
  return stats.is_object() ? stats.at("round").get<std::uint64_t>() : 0;
}

std::uint64_t ProcessRun::peers(const std::string& run) const {
  const auto stats = last_stats(directory_ / run);
  return stats.is_object() ? stats.at("peers").get<std::uint64_t>() : 0;
}

std::string ProcessRun::weights(const std::string& run) const {
  std::vector<fs::path> checkpoints;
  for (const auto& entry :
       fs::directory_iterator(directory_ / run / "checkpoints"))
    checkpoints.push_back(entry.path());
  if (checkpoints.empty()) throw std::runtime_error(run + " saved nothing");
  std::ranges::sort(checkpoints);
  return read_text(checkpoints.back() / "state.safetensors");
}

}  // namespace mdgan::test
