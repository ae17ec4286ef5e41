// The programs' command lines, parsed for tests.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "peer/options.h"
#include "server/command_options.h"
#include "tests/support/catch.h"

namespace mdgan::test {

inline Result<ParsedCommand> server(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "mdgan-server");
  return parse_server_options(static_cast<int>(arguments.size()),
                              arguments.data());
}

inline ServerOptions train(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "train");
  const auto parsed = server(arguments);
  INFO((parsed ? "" : parsed.error().message));
  REQUIRE(parsed.ok());
  REQUIRE(std::holds_alternative<ServerOptions>(*parsed));
  return std::get<ServerOptions>(*parsed);
}

inline std::string train_error(std::vector<const char*> arguments,
                               ExitCode code = ExitCode::kUsage) {
  arguments.insert(arguments.begin(), "train");
  const auto parsed = server(arguments);
  REQUIRE_FALSE(parsed.ok());
  CHECK(parsed.error().code == code);
  return parsed.error().message;
}

inline Result<ParsedPeer> peer(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(),
                   {"mdgan-peer", "--server", "tcp://h:1", "--data", "d"});
  return parse_peer_options(static_cast<int>(arguments.size()),
                            arguments.data());
}

inline PeerOptions peer_options(std::vector<const char*> arguments) {
  const auto parsed = peer(std::move(arguments));
  INFO((parsed ? "" : parsed.error().message));
  REQUIRE(parsed.ok());
  return std::get<PeerOptions>(*parsed);
}

inline std::string peer_error(std::vector<const char*> arguments) {
  const auto parsed = peer(std::move(arguments));
  REQUIRE_FALSE(parsed.ok());
  CHECK(parsed.error().code == ExitCode::kUsage);
  return parsed.error().message;
}

}  // namespace mdgan::test
