#include "peer/peer_keys.h"

#include <spdlog/fmt/fmt.h>

#include <utility>

#include "common/keys/authorized_peers.h"
#include "common/keys/key_file.h"
#include "common/net/address.h"

namespace mdgan {
namespace {

// The first address that is not on loopback alone; empty if there is none.
std::string exposed(const PeerOptions& options, const std::string& listen) {
  if (others_can_reach(options.server)) return options.server;
  return !listen.empty() && others_can_reach(listen) ? listen : "";
}

Error no_keys(const std::string& address) {
  return {
      fmt::format(
          R"({} is not of this machine alone, and without keys anybody on the way
could read along, or take the server's place. Make a key by

    mdgan-peer keygen --name NAME

have whoever runs the server append the line that it prints to authorized_peers,
ask for the server's public key, and give --key peer.key and --server-key 'KEY' to
this command. Where you trust everybody on the way, --insecure does without
keys.)",
          address),
      ExitCode::kAuthentication};
}

}  // namespace

bool is_insecure(const PeerOptions& options, const std::string& listen) {
  return options.key.empty() && options.insecure &&
         !exposed(options, listen).empty();
}

Result<std::optional<ClientKeys>> load_keys(const PeerOptions& options,
                                            const std::string& listen) {
  if (options.key.empty()) {
    const std::string address = exposed(options, listen);
    if (!options.insecure && !address.empty()) return no_keys(address);
    return std::optional<ClientKeys>();
  }
  auto own = read_key_pair(options.key);
  if (!own) return own.error();
  const auto server = read_public_key(options.server_key, "server-key");
  if (!server) return server.error();
  return std::optional<ClientKeys>(ClientKeys{std::move(*own), *server});
}

Result<Objection> load_known_peers(const PeerOptions& options,
                                   const std::optional<ClientKeys>& keys) {
  if (options.known_peers.empty()) return Objection();
  auto known = AuthorizedPeers::read(options.known_peers);
  if (!known) return known.error();
  return Objection([known = std::move(*known), file = options.known_peers,
                    own = keys->own.public_key,
                    server = keys->server](const PublicKey& key) {
    // The peers of one process have one key.
    if (key == own || known.name_of(key) != nullptr) return std::string();
    if (key == PublicKey{}) return std::string("the server names no key of it");
    return fmt::format(
        "its key {}{} is not in {}; if it is to be, append the line KEY NAME "
        "there and start the peer whose file that is again",
        to_z85(key), key == server ? ", the server's own," : "", file);
  });
}

std::string default_name(const PeerOptions& options,
                         const std::string& hostname) {
  if (options.key.empty()) return hostname;
  const std::string name = name_in_public_file(public_file_of(options.key));
  return name.empty() ? hostname : name;
}

}  // namespace mdgan
