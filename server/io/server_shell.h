// The server at work: carries messages, tensors and time to the coordinator
// (server/core/coordinator.h) and carries out what it decides, with ZeroMQ,
// files, and the generator on a thread of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "common/base/result.h"
#include "common/keys/authorized_peers.h"
#include "common/keys/key.h"
#include "common/net/zap_handler.h"
#include "protocol/class_names.h"
#include "protocol/training_spec.h"
#include "server/options.h"
#include "server/run/run_directory.h"
#include "server/run/run_observer.h"
#include "server/run/run_state.h"
#include "server/train/round_trainer.h"

namespace mdgan {

// Where hosts of local peers connect to, within the process.
inline constexpr const char* kLocalEndpoint = "inproc://mdgan-server";

// With these a server proves who it is, and knows whom to let in.
struct ServerKeys {
  KeyPair own;
  std::filesystem::path list;  // the file of `peers`: it is read again
  AuthorizedPeers peers;
  ZapHandler& zap;  // of the shell's context; outlives the shell
  // The file of `own`; beside it are the files of enrolment.h.
  std::filesystem::path key_file;
  std::string admit_options;  // of `mdgan-server admit NAME`, for people
};

// What is known of the run's data before any peer speaks, from the
// configuration or the server's own data.
struct KnownData {
  std::optional<ImageShape> image;
  ClassNames classes;  // empty: labels play no part, or the peers decide
};

class ServerShell {
 public:
  // `stop_descriptor` is install_stop_signals()'s; -1:
  // nobody stops the run. What `arithmetic` can measure is
  // measured every options.evaluate_every rounds. Without `keys` everybody who
  // reaches the endpoint takes part.
  ServerShell(zmq::context_t& context, const ServerOptions& options,
              const RunDirectory& directory, RunState state, KnownData known,
              int stop_descriptor, ServerArithmetic arithmetic,
              std::optional<ServerKeys> keys = {});
  ~ServerShell();
  ServerShell(const ServerShell&) = delete;
  ServerShell& operator=(const ServerShell&) = delete;

  // Binds the endpoints; local peers may connect from then on. Fails with
  // kUnreachable when the port is taken.
  Result<void> open();

  // The endpoint that peers connect to; empty when only local peers can.
  const std::string& endpoint() const;

  // Trains until the run ends; returns why, and leaves it to the caller to tell
  // that to `observer`. `begin` is called once the model is made, before a peer
  // is welcomed: only then is it certain that this start is not refused. If it
  // fails the run ends. REQUIRES: open() succeeded.
  Finish run(RunObserver& observer,
             std::function<Result<void>()> begin = nullptr);

  // From any thread: the same as the stop descriptor, with the exit code and
  // reason that run() is to return in the end (a local peer failed).
  void request_stop(ExitCode code, const std::string& why);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
