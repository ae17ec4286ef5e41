#include "common/net/endpoint.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/net/address.h"
#include "tests/support/catch.h"

namespace mdgan::test {

TEST_CASE("An endpoint is read and written back", "[integration]") {
  for (const std::string text :
       {"tcp://127.0.0.1:5555", "tcp://*:*", "tcp://*:1", "tcp://[::1]:65535",
        "tcp://peer-3.example.org:5556"}) {
    INFO(text);
    const auto endpoint = parse_endpoint(text, "bind");
    REQUIRE(endpoint.ok());
    CHECK(endpoint->text() == text);
  }
  const auto endpoint = parse_endpoint("tcp://[fe80::1]:5555", "bind");
  REQUIRE(endpoint.ok());
  CHECK(endpoint->host == "[fe80::1]");
  CHECK(endpoint->port == "5555");
}

TEST_CASE("What is no endpoint is refused, and the flag is named",
          "[integration]") {
  for (const std::string text :
       {"", "127.0.0.1:5555", "ipc:///tmp/socket", "tcp://", "tcp://:5555",
        "tcp://host", "tcp://host:", "tcp://host:0x", "tcp://host:65536",
        "tcp://host:-1", "tcp://host:55x", "tcp://host:5555/", "tcp://a b:1",
        "tcp://user@host:1", "tcp://eth0;host:1",
        "tcp://host:99999999999999999999"}) {
    INFO(text);
    const auto endpoint = parse_endpoint(text, "--listen");
    REQUIRE_FALSE(endpoint.ok());
    CHECK(endpoint.error().code == ExitCode::kUsage);
    CHECK(endpoint.error().message.starts_with("--listen"));
    CHECK(endpoint.error().message.find("tcp://HOST:PORT") !=
          std::string::npos);
  }
}

TEST_CASE("Port 0 means any free one, like *", "[integration]") {
  const auto endpoint = parse_endpoint("tcp://127.0.0.1:0", "--bind");
  REQUIRE(endpoint.ok());
  CHECK(endpoint->port == "*");
}

TEST_CASE("Only this machine reaches a loopback endpoint", "[integration]") {
  const auto loopback = [](const std::string& host) {
    return is_loopback(Endpoint{host, "5555"});
  };
  CHECK(loopback("127.0.0.1"));
  CHECK(loopback("127.1.2.3"));
  CHECK(loopback("localhost"));
  CHECK(loopback("[::1]"));
  CHECK_FALSE(loopback("*"));
  CHECK_FALSE(loopback("0.0.0.0"));
  CHECK_FALSE(loopback("[::]"));
  CHECK_FALSE(loopback("10.0.0.1"));
  CHECK_FALSE(loopback("localhost.example.org"));
  CHECK_FALSE(loopback("1270.0.0.1"));
  CHECK(loopback("[0:0:0:0:0:0:0:1]"));
  CHECK(loopback("[::ffff:127.0.0.1]"));
  CHECK_FALSE(loopback("[::ffff:10.0.0.1]"));
  CHECK_FALSE(loopback("[::2]"));
  CHECK_FALSE(loopback("127.evil.org"));
  CHECK_FALSE(loopback("127.0.0.1.evil.org"));
  CHECK_FALSE(loopback("127.1"));
  CHECK_FALSE(loopback("0177.0.0.1"));
  CHECK_FALSE(loopback("::1"));
  CHECK_FALSE(loopback("lo"));
}

TEST_CASE("A name stands for all of its addresses", "[integration]") {
  const auto hosts_of = [](const Result<std::vector<Endpoint>>& endpoints) {
    REQUIRE(endpoints.ok());
    std::vector<std::string> hosts;
    for (const Endpoint& endpoint : *endpoints) hosts.push_back(endpoint.host);
    return hosts;
  };
  const auto has_loopback = [](const std::vector<std::string>& hosts) {
    return std::ranges::find(hosts, "127.0.0.1") != hosts.end();
  };
  CHECK(has_loopback(hosts_of(resolve(Endpoint{"localhost", "5555"}))));
  CHECK(hosts_of(resolve(Endpoint{"10.1.2.3", "5555"})) ==
        std::vector<std::string>{"10.1.2.3"});
  CHECK(has_loopback(hosts_of(resolve_to_bind(Endpoint{"localhost", "5555"}))));
  // A network interface, by its IPv4 address before its IPv6 ones.
  CHECK(hosts_of(resolve_to_bind(Endpoint{"lo", "5555"})).front() ==
        "127.0.0.1");
  CHECK(hosts_of(resolve_to_bind(Endpoint{"*", "5555"})) ==
        std::vector<std::string>{"*"});
  for (const auto& none :
       {resolve(Endpoint{"no-such-host.invalid", "5555"}),
        resolve_to_bind(Endpoint{"no-such-host.invalid", "5555"})}) {
    REQUIRE_FALSE(none.ok());
    CHECK(none.error().code == ExitCode::kUnreachable);
    CHECK(none.error().message.find("no-such-host.invalid") !=
          std::string::npos);
  }
}

}  // namespace mdgan::test
