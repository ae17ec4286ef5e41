// The options of the commands that do not take part in a training.
#include "peer/command_options.h"

#include <spdlog/fmt/fmt.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/keys/authorized_peers.h"
#include "common/options/image_options.h"
#include "common/options/text.h"
#include "protocol/clean_text.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

constexpr std::string_view kKeygenIntro =
    R"(Makes the key by which a server knows this peer, and prints the line that lets
it in there. Nothing is sent anywhere.

Usage: mdgan-peer keygen [--key FILE] [--name NAME]

)";

constexpr std::string_view kJoinIntro =
    R"(Makes this peer's key and leaves the public half at the server that invited it.
LINE is what `mdgan-server invite NAME` printed there. Then read the fingerprint to
whoever runs the server, by telephone: if it is the same there, this peer is let in.

Usage: mdgan-peer join LINE [--key FILE]

)";

constexpr std::string_view kStatusIntro =
    R"(Says how the peer NAME of this machine stands, and how many bytes of what kind
have left it. Without NAME: the peer of the state folder that was active last. It
changes nothing.

Usage: mdgan-peer status [NAME] [--state-dir DIR] [--json]

)";

constexpr std::string_view kClassifierIntro =
    R"(Trains a small network to tell the classes of this site's images apart (a minute or
two) and writes it to a file, by which a server without images of its own can have
generators measured at the peers. Nothing is sent anywhere: hand the file over if
what it may tell of the images it was trained on may leave the site.

Usage: mdgan-peer classifier --data DIR [--out FILE] [--KEY VALUE ...]

)";

constexpr std::string_view kCheckIntro =
    R"(Says whether a peer started with these options would work: looks up the server,
connects, compares keys and protocols, reads the data, computes for a second, and
reckons how long a round takes on this link. It takes no part in the run and
leaves nothing behind. A line for each part says that it passed, or what to do.

Usage: mdgan-peer check --server tcp://HOST:PORT --data DIR [--KEY VALUE ...]

Exit code: 0 all passed; else that of the first part that did not: 3 version or
device, 4 keys, 5 the server cannot be reached, 6 data, 7 the state's folder.

)";

}  // namespace

Result<ParsedPeer> parse_peer_keygen(std::span<const char* const> arguments,
                                     const Environment& environment) {
  PeerKeygenOptions o;
  OptionTable table(
      {{"Options",
        {{"key", &o.key, "FILE",
          "The file to write the secret key to; the public one goes beside it, "
          "with .pub in place of the extension."},
         {"name", &o.name, "NAME",
          "The peer's name, which its owner and the server's agree on. Empty: "
          "the host's name."}}}});
  if (asks_for_help(arguments))
    return ParsedPeer(
        PeerHelpRequest{std::string(kKeygenIntro) + table.help()});
  if (auto done = table.parse(arguments, environment); !done)
    return done.error();
  if (o.key.empty()) return usage_error("which file? Give it with --key FILE");
  if (o.name.empty()) return ParsedPeer(std::move(o));
  if (const std::string defect = defect_of_name(o.name); !defect.empty())
    return usage_error(
        fmt::format("name '{}' {}", protocol::presentable(o.name), defect));
  return ParsedPeer(std::move(o));
}

Result<ParsedPeer> parse_peer_classifier(std::span<const char* const> arguments,
                                         const Environment& environment) {
  PeerClassifierOptions o;
  OptionTable table(
      {{"Options",
        {{"data", &o.data, "DIR",
          "The folder with labelled images, as for a peer. Required."},
         {"out", &o.out, "FILE", "The file to write, in safetensors' format."},
         {"device", &o.device, "DEVICE",
          "The device that tries it out: cpu, cuda or cuda:N. It is trained on "
          "the processor."}}},
       images_group(&o.reading)});
  if (asks_for_help(arguments))
    return ParsedPeer(
        PeerHelpRequest{std::string(kClassifierIntro) + table.help()});
  if (auto done = table.parse(arguments, environment); !done)
    return done.error();
  if (o.data.empty())
    return usage_error("which data? Give its folder: --data DIR");
  if (o.out.empty()) return usage_error("which file? Give it with --out FILE");
  if (auto fits = check_images(o.reading); !fits) return fits.error();
  return ParsedPeer(std::move(o));
}

Result<ParsedPeer> parse_peer_join(std::span<const char* const> arguments,
                                   const Environment& environment) {
  PeerJoinOptions o;
  OptionTable table(
      {{"Options",
        {{"key", &o.key, "FILE",
          "The file to write the secret key to; the public one goes beside it, "
          "with .pub in place of the extension. A key that is there already is "
          "used, if it is this peer's."}}}});
  if (asks_for_help(arguments))
    return ParsedPeer(PeerHelpRequest{std::string(kJoinIntro) + table.help()});
  o.line = take_word(arguments);
  if (auto done = table.parse(arguments, environment); !done)
    return done.error();
  if (o.line.empty())
    return usage_error(
        "which invitation? Give the line that `mdgan-server invite` printed: "
        "mdgan-peer join LINE");
  if (o.key.empty()) return usage_error("which file? Give it with --key FILE");
  return ParsedPeer(std::move(o));
}

Result<ParsedPeer> parse_peer_status(std::span<const char* const> arguments,
                                     const Environment& environment) {
  PeerStatusOptions o;
  OptionTable table(
      {{"Options",
        {{"state-dir", &o.state_dir, "DIR",
          "The peer's --state-dir; its own folder is DIR/NAME."},
         {"json", &o.json, "", "Show status.json on one line."}}}});
  if (asks_for_help(arguments))
    return ParsedPeer(
        PeerHelpRequest{std::string(kStatusIntro) + table.help()});
  o.name = take_word(arguments);
  if (auto done = table.parse(arguments, environment); !done)
    return done.error();
  return ParsedPeer(std::move(o));
}

Result<ParsedPeer> parse_peer_check(std::span<const char* const> arguments,
                                    const Environment& environment) {
  PeerCheckOptions o;
  std::vector<OptionGroup> groups = peer_groups(o.peer);
  groups.push_back({"What the server trains, for the estimates",
                    {{"model", &o.model, "NAME", "The server's --model."},
                     {"batch",
                      &o.batch,
                      "B",
                      "The server's --batch.",
                      {1, protocol::kMaxBatch}}}});
  OptionTable table(std::move(groups));
  if (asks_for_help(arguments))
    return ParsedPeer(PeerHelpRequest{std::string(kCheckIntro) + table.help()});
  if (auto done = parse_peer(o.peer, table, arguments, environment); !done)
    return done.error();
  return ParsedPeer(std::move(o));
}

}  // namespace mdgan
