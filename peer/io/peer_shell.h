// Hosts one peer or many in a process: one connection to the server, one
// listener for discriminators from other peers, a session (peer/core/session.h)
// and a trainer per peer, and as many worker threads as there is use for. The
// same code runs in mdgan-peer and, for `--local-peers`, inside mdgan-server.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/evaluate/site_metrics.h"
#include "common/keys/key.h"
#include "common/net/channel.h"
#include "common/net/zap_handler.h"
#include "common/privacy/privacy_spec.h"
#include "peer/core/session.h"
#include "peer/io/peer_status.h"
#include "peer/io/told_classes.h"
#include "peer/train/peer_trainer.h"

namespace mdgan {

struct PeerSetup {
  std::string name;
  std::int64_t index = -1;  // the PeerId it would like; -1: no wish
  std::vector<std::uint32_t> shard;
  std::filesystem::path state;  // its checkpoints go below; made when needed
  // Its discriminators are trained with differential privacy: those that were
  // trained without are kept apart from them, and not offered.
  bool is_private = false;
  MeasureSite measure = {};  // generators, by images held out; empty: none
};

struct PeerShellOptions {
  std::string server;     // tcp://HOST:PORT, or inproc://NAME of this process
  std::string listen;     // tcp://HOST:PORT, port '*': any free one; or empty
  std::string advertise;  // what others are told; empty: where I am seen
  unsigned workers = 1;
  std::chrono::seconds connect_timeout{300};
  // The checkpoints of such rounds stay; 0: only the last few.
  std::uint64_t keep_every = 0;
  // The keys of this process; its listener then lets in only those whom the
  // server announces. With them `zap`, of the shell's context, which outlives
  // the shell, and the server's, unless that is in this process.
  std::optional<KeyPair> keys;
  std::optional<PublicKey> server_key;
  ZapHandler* zap = nullptr;
  // With whom the peers exchange no discriminators, whatever the server says.
  Objection objection;
  TellClasses tell_classes = TellClasses::kCounts;
  bool insecure = false;  // others can read and join, and the log says so
  // Each peer's state folder has a status.json, see peer_status.h.
  bool status_files = false;
  // Told about once a second, on the loop, how the first peer stands.
  std::function<void(const PeerStatus& status)> on_status;
  bool verbose = true;  // log joining, swaps and rounds; off for local peers
  std::vector<PeerSetup> peers;
};

// What the hosted peers have done, summed over them.
struct PeerShellReport {
  ExitCode code = ExitCode::kOk;  // the first that was not kOk
  std::string text;
  std::uint64_t rounds = 0;
  std::uint64_t swaps = 0;
  SentBytes sent;  // that left the process
  // Of the peer that has spent most.
  std::optional<PrivacySpent> privacy;
};

class PeerShell {
 public:
  // `context` and `data` are shared with others and outlive the shell.
  PeerShell(zmq::context_t& context, PeerShellOptions options,
            std::shared_ptr<const Dataset> data, PeerArithmetic arithmetic);
  ~PeerShell();
  PeerShell(const PeerShell&) = delete;
  PeerShell& operator=(const PeerShell&) = delete;

  // Takes part until every session is over. Fails with kUsage or kUnreachable
  // when the endpoints cannot be used at all. Call once.
  Result<PeerShellReport> run();

  // From any thread: every peer finishes its round, saves and leaves. The
  // report then has `code` if nothing went wrong.
  void request_leave(ExitCode code = ExitCode::kOk);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
