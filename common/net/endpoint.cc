#include "common/net/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>

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
    return wrong("contains a character that is not allowed in a host name");
  if (endpoint.port == "0") endpoint.port = "*";
  if (endpoint.port == "*") return endpoint;
  unsigned port = 0;
  const char* end = endpoint.port.data() + endpoint.port.size();
  const auto [stop, failure] = std::from_chars(endpoint.port.data(), end, port);
  if (failure != std::errc{} || stop != end || port < 1 || port > 65535)
    return wrong("has no port in [1, 65535]");
  return endpoint;
}

bool is_loopback_address(const Endpoint& endpoint) {
  in_addr v4{};
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &v4) == 1)
    return (ntohl(v4.s_addr) >> 24) == 127;
  const std::string& host = endpoint.host;
  if (!host.starts_with('[') || !host.ends_with(']')) return false;
  in6_addr v6{};
  if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) != 1)
    return false;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace mdgan
