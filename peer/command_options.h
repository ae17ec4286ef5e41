// The commands of mdgan-peer, and what parses their options; options.h has what
// they give.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/options/options_parser.h"
#include "peer/options.h"

namespace mdgan {

// The options of a peer that takes part, whose values are in `options`.
std::vector<OptionGroup> peer_groups(PeerOptions& options);

// Sets them by `table`, which has peer_groups(options) and may have more, and
// refuses what cannot go together, with kUsage.
Result<void> parse_peer(PeerOptions& options, OptionTable& table,
                        std::span<const char* const> arguments,
                        const Environment& environment);

// `arguments` are those after the command.
Result<ParsedPeer> parse_peer_check(std::span<const char* const> arguments,
                                    const Environment& environment);
Result<ParsedPeer> parse_peer_classifier(std::span<const char* const> arguments,
                                         const Environment& environment);
Result<ParsedPeer> parse_peer_keygen(std::span<const char* const> arguments,
                                     const Environment& environment);
Result<ParsedPeer> parse_peer_join(std::span<const char* const> arguments,
                                   const Environment& environment);
Result<ParsedPeer> parse_peer_status(std::span<const char* const> arguments,
                                     const Environment& environment);

struct PeerCommand {
  std::string_view name;
  Result<ParsedPeer> (*parse)(std::span<const char* const> arguments,
                              const Environment& environment);
};
inline constexpr std::array<PeerCommand, 5> kPeerCommands{{
    {"check", parse_peer_check},
    {"classifier", parse_peer_classifier},
    {"join", parse_peer_join},
    {"keygen", parse_peer_keygen},
    {"status", parse_peer_status},
}};

}  // namespace mdgan
