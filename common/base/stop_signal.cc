#include "common/base/stop_signal.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>

namespace mdgan {
namespace {

int g_pipe[2] = {-1, -1};
std::atomic<int> g_signals = 0;

extern "C" void on_stop_signal(int signal) {
  if (g_signals.fetch_add(1) > 0) _exit(128 + signal);
  const char byte = 1;
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
  std::signal(SIGPIPE, SIG_IGN);
  return g_pipe[0];
}

}  // namespace mdgan
