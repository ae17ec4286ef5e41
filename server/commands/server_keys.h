// The keys of a server that is about to start.
#pragma once

#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/keys/authorized_peers.h"
#include "common/keys/key.h"
#include "server/options.h"

namespace mdgan {

struct KeyFiles {
  KeyPair own;
  std::filesystem::path list;
  AuthorizedPeers peers;
};

// What the options' files hold; nothing for a run without keys. Fails with
// kAuthentication, saying what to do, when a file will not do, and when others
// can reach the endpoint and there is neither a key nor --insecure.
Result<std::optional<KeyFiles>> load_keys(const ServerOptions& options);

// Whether everybody who reaches the endpoint is let in, from other machines
// too.
bool is_insecure(const ServerOptions& options);

}  // namespace mdgan
