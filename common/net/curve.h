// CURVE on sockets (rfc.zeromq.org/spec/26): what is sent on them is encrypted,
// and both ends prove that they have their key.
#pragma once

#include <string>
#include <zmq.hpp>

#include "common/base/ids.h"
#include "common/keys/key.h"

namespace mdgan {

// What a socket needs to connect with keys: its own, and the one that the other
// end must have.
struct ClientKeys {
  KeyPair own;
  PublicKey server{};
};

// For a socket that is not connected yet.
void use_keys(zmq::socket_t& socket, const ClientKeys& keys);

// For a socket that is not bound yet: it lets in whom the context's ZapHandler
// lets in under `domain`.
// REQUIRES: there is one, as long as the socket; without it libzmq would let in
// any key. So receivers look at the key of a message, too.
void require_keys(zmq::socket_t& socket, const KeyPair& own,
                  const std::string& domain);

}  // namespace mdgan
