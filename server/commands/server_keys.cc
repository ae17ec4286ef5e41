#include "server/commands/server_keys.h"

#include <spdlog/fmt/fmt.h>

#include <utility>

#include "common/keys/key_file.h"
#include "common/net/address.h"

namespace mdgan {
namespace {

Error no_keys(const std::string& bind) {
  return {
      fmt::format(
          R"(other machines can reach {}, and without keys everybody there could
read along and take part. Make keys, in three commands:

    mdgan-server keygen              # here; it prints the server's public key
    mdgan-peer keygen --name NAME    # at each peer; it prints a line
    echo 'LINE' >> authorized_peers  # here, with each peer's line

and give --key server.key to this command, --key peer.key and --server-key 'KEY'
to mdgan-peer. Where you trust everybody who reaches this address, --insecure
does without keys.)",
          bind),
      ExitCode::kAuthentication};
}

}  // namespace

bool is_insecure(const ServerOptions& options) {
  return options.bind && options.key.empty() && options.insecure &&
         others_can_reach(*options.bind);
}

Result<std::optional<KeyFiles>> load_keys(const ServerOptions& options) {
  if (!options.bind) return std::optional<KeyFiles>();
  if (options.key.empty()) {
    if (!options.insecure && others_can_reach(*options.bind))
      return no_keys(*options.bind);
    return std::optional<KeyFiles>();
  }
  auto own = read_key_pair(options.key);
  if (!own) return own.error();
  std::filesystem::path list =
      authorized_peers_of(options.key, options.authorized_peers);
  auto peers = AuthorizedPeers::read(list);
  if (!peers) return peers.error();
  return std::optional<KeyFiles>(
      KeyFiles{std::move(*own), std::move(list), std::move(*peers)});
}

}  // namespace mdgan
