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

// Whether the host is written as an address that only this machine can reach:
// 127.0.0.0/8 or [::1]. Nobody is asked, and no name is one, however it begins.
bool is_loopback_address(const Endpoint& endpoint);

}  // namespace mdgan
