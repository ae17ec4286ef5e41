#include "common/net/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace mdgan {
namespace {

void add(std::vector<Endpoint>& endpoints, const sockaddr* address,
         const std::string& port) {
  const auto host = host_of(address);
  if (!host) return;
  const bool known = std::ranges::any_of(
      endpoints, [&](const Endpoint& e) { return e.host == *host; });
  if (!known) endpoints.push_back({*host, port});
}

std::vector<Endpoint> addresses_of_interface(const Endpoint& endpoint) {
  std::vector<Endpoint> endpoints;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return endpoints;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> all(first, ::freeifaddrs);
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next)
    if (endpoint.host == at->ifa_name)
      add(endpoints, at->ifa_addr, endpoint.port);
  return endpoints;
}

}  // namespace

std::string plain_ipv4(std::string text) {
  constexpr std::string_view kPrefix = "::ffff:";
  const auto at = text.find(kPrefix);
  if (at == std::string::npos) return text;
  text.erase(at, kPrefix.size());
  std::erase_if(text, [](char c) { return c == '[' || c == ']'; });
  return text;
}

bool is_address(const std::string& host) {
  in_addr ignored{};
  return host.starts_with('[') ||
         ::inet_pton(AF_INET, host.c_str(), &ignored) == 1;
}

std::optional<std::string> host_of(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return text;
  }
  if (address->sa_family != AF_INET6) return std::nullopt;
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) return std::nullopt;
  ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
  if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) return plain_ipv4(text);
  return "[" + std::string(text) + "]";
}

bool is_loopback(const Endpoint& endpoint) {
  if (endpoint.host != "localhost") return is_loopback_address(endpoint);
  const auto addresses = resolve(endpoint);
  return addresses && std::ranges::all_of(*addresses, is_loopback_address);
}

bool others_can_reach(const std::string& address) {
  const auto endpoint = parse_endpoint(address, "address");
  return !endpoint || !is_loopback(*endpoint);
}

Result<std::vector<Endpoint>> resolve(const Endpoint& endpoint) {
  if (endpoint.host == "*" || is_address(endpoint.host))
    return std::vector{endpoint};
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int failure =
      ::getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &first);
  if (failure != 0)
    return Error{"no address is known for the host '" + endpoint.host +
                     "': " + ::gai_strerror(failure),
                 ExitCode::kUnreachable};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(first,
                                                           ::freeaddrinfo);
  std::vector<Endpoint> endpoints;
  for (const addrinfo* at = first; at != nullptr; at = at->ai_next)
    add(endpoints, at->ai_addr, endpoint.port);
  if (endpoints.empty())
    return Error{"no address is known for the host '" + endpoint.host + "'",
                 ExitCode::kUnreachable};
  return endpoints;
}

Result<std::vector<Endpoint>> resolve_to_bind(const Endpoint& endpoint) {
  std::vector<Endpoint> endpoints = addresses_of_interface(endpoint);
  if (endpoints.empty()) {
    auto resolved = resolve(endpoint);
    if (!resolved) return resolved.error();
    endpoints = std::move(*resolved);
  }
  std::stable_partition(  // clang 14 cannot read the one of std::ranges
      endpoints.begin(), endpoints.end(),
      [](const Endpoint& e) { return !e.host.starts_with('['); });
  return endpoints;
}

}  // namespace mdgan
