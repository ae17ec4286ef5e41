#include "common/base/stop_signal.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <string_view>

namespace mdgan {
namespace {

constexpr std::int64_t kSameSignalMs = 2000;

int g_pipe[2] = {-1, -1};
std::atomic<std::int64_t> g_first_ms = 0;  // 0: no signal has come
std::atomic<bool> g_is_read = false;

std::int64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // a handler may call it
  return now.tv_sec * std::int64_t{1000} + now.tv_nsec / 1'000'000 + 1;
}

ExitCode code_of(int signal) {
  return signal == SIGINT ? ExitCode::kOk : ExitCode::kStopped;
}

extern "C" void on_stop_signal(int signal) {
  if (!g_is_read) {
    constexpr std::string_view kWords =
        "stopped before anything was to be saved\n";
    [[maybe_unused]] const auto told =
        write(STDERR_FILENO, kWords.data(), kWords.size());
    _exit(static_cast<int>(code_of(signal)));
  }
  const std::int64_t now = now_ms();
  std::int64_t first = 0;
  if (!g_first_ms.compare_exchange_strong(first, now)) {
    if (now - first >= kSameSignalMs) _exit(128 + signal);
    return;
  }
  const auto byte = static_cast<unsigned char>(signal);
  [[maybe_unused]] const auto written = write(g_pipe[1], &byte, 1);
}

}  // namespace

int install_stop_signals() {
  if (pipe2(g_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction before = {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return g_pipe[0];
}

void stop_signals_are_read() { g_is_read = true; }

ExitCode read_stop_signal(int descriptor) {
  unsigned char signal = 0;
  const bool known = read(descriptor, &signal, 1) == 1;
  return known ? code_of(signal) : ExitCode::kStopped;
}

}  // namespace mdgan
