#include "peer/options.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "common/net/endpoint.h"
#include "common/options/image_options.h"
#include "common/options/privacy_options.h"
#include "common/options/shared_options.h"
#include "common/options/text.h"
#include "peer/command_options.h"
#include "protocol/clean_text.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

constexpr std::string_view kIntro =
    R"(Takes part in a training: keeps a discriminator and the real images, and tells
the server how its generated ones should change. No image leaves this machine.
The server says what to train; a peer needs its address and the data.

Usage: mdgan-peer --server tcp://HOST:PORT --data DIR [--KEY VALUE ...]
       mdgan-peer check --server tcp://HOST:PORT --data DIR [--KEY VALUE ...]
       mdgan-peer join LINE [--key FILE]
       mdgan-peer keygen [--key FILE] [--name NAME]
       mdgan-peer status [NAME] [--state-dir DIR] [--json]

A flag beats the environment (MDGAN_STATE_DIR for --state-dir), that the
configuration file, and that the default. In the file a line is KEY = VALUE,
with the flags' names as keys; '#' begins a comment.

)";

constexpr std::string_view kExamples = R"(
Examples
  A folder of pictures that is this peer's own, a server on another machine:
    mdgan-peer --server tcp://10.0.0.1:5555 --key peer.key \
        --server-key server.pub --data /data/scans
  The second of four peers that share out MNIST, for a simulation:
    mdgan-peer --server tcp://127.0.0.1:5555 --data mnist --shard 1/4
  All four in one process:
    mdgan-peer --server tcp://127.0.0.1:5555 --data mnist --sessions 4
)";

CustomValue shard_of(ShardOption* shard) {
  return {
      "I/N with I counted from 0, so from 0/4 to 3/4 for four parts",
      [=] {
        if (shard->count == 0) return std::string();
        return fmt::format("{}/{}", shard->index, shard->count);
      },
      [=](std::string_view text) {
        if (text.empty()) return *shard = {}, true;
        ShardOption parsed;
        const char* const end = text.data() + text.size();
        auto result = std::from_chars(text.data(), end, parsed.index);
        if (result.ec != std::errc{} || result.ptr == end || *result.ptr != '/')
          return false;
        result = std::from_chars(result.ptr + 1, end, parsed.count);
        if (result.ec != std::errc{} || result.ptr != end ||
            parsed.index >= parsed.count || parsed.count > protocol::kMaxPeers)
          return false;
        *shard = parsed;
        return true;
      }};
}

}  // namespace

std::vector<OptionGroup> peer_groups(PeerOptions& o) {
  return {
      {"The training",
       {{"config", &o.config, "FILE",
         "Read this configuration file; see configs/peer.ini.", OptionRange{},
         Where::kFlagOnly},
        {"server", &o.server, "tcp://HOST:PORT",
         "Address of the server. Required."},
        {"name", &o.name, "NAME",
         "The peer's name, which must be unique in the run; a peer keeps its "
         "place across restarts by it. Empty: the host's name. With --shard "
         "or --sessions \"-I\" is appended for shard I, except to the --name "
         "of a single peer."},
        {"connect-timeout",
         &o.connect_timeout,
         "SECONDS",
         "End with exit code 5 after this long without a word from the "
         "server.",
         {1, 86400 * 365}}}},
      {"The data",
       {{"data", &o.data, "DIR",
         "The folder with this peer's data: MNIST files (IDX, plain or gzip), "
         "CIFAR's binary files, or image files (PNG, JPEG, WebP, TIFF or BMP), "
         "with a subfolder for each class. Required."},
        {"shard", shard_of(&o.shard), "I/N",
         "Train on part I of N of the data, for simulations. Without it: on "
         "all of the data."},
        {"sessions",
         &o.sessions,
         "M",
         "Host M peers in this process: with shards I to I+M-1 of N, or, "
         "without --shard, each with one of M parts of the data.",
         {1, protocol::kMaxPeers}},
        {"partition", partition_value(&o.partition), "CUT", kPartitionHelp},
        {"tell-classes", one_of(&o.tell_classes, kTellClassesNames), "WHAT",
         "What the server is told of the labels. counts: the classes' names "
         "and how many images there are of each. presence: the names, and "
         "which of them there are images of. names: the names alone, by which "
         "a label means the same at every peer."},
        {"evaluate-data", &o.evaluate_data, "DIR",
         "The folder with images of this site that it does not train on: its "
         "test part, or all of them; with --shard, part I of N. The server can "
         "then have the generator measured by them (evaluate-at = peers): the "
         "images stay here, sums of their features leave. Not with --dp. "
         "Empty: this peer measures nothing."},
        {"evaluate-classifier", &o.evaluate_classifier, "FILE",
         "The classifier by which it measures, as `mdgan-peer classifier` "
         "makes it: the file that the sites have agreed on, for who makes it "
         "decides what the sums tell. A server that measures with another one "
         "gets nothing."}}},
      images_group(&o.reading),
      privacy_group(&o.privacy),
      {"The network",
       {{"listen", &o.listen, "tcp://ADDR:PORT",
         "The address at which this peer receives discriminators from other "
         "peers. Port 0: any free port; *: all addresses of this machine. "
         "With a server on 127.0.0.1 the default is 127.0.0.1 too."},
        {"advertise", &o.advertise, "tcp://HOST:PORT",
         "The address at which other peers reach --listen, if it is behind a "
         "network address translation. Empty: the address that the server "
         "sees."},
        {"no-listen", &o.no_listen, "",
         "Listen nowhere, as behind a firewall that lets nobody in: "
         "discriminators come and go through the server, sealed so that a "
         "server with keys cannot read them."},
        {"key", &o.key, "FILE",
         "This peer's secret key, as `mdgan-peer keygen` makes it, for a "
         "server with keys."},
        {"server-key", &o.server_key, "KEY",
         "The server's public key, or a file with it: the peer takes part "
         "with no other server."},
        {"known-peers", &o.known_peers, "FILE",
         "Exchange discriminators with the peers of this file alone, whomever "
         "the server names: a line KEY NAME for each, as in the server's "
         "authorized_peers. The server's own key stands for the peers in its "
         "process. Without it the server alone decides."},
        {"insecure", &o.insecure, "",
         "Run without keys, although others on the network can read the "
         "traffic and pose as the server.",
         OptionRange{}, Where::kFlagOnly}}},
      {"Machine",
       {{"device", &o.device, "DEVICE",
         "The device that holds the discriminator: cpu, cuda or cuda:N."},
        {"model-file", &o.model_file, "FILE",
         "A TorchScript file that you have from whoever runs the server, "
         "where the run's model is none of those that both programs know: it "
         "is not sent. Such a file is a program, which can do what this one "
         "can; docs/own-models.md."},
        {"precision", one_of(&o.precision, kPrecisionNames), "NAME",
         kPrecisionHelp},
        {"threads",
         &o.threads,
         "N",
         "Number of processor threads for each session's arithmetic.",
         {1, 256}},
        {"state-dir", &o.state_dir, "DIR",
         "The folder of checkpoints; a peer's own are in DIR/NAME. With --dp, "
         "also of what was spent of the budget, in DIR/privacy."},
        {"quiet", &o.quiet, "", "Show only warnings on the terminal."}}}};
}

Result<void> check_peer(const PeerOptions& o) {
  if (o.server.empty())
    return usage_error(
        "which server? Give its address: --server tcp://HOST:PORT");
  if (o.data.empty())
    return usage_error("which data? Give its folder: --data DIR");
  if (auto fits = check_images(o.reading); !fits) return fits.error();
  for (const auto& [key, value] :
       {std::pair("server", &o.server), std::pair("listen", &o.listen),
        std::pair("advertise", &o.advertise)})
    if (!value->empty()) {
      const auto endpoint = parse_endpoint(*value, key);
      if (!endpoint) return endpoint.error();
      if (key != std::string_view("listen") && endpoint->port == "*")
        return usage_error(
            fmt::format("{} needs a port, '{}' has none", key, *value));
    }
  if (o.key.empty() != o.server_key.empty())
    return usage_error(
        o.key.empty()
            ? "server-key needs this peer's own key: give --key FILE; "
              "`mdgan-peer keygen` makes one"
            : "key needs the server's public key: give --server-key "
              "KEY, as `mdgan-server keygen` printed it");
  if (!o.known_peers.empty() && o.key.empty())
    return usage_error(
        "known-peers needs a run with keys, by which peers are known: give "
        "--key FILE and --server-key KEY");
  if (o.evaluate_data.empty() != o.evaluate_classifier.empty())
    return usage_error(
        o.evaluate_data.empty()
            ? "evaluate-classifier measures images that are held out: give "
              "their folder with --evaluate-data DIR"
            : "evaluate-data needs the classifier that the sites have agreed "
              "on: give it with --evaluate-classifier FILE; `mdgan-peer "
              "classifier` makes one");
  if (!o.evaluate_data.empty() && o.privacy.mode != DpMode::kNone)
    return usage_error(
        "evaluate-data tells of images what no budget of dp counts: leave out "
        "one of the two");
  if (!o.key.empty() && o.insecure)
    return usage_error(
        "--insecure is for a run without keys: leave out one of them");
  if (o.no_listen && (o.listen != PeerOptions{}.listen || !o.advertise.empty()))
    return usage_error(
        fmt::format("no-listen and {} exclude each other: leave out one "
                    "of them",
                    o.advertise.empty() ? "listen" : "advertise"));
  if (o.listen.empty())
    return usage_error("listen must be like tcp://*:0, but is empty");
  if (!protocol::is_clean_text(o.name))
    return usage_error(fmt::format(
        "name must be UTF-8 without control and format characters; it is '{}'",
        protocol::presentable(o.name)));
  if (o.name.find('/') != o.name.npos || o.name.starts_with('.') ||
      o.name.size() > 200)
    return usage_error(fmt::format(
        "name must be usable as a folder's: at most 200 bytes, without '/' and "
        "a leading '.'; it is '{}'",
        o.name));
  if (o.shard.count > 0 && o.shard.count - o.shard.index < o.sessions)
    return usage_error(fmt::format(
        "{} sessions from shard {}/{} on would need {} shards: give fewer "
        "--sessions or a lower --shard",
        o.sessions, o.shard.index, o.shard.count,
        std::uint64_t{o.shard.index} + o.sessions));
  if (o.partition != Partition{} && o.shard.count < 2 && o.sessions < 2)
    return usage_error(
        "partition says how several peers share out the data, and this one has "
        "all of it: give --shard I/N or --sessions M too");
  return {};
}

Result<void> parse_peer(PeerOptions& options, OptionTable& table,
                        std::span<const char* const> arguments,
                        const Environment& environment) {
  auto done = table.parse(arguments, environment, [&] {
    std::vector<std::filesystem::path> files;
    if (!options.config.empty()) files.emplace_back(options.config);
    return files;
  });
  return done ? check_peer(options) : done;
}

Result<ParsedPeer> parse_peer_options(int argc, const char* const* argv,
                                      const Environment& environment) {
  const std::span<const char* const> all(
      argv, static_cast<std::size_t>(std::max(argc, 0)));
  const auto arguments = all.subspan(std::min<std::size_t>(1, all.size()));
  if (!arguments.empty())
    for (const PeerCommand& command : kPeerCommands)
      if (arguments[0] == command.name)
        return command.parse(arguments.subspan(1), environment);
  PeerOptions options;
  OptionTable table(peer_groups(options));
  if (asks_for_help(arguments))
    return ParsedPeer(PeerHelpRequest{std::string(kIntro) + table.help() +
                                      std::string(kExamples)});
  if (!arguments.empty() && std::string_view(arguments[0]) == "--version")
    return ParsedPeer(PeerVersionRequest{});
  const auto done = parse_peer(options, table, arguments, environment);
  if (!done) return done.error();
  for (const std::string& warning : table.unknown_in(environment))
    spdlog::warn("{}", warning);
  return ParsedPeer(std::move(options));
}

std::vector<PeerSessionOptions> sessions_of(const PeerOptions& options,
                                            const std::string& hostname) {
  const ShardOption shard = options.shard.count > 0
                                ? options.shard
                                : ShardOption{0, options.sessions};
  const bool cut = shard.count > 1;
  const bool exact = options.sessions == 1 && !options.name.empty();
  const std::string base = options.name.empty() ? hostname : options.name;
  std::vector<PeerSessionOptions> sessions;
  for (std::uint32_t i = 0; i < options.sessions; ++i) {
    PeerSessionOptions session;
    session.shard = shard.index + i;
    session.shards = shard.count;
    session.name =
        cut && !exact ? fmt::format("{}-{}", base, session.shard) : base;
    if (cut) session.index = session.shard;
    session.state = std::filesystem::path(options.state_dir) / session.name;
    sessions.push_back(std::move(session));
  }
  return sessions;
}

std::string peer_configuration_template() {
  PeerOptions options;
  return "# Every key of `mdgan-peer --config FILE`, with its default.\n"
         "# Remove the # in front of a key to set it; a flag --KEY VALUE beats "
         "the file.\n" +
         OptionTable(peer_groups(options)).template_file();
}

}  // namespace mdgan
