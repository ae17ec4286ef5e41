// Endpoints in ZeroMQ's notation, tcp://HOST:PORT.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace mdgan {

struct Endpoint {
  std::string host;  // IPv6 addresses in brackets; "*": any or unknown
  std::string port;  // "*": any free one, which "0" means too
  std::string text() const { return "tcp://" + host + ":" + port; }
};

// Fails with kUsage when the text is not tcp://HOST:PORT with a port in
// [0, 65535] or '*'; the error names `what` (a flag).
Result<Endpoint> parse_endpoint(std::string_view text, std::string_view what);

// Whether only this machine can reach it.
bool is_loopback(const Endpoint& endpoint);

}  // namespace mdgan
