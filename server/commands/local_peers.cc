#include "server/commands/local_peers.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "common/files/plain_file.h"
#include "common/net/address.h"
#include "common/net/endpoint.h"
#include "common/privacy/ledger_book.h"
#include "peer/train/make_peer_trainer.h"
#include "server/commands/hostile_peers.h"
#include "server/io/server_shell.h"

namespace mdgan {

PeerShellOptions local_host(const ServerOptions& options,
                            const std::string& endpoint,
                            const RunDirectory& directory, LocalData local,
                            const std::optional<KeyFiles>& keys,
                            ZapHandler* zap) {
  PeerShellOptions host;
  host.server = kLocalEndpoint;
  const auto bound = parse_endpoint(endpoint, "bind");
  host.listen =
      bound && !is_loopback(*bound) ? "tcp://*:*" : "tcp://127.0.0.1:*";
  host.workers =
      std::clamp(std::thread::hardware_concurrency(), 1U, options.local_peers);
  host.keep_every = options.keep_every;
  // Others know local peers by the server's key.
  if (keys) host.keys = keys->own;
  host.zap = zap;
  host.verbose = false;
  for (std::uint32_t i = 0; i < options.local_peers; ++i) {
    const std::string name = local_name(i);
    host.peers.push_back({name, i, std::move(local.shards[i]),
                          directory.peers() / name,
                          options.privacy.mode != DpMode::kNone});
    if (!local.measures.empty())
      host.peers.back().measure = std::move(local.measures[i]);
  }
  return host;
}

PeerArithmetic local_arithmetic(const ServerOptions& options,
                                std::shared_ptr<const LedgerBook> privacy) {
  PeerArithmetic honest = torch_peer(
      options.device, static_cast<int>(options.threads), std::move(privacy));
  if (options.attack.peers == 0) return honest;
  const std::uint32_t first = options.local_peers - options.attack.peers;
  spdlog::warn(
      "simulate-attack: local peers {} to {} are HOSTILE ({}) on purpose; what "
      "this run gives is for experiments alone",
      first, options.local_peers - 1,
      name_of(kAttackNames, options.attack.attack));
  return with_hostile_peers(std::move(honest), options.attack.attack,
                            PeerId{first});
}

Result<void> check_local_states(const ServerOptions& options,
                                const RunDirectory& directory) {
  std::vector<std::filesystem::path> folders;
  for (std::uint32_t i = 0; i < options.local_peers; ++i)
    folders.push_back(directory.peers() / local_name(i));
  if (options.privacy.mode != DpMode::kNone)
    folders.push_back(directory.peers() / "privacy");
  return check_writable(folders);
}

Result<PeerShellReport> run_host(PeerShell& host) {
  try {
    return host.run();
  } catch (const std::exception& e) {
    return Error{std::string("a fault of the local peers: ") + e.what()};
  }
}

}  // namespace mdgan
