// A real process under test: started, watched, signalled, and never outliving
// the test.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mdgan::test {

class ChildProcess {
 public:
  // Its output goes to `output`. The first argument is the program.
  ChildProcess(std::vector<std::string> arguments,
               const std::filesystem::path& output);
  ~ChildProcess();  // SIGKILL if it still runs
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  int pid() const { return pid_; }
  void signal(int number) const;
  // The exit code, or 128 + the signal that ended it; nothing if it still runs
  // after `limit`.
  std::optional<int> wait(
      std::chrono::seconds limit = std::chrono::seconds(120));
  bool running();
  std::string output() const;

 private:
  int pid_ = -1;
  std::optional<int> status_;
  std::filesystem::path output_;
};

// Asks `condition` again and again until it holds or `limit` is over.
bool eventually(const std::function<bool()>& condition,
                std::chrono::seconds limit = std::chrono::seconds(120));

}  // namespace mdgan::test
