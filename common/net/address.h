// Hosts as people write them, and the addresses that they stand for.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/net/endpoint.h"

namespace mdgan {

// A socket for both families shows an IPv4 address as an IPv6 one; people, and
// machines without IPv6, want it as it is. Takes an address or an endpoint.
std::string plain_ipv4(std::string text);

// Whether it is an address, and no name: nobody need be asked for it.
bool is_address(const std::string& host);

// An address of the IP families as an endpoint's host; none for others, and for
// those that mean nothing without an interface.
std::optional<std::string> host_of(const sockaddr* address);

// Whether only this machine can reach it: is_loopback_address(), or the name
// "localhost" where the system knows no other addresses for it.
bool is_loopback(const Endpoint& endpoint);
// Whether other machines can reach `address`, tcp://HOST:PORT: it is not
// is_loopback(), or cannot be read.
bool others_can_reach(const std::string& address);

// The endpoints to try, one after the other, to reach `endpoint`: all addresses
// of its host, in the system's order of preference. Waits for the name service,
// for many seconds where that does not answer. Fails with kUnreachable.
Result<std::vector<Endpoint>> resolve(const Endpoint& endpoint);

// The endpoints to bind where `endpoint` was asked for, IPv4 before IPv6: all
// addresses of a network interface, like "eth0", or of a name; '*' and
// addresses as they are. Fails with kUnreachable.
Result<std::vector<Endpoint>> resolve_to_bind(const Endpoint& endpoint);

}  // namespace mdgan
