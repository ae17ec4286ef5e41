#include "peer/options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "common/keys/authorized_peers.h"
#include "common/net/endpoint.h"
#include "common/options/shared_options.h"
#include "common/options/text.h"
#include "protocol/clean_text.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

constexpr std::string_view kIntro =
    R"(Takes part in a training: keeps a discriminator and the real images, and tells
the server how its generated ones should change. No image leaves this machine.
The server says what to train; a peer needs its address and the data.

Usage: mdgan-peer --server tcp://HOST:PORT --data DIR [--KEY VALUE ...]
       mdgan-peer keygen [--key FILE] [--name NAME]

A flag beats the configuration file, the file beats the default. In the file
a line is KEY = VALUE, with the flags' names as keys; '#' begins a comment.

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

constexpr std::string_view kKeygenIntro =
    R"(Makes the key by which a server knows this peer, and prints the line that lets
it in there. Nothing is sent anywhere.

Usage: mdgan-peer keygen [--key FILE] [--name NAME]

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

OptionTable peer_table(PeerOptions& o) {
  return OptionTable(
      {{"The training",
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
          "CIFAR-10 binary files, or image files (PNG or JPEG), with a "
          "subfolder for each class. Required."},
         {"shard", shard_of(&o.shard), "I/N",
          "Train on part I of N of the data, for simulations. Without it: on "
          "all of the data."},
         {"sessions",
          &o.sessions,
          "M",
          "Host M peers in this process: with shards I to I+M-1 of N, or, "
          "without --shard, each with one of M parts of the data.",
          {1, protocol::kMaxPeers}},
         {"partition", partition_value(&o.partition), "CUT", kPartitionHelp}}},
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
          "The server's public key, or a file with it: no other server is "
          "talked to."},
         {"insecure", &o.insecure, "",
          "Do without keys where others can read along and take the server's "
          "place.",
          OptionRange{}, Where::kFlagOnly}}},
       {"Machine",
        {{"device", &o.device, "DEVICE",
          "The device that holds the discriminator: cpu, cuda or cuda:N."},
         {"precision", one_of(&o.precision, kPrecisionNames), "NAME",
          kPrecisionHelp},
         {"threads",
          &o.threads,
          "N",
          "Number of processor threads for each session's arithmetic.",
          {1, 256}},
         {"state-dir", &o.state_dir, "DIR",
          "The folder of checkpoints; a peer's own are in DIR/NAME."},
         {"quiet", &o.quiet, "", "Show only warnings on the terminal."}}}});
}

Error usage(std::string message) {
  return {std::move(message), ExitCode::kUsage};
}

Result<void> check(const PeerOptions& o) {
  if (o.server.empty())
    return usage("which server? Give its address: --server tcp://HOST:PORT");
  if (o.data.empty()) return usage("which data? Give its folder: --data DIR");
  for (const auto& [key, value] :
       {std::pair("server", &o.server), std::pair("listen", &o.listen),
        std::pair("advertise", &o.advertise)})
    if (!value->empty()) {
      const auto endpoint = parse_endpoint(*value, key);
      if (!endpoint) return endpoint.error();
      if (key != std::string_view("listen") && endpoint->port == "*")
        return usage(
            fmt::format("{} needs a port, '{}' has none", key, *value));
    }
  if (o.key.empty() != o.server_key.empty())
    return usage(o.key.empty()
                     ? "server-key needs this peer's own key: give --key FILE; "
                       "`mdgan-peer keygen` makes one"
                     : "key needs the server's public key: give --server-key "
                       "KEY, as `mdgan-server keygen` printed it");
  if (!o.key.empty() && o.insecure)
    return usage("--insecure is for a run without keys: leave out one of them");
  if (o.no_listen && (o.listen != PeerOptions{}.listen || !o.advertise.empty()))
    return usage(
        fmt::format("no-listen and {} exclude each other: leave out one "
                    "of them",
                    o.advertise.empty() ? "listen" : "advertise"));
  if (o.listen.empty()) return usage("listen must be like tcp://*:0, is empty");
  if (!protocol::is_clean_text(o.name))
    return usage(fmt::format(
        "name must be UTF-8 without control and format characters; it is '{}'",
        protocol::presentable(o.name)));
  if (o.name.find('/') != o.name.npos || o.name.starts_with('.') ||
      o.name.size() > 200)
    return usage(fmt::format(
        "name must be usable as a folder's: at most 200 bytes, without '/' and "
        "a leading '.'; it is '{}'",
        o.name));
  if (o.shard.count > 0 && o.shard.count - o.shard.index < o.sessions)
    return usage(fmt::format(
        "{} sessions from shard {}/{} on would need {} shards: give fewer "
        "--sessions or a lower --shard",
        o.sessions, o.shard.index, o.shard.count,
        std::uint64_t{o.shard.index} + o.sessions));
  if (o.partition != Partition{} && o.shard.count < 2 && o.sessions < 2)
    return usage(
        "partition says how several peers share out the data, and this one has "
        "all of it: give --shard I/N or --sessions M too");
  return {};
}

Result<ParsedPeer> parse_keygen(std::span<const char* const> arguments) {
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
  const auto no_files = [] { return std::vector<std::filesystem::path>(); };
  if (auto done = table.parse(arguments, no_files); !done) return done.error();
  if (o.key.empty()) return usage("which file? Give it with --key FILE");
  if (o.name.empty()) return ParsedPeer(std::move(o));
  if (const std::string defect = defect_of_name(o.name); !defect.empty())
    return usage(
        fmt::format("name '{}' {}", protocol::presentable(o.name), defect));
  return ParsedPeer(std::move(o));
}

}  // namespace

Result<ParsedPeer> parse_peer_options(int argc, const char* const* argv) {
  const std::span<const char* const> all(
      argv, static_cast<std::size_t>(std::max(argc, 0)));
  const auto arguments = all.subspan(std::min<std::size_t>(1, all.size()));
  if (!arguments.empty() && std::string_view(arguments[0]) == "keygen")
    return parse_keygen(arguments.subspan(1));
  PeerOptions options;
  OptionTable table = peer_table(options);
  if (asks_for_help(arguments))
    return ParsedPeer(PeerHelpRequest{std::string(kIntro) + table.help() +
                                      std::string(kExamples)});
  if (!arguments.empty() && std::string_view(arguments[0]) == "--version")
    return ParsedPeer(PeerVersionRequest{});
  auto done = table.parse(arguments, [&] {
    std::vector<std::filesystem::path> files;
    if (!options.config.empty()) files.emplace_back(options.config);
    return files;
  });
  if (done) done = check(options);
  if (!done) return done.error();
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
         peer_table(options).template_file();
}

}  // namespace mdgan
