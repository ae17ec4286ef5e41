// The keys of a peer that is about to start.
#pragma once

#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/net/curve.h"
#include "peer/core/session.h"
#include "peer/options.h"

namespace mdgan {

// What the options' files hold; nothing for a run without keys. Fails with
// kAuthentication, saying what to do, when a file will not do, and when the
// server or the listener is not on loopback alone and there is neither a key
// nor --insecure. `listen` is the listener's address,
// empty if there is none.
Result<std::optional<ClientKeys>> load_keys(const PeerOptions& options,
                                            const std::string& listen);

// Tells with which peers those of this process exchange no discriminators, as
// --known-peers says; null where it is not given. Fails with kAuthentication.
// REQUIRES: `keys` is there if it is given.
Result<Objection> load_known_peers(const PeerOptions& options,
                                   const std::optional<ClientKeys>& keys);

// Whether others can read along, because --insecure allows it.
bool is_insecure(const PeerOptions& options, const std::string& listen);

// The peer's name, if nobody gives one: the one beside its public key, or the
// host's.
std::string default_name(const PeerOptions& options,
                         const std::string& hostname);

}  // namespace mdgan
