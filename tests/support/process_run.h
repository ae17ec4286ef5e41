// Small real runs of the real programs on small real files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

// Of a command line.
using Words = std::vector<std::string>;

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// An MNIST layout with `count` grey images of `side` x `side`, bright bars
// whose place is the class: enough to learn from.
void write_bars(const std::filesystem::path& directory, std::uint32_t count,
                std::uint32_t side);

// The programs and a folder with data in `data`, for one test.
class ProcessRun {
 public:
  ProcessRun();

  // mdgan-server train on the bars, with what every small run has; `more` is
  // appended and wins. `through`: a command that becomes the server, as nice.
  ChildProcess server(const std::string& run,
                      const std::vector<std::string>& more,
                      const std::vector<std::string>& through = {}) const;
  // mdgan-peer on shard `index` of `count`, to the server of `run`.
  ChildProcess peer(const std::string& run, std::uint32_t index,
                    std::uint32_t count,
                    const std::vector<std::string>& more = {}) const;
  ChildProcess tool(const std::vector<std::string>& arguments,
                    const std::string& log) const;

  // status.json of the newest server of `run`; null until it has written one.
  nlohmann::json status(const std::string& run) const;
  // Where that server listens, once it does (it picks a free port). Throws when
  // it ends before, or takes two minutes.
  std::string endpoint(const std::string& run) const;
  // The round of the last line of stats.jsonl; 0 before the first.
  std::uint64_t round(const std::string& run) const;
  // Peers in that line.
  std::uint64_t peers(const std::string& run) const;
  std::string log(const std::string& run) const;
  // The bytes of the newest checkpoint's tensors.
  std::string weights(const std::string& run) const;

  std::filesystem::path operator/(const std::string& name) const {
    return directory_ / name;
  }

 private:
  TemporaryDirectory directory_;
  // The process that was started last for each run: an earlier one has left a
  // status.json, too. Tests have one ProcessRun, which is const.
  mutable std::map<std::string, int> servers_;
};

}  // namespace mdgan::test
