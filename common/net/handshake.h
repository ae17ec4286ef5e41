// Why a server does not let a connection come about, in words.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/net/endpoint.h"

namespace mdgan {

// The security mechanism, such as "CURVE" or "NULL", that a ZeroMQ socket at
// `endpoint` (an address) asks for in its greeting; empty where none answers in
// time. Waits. libzmq itself does not tell: the side that is first to notice
// that the mechanisms differ closes the connection.
std::string mechanism_at(const Endpoint& endpoint,
                         std::chrono::milliseconds time);

// What is known of connections to a server that break off in the handshake.
struct HandshakeFailures {
  std::uint64_t in_a_row = 0;
  // How often all addresses were tried, and the server refused the key, since
  // the last connection.
  std::uint64_t key_refusals = 0;
  std::string mechanism;  // that it asks for; empty: not known
  bool has_keys = false;  // this side has
  std::string server;     // for people
  std::string own_key;    // in Z85
};

// That the server does not let in this side's key, with kAuthentication.
Error refused_key(const HandshakeFailures& failures);

// The reason, with kAuthentication, once trying again is of no use.
std::optional<Error> reason_of(const HandshakeFailures& failures);

}  // namespace mdgan
