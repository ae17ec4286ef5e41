// Runs that are killed, stopped and gone on with: their commands, and what
// their files and words tell of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

inline constexpr std::uint64_t kRounds = 6;

// A run of two local peers, whole in one command.
inline std::vector<std::string> local(const ProcessRun& t) {
  return {"--local-peers",
          "2",
          "--data",
          (t / "data").string(),
          "--rounds",
          std::to_string(kRounds),
          "--samples-every",
          "3",
          "--checkpoint-every",
          "2"};
}

inline std::vector<std::uint64_t> rounds_in(
    const std::filesystem::path& stats) {
  std::vector<std::uint64_t> rounds;
  std::istringstream lines(read_text(stats));
  for (std::string line; std::getline(lines, line);)
    rounds.push_back(nlohmann::json::parse(line).at("round"));
  return rounds;
}

// 1, 2 and so on, up to `last`.
inline std::vector<std::uint64_t> up_to(std::uint64_t last) {
  std::vector<std::uint64_t> rounds(last);
  std::iota(rounds.begin(), rounds.end(), std::uint64_t{1});
  return rounds;
}

// The round after which the server says that it goes on.
inline std::uint64_t continued_after(const ChildProcess& server) {
  constexpr std::string_view kWords = "this run continues after round ";
  const std::string text = server.output();
  INFO(text);
  const auto at = text.find(kWords);
  REQUIRE(at != std::string::npos);
  return std::stoull(text.substr(at + kWords.size()));
}

inline const std::vector<std::string> kEndless{"--bind",
                                               "tcp://127.0.0.1:*",
                                               "--rounds",
                                               "10000000",
                                               "--checkpoint-every",
                                               "50",
                                               "--min-peers",
                                               "2",
                                               "--round-timeout",
                                               "600"};

inline constexpr std::uint64_t kEvery = 5;

// The same, with a checkpoint every kEvery rounds, and none of them ends
// without both peers: who holds one of them holds the run.
inline std::vector<std::string> of_both(const std::string& endpoint) {
  return kEndless +
         Words{
             "--bind",   endpoint, "--checkpoint-every", std::to_string(kEvery),
             "--quorum", "1",      "--swap-epochs",      "0"};
}

}  // namespace mdgan::test
