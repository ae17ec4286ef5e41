#include "common/net/endpoint.h"

#include <charconv>

namespace mdgan {

Result<Endpoint> parse_endpoint(std::string_view text, std::string_view what) {
  const auto wrong = [&](const std::string& why) {
    return Error{std::string(what) + ": '" + std::string(text) + "' " + why +
                     "; write tcp://HOST:PORT, as in tcp://10.0.0.5:5555",
                 ExitCode::kUsage};
  };
  constexpr std::string_view kScheme = "tcp://";
  if (!text.starts_with(kScheme)) return wrong("does not begin with tcp://");
  const std::string_view rest = text.substr(kScheme.size());
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0)
    return wrong("names no port");
  Endpoint endpoint{std::string(rest.substr(0, colon)),
                    std::string(rest.substr(colon + 1))};
  if (endpoint.host.find_first_of(" /;@") != std::string::npos)
    return wrong("has a host with a character that no host has");
  if (endpoint.port == "0") endpoint.port = "*";
  if (endpoint.port == "*") return endpoint;
  unsigned port = 0;
  const char* end = endpoint.port.data() + endpoint.port.size();
  const auto [stop, failure] = std::from_chars(endpoint.port.data(), end, port);
  if (failure != std::errc{} || stop != end || port < 1 || port > 65535)
    return wrong("has no port in [1, 65535]");
  return endpoint;
}

bool is_loopback(const Endpoint& endpoint) {
  return endpoint.host == "localhost" || endpoint.host == "[::1]" ||
         endpoint.host.starts_with("127.");
}

}  // namespace mdgan
