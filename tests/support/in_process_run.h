// A server and hosts of peers in this one process, with real sockets between
// them, on images small enough for a round to take a millisecond.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "common/data/dataset.h"
#include "peer/io/peer_shell.h"
#include "server/io/server_shell.h"
#include "server/run/progress_line.h"
#include "server/run/stats_writer.h"

namespace mdgan::test {

// With what the runs compute: each program of tests defines these once, with
// LibTorch (integration) or without (shell).
ServerArithmetic server_arithmetic(const ServerOptions& options);
PeerArithmetic peer_arithmetic();

// 8 rounds of two peers, a swap after every second one.
ServerOptions small_options();
inline constexpr std::uint64_t kSmallSwaps = 4;

// 40 images with labels; the same at every call.
std::shared_ptr<const Dataset> small_images();

class InProcessServer {
 public:
  // Starts training, as soon as there are peers, on a thread of its own: goes
  // on with the run that `directory` holds, if it holds one. With
  // `options.condition` its peers decide image and classes.
  // With `options.key` it has keys, and authorized_peers beside the key.
  InProcessServer(const std::filesystem::path& directory,
                  const ServerOptions& options);
  ~InProcessServer();  // stops a run that has not ended
  InProcessServer(const InProcessServer&) = delete;
  InProcessServer& operator=(const InProcessServer&) = delete;

  // For sockets that want to reach the server within the process.
  zmq::context_t& context() { return context_; }
  // The address of the TCP socket; empty when options.bind is.
  const std::string& endpoint() const { return shell_->endpoint(); }

  Finish wait();  // until the run ends
  void stop();    // as a person would, by a signal
  std::string log() const;
  std::string stats() const;  // of stats.jsonl
  // The bytes of the newest checkpoint's tensors: the generator, its moving
  // average and its optimiser. REQUIRES: wait() has returned.
  std::string weights() const;

 private:
  zmq::context_t context_;
  ServerOptions options_;
  std::optional<RunDirectory> directory_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> terminal_;
  std::unique_ptr<RunLog> log_;
  std::optional<ProgressLine> progress_;
  std::optional<StatsWriter> stats_;
  RunObservers observers_;
  std::optional<ZapHandler> zap_;
  std::unique_ptr<ServerShell> shell_;
  std::shared_future<Finish> finish_;
};

class InProcessPeers {
 public:
  // Peers `first` to `last` of `count`, each with its part of small_images(),
  // behind one connection to `server`. `listens`: others can connect to them.
  // `data`: in place of small_images(), 40 images, too. `measures`: of as many
  // of them, the first ones, what measures generators.
  InProcessPeers(zmq::context_t& context, const std::string& server,
                 const std::filesystem::path& directory, std::uint32_t first,
                 std::uint32_t last, std::uint32_t count, bool listens = true,
                 std::shared_ptr<const Dataset> data = small_images(),
                 PeerArithmetic arithmetic = peer_arithmetic(),
                 std::vector<MeasureSite> measures = {});
  ~InProcessPeers();  // asks peers that are still there to leave
  InProcessPeers(const InProcessPeers&) = delete;
  InProcessPeers& operator=(const InProcessPeers&) = delete;

  void stop(ExitCode code) { host_->request_leave(code); }
  PeerShellReport wait();  // until every peer has left

 private:
  std::unique_ptr<PeerShell> host_;
  std::shared_future<Result<PeerShellReport>> report_;
};

// The weights that a run of two peers of one process has at its end when nobody
// disturbs it.
std::string undisturbed_weights(const ServerOptions& options);

}  // namespace mdgan::test
