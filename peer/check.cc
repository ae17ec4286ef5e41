#include "peer/check.h"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/base/words.h"
#include "common/data/dataset.h"
#include "common/files/plain_file.h"
#include "common/keys/authorized_peers.h"
#include "common/net/address.h"
#include "common/net/endpoint.h"
#include "common/net/tcp_connection.h"
#include "peer/io/server_probe.h"
#include "peer/peer_keys.h"
#include "protocol/algorithm.h"
#include "protocol/frames.h"
#include "protocol/tensor_codecs.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kConnectTime = 10s;
constexpr Duration kHandshakeTime = 25s;
constexpr Duration kComputeTime = 1s;
constexpr int kMostRounds = 200;

std::string milliseconds(Duration time) {
  return fmt::format("{:.3g} ms", 1e3 * seconds(time));
}

// What connect() gave of the last address.
Error unreachable(const std::string& address, int error) {
  std::string_view advice = "is the network up, and a way there?";
  if (error == ECONNREFUSED)
    advice =
        "nobody listens there: is the server running, with --bind, and the "
        "port right?";
  else if (error == ETIMEDOUT)
    advice =
        "nobody answers: is the address right, and does a firewall stand "
        "between, here or there?";
  return {fmt::format("{}: {}; {}", address, std::strerror(error), advice),
          ExitCode::kUnreachable};
}

Result<std::string> connect_to_any(const std::vector<Endpoint>& addresses) {
  Error why;
  for (const Endpoint& address : addresses) {
    const TimePoint begun = Clock::now();
    const TcpConnection connection(address, begun + kConnectTime);
    if (connection.error() == 0)
      return fmt::format("{} answers in {}", address.text(),
                         milliseconds(Clock::now() - begun));
    why = unreachable(address.text(), connection.error());
  }
  return why;
}

struct Loaded {
  std::shared_ptr<const Dataset> data;
  std::vector<std::uint32_t> shard;  // of the first session
};

Result<Loaded> load(const PeerCheckOptions& options,
                    const std::string& hostname) {
  const PeerOptions& peer = options.peer;
  auto data = load_dataset(peer.data, DataPart::kTrain, peer.reading);
  if (!data) return data.error();
  const PeerSessionOptions session =
      sessions_of(peer, default_name(peer, hostname)).front();
  auto shards =
      cut_data(peer.partition, data->size(), data->labels, session.shards);
  if (!shards) return shards.error();
  auto& shard = (*shards)[session.shard];
  if (shard.size() < options.batch)
    return Error{
        fmt::format("{}: this peer has {}, fewer than a batch of {}: give more "
                    "data or fewer shards",
                    peer.data, plural(shard.size(), "image"), options.batch),
        ExitCode::kData};
  return Loaded{std::make_shared<const Dataset>(std::move(*data)),
                std::move(shard)};
}

std::string words_of(const Loaded& loaded, const std::string& folder) {
  const ImageShape& shape = loaded.data->shape;
  std::string text =
      fmt::format("{} of {}x{}x{} in {}", plural(loaded.data->size(), "image"),
                  shape.channels, shape.height, shape.width, folder);
  if (shape.classes > 0)
    text += fmt::format(", {} {}", count_words(shape.classes),
                        shape.classes == 1 ? "class" : "classes");
  if (loaded.shard.size() < loaded.data->size())
    text += fmt::format("; this peer's part has {}",
                        count_words(loaded.shard.size()));
  return text;
}

TrainingSpec spec_of(const PeerCheckOptions& options, const Dataset& data) {
  TrainingSpec spec;
  spec.model = options.model;
  spec.image = data.shape;
  spec.image.classes = 0;
  spec.batch = options.batch;
  return spec;
}

// The seconds of a round's arithmetic, by rounds on images that are no
// pictures.
Result<double> time_rounds(PeerTrainer& trainer, const TrainingSpec& spec) {
  const NewBlob images = make_blob(batch_metas(spec, {}, 0).front());
  std::vector<float> values(images.bytes.size() / sizeof(float));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i % 255) / 127.5F - 1;
  std::memcpy(images.bytes.data(), values.data(), images.bytes.size());
  TimePoint begun = Clock::now();
  int rounds = 0;
  try {
    trainer.initialise();
    for (int i = 0; i <= kMostRounds; ++i) {
      if (i == 1) begun = Clock::now();  // the first one makes its buffers
      trainer.learn(Round{static_cast<std::uint64_t>(i) + 1}, 1, images.blob,
                    {});
      (void)trainer.feedback(images.blob, {});
      rounds = i;
      if (i > 0 && Clock::now() - begun > kComputeTime) break;
    }
  } catch (const std::exception& e) {
    return Error{std::string("the device cannot compute: ") + e.what(),
                 ExitCode::kConfiguration};
  }
  return seconds(Clock::now() - begun) / rounds;
}

std::string link_words(const LinkSpeed& speed) {
  const std::string trip =
      "a round trip takes " + milliseconds(speed.round_trip);
  if (!speed.bytes_per_second)
    return trip + ", and the way to the server is faster than this can measure";
  return fmt::format("{}; {:.3g} Mbit/s or more to the server", trip,
                     *speed.bytes_per_second * 8e-6);
}

// Batches come at the rate at which answers go, as far as is known.
std::string round_words(const TrainingSpec& spec, const LinkSpeed& link,
                        double computing) {
  const std::uint64_t down =
      2 * protocol::total_bytes(batch_metas(spec, {}, 0));
  const std::uint64_t up = protocol::total_bytes(answer_metas(spec, {}, 0));
  const double transfer =
      link.bytes_per_second
          ? static_cast<double>(down + up) / *link.bytes_per_second
          : 0;
  return fmt::format(
      "about {:.3g} s for {} and back {}, if the way here is as fast as the "
      "way "
      "there, beside what the server computes; --model and --batch say what it "
      "trains, codecs make it less",
      computing + seconds(link.round_trip) + transfer, bytes_words(down),
      bytes_words(up));
}

// Tells what was found, and keeps the code of the first failure.
class Findings {
 public:
  explicit Findings(const TellChecked& tell) : tell_(tell) {}
  bool add(std::string_view part, const Result<std::string>& found) {
    tell_(part, found);
    if (!found && code_ == ExitCode::kOk) code_ = found.error().code;
    return found.ok();
  }
  ExitCode code() const { return code_; }

 private:
  const TellChecked& tell_;
  ExitCode code_ = ExitCode::kOk;
};

// Nothing: the link is not known.
std::optional<LinkSpeed> check_server(const PeerOptions& options,
                                      Findings& findings) {
  const auto server = parse_endpoint(options.server, "server");
  if (!server) {
    findings.add("name", server.error());
    return std::nullopt;
  }
  const auto addresses = resolve(*server);
  if (!addresses) {
    findings.add("name", Error{addresses.error().message +
                                   ": is the name in --server right?",
                               addresses.error().code});
    return std::nullopt;
  }
  findings.add("name",
               fmt::format("{} is {}", server->host, addresses->front().host));
  if (!findings.add("connection", connect_to_any(*addresses)))
    return std::nullopt;

  const std::string listen = options.no_listen ? "" : options.listen;
  const bool local = is_loopback(*server) && listen == PeerOptions{}.listen;
  const auto keys = load_keys(options, local ? "" : listen);
  if (!keys) {
    findings.add("keys", keys.error());
    return std::nullopt;
  }
  zmq::context_t context;
  ServerProbe probe(context, options.server, *keys);
  if (const auto met = probe.connect(kHandshakeTime); !met) {
    findings.add("keys", met.error());
    return std::nullopt;
  }
  findings.add("keys", *keys ? "the server has its key and lets in this one, " +
                                   to_z85((*keys)->own.public_key)
                             : std::string("none here and none there"));
  if (const auto same = probe.compare_versions(); !same) {
    findings.add("version", same.error());
    return std::nullopt;
  }
  findings.add("version", fmt::format("the server speaks protocol {}, too",
                                      protocol::kMajor));
  const auto speed = probe.measure();
  if (!speed) {
    findings.add("link", speed.error());
    return std::nullopt;
  }
  findings.add("link", link_words(*speed));
  return *speed;
}

}  // namespace

ExitCode check(const PeerCheckOptions& options, const std::string& hostname,
               const CheckArithmetic& arithmetic, const TellChecked& tell) {
  Findings findings(tell);
  const auto link = check_server(options.peer, findings);
  const auto known_peers = [&]() -> Result<void> {
    if (options.peer.known_peers.empty()) return {};
    const auto read = AuthorizedPeers::read(options.peer.known_peers);
    return read ? Result<void>() : read.error();
  }();
  if (!known_peers) findings.add("known-peers", known_peers.error());
  const std::filesystem::path state = options.peer.state_dir;
  findings.add("state", [&]() -> Result<std::string> {
    if (const auto can = check_writable({&state, 1}); !can) return can.error();
    return state.string() + " can be written";
  }());
  auto loaded = load(options, hostname);
  findings.add(
      "data", loaded ? Result<std::string>(words_of(*loaded, options.peer.data))
                     : loaded.error());
  if (loaded && !options.peer.evaluate_data.empty()) {
    findings.add("held out", [&]() -> Result<std::string> {
      const auto held = hold_out(options.peer, loaded->data->shape, hostname);
      if (!held) return held.error();
      if (const auto fits = arithmetic.check_classifier(*held); !fits)
        return fits.error();
      return fmt::format("{} to measure generators with in {}",
                         plural(held->images->size(), "image"),
                         options.peer.evaluate_data);
    }());
  }
  if (const auto set = arithmetic.set_device(); !set) {
    findings.add("device", set.error());
    return findings.code();
  }
  if (!loaded) return findings.code();
  const TrainingSpec spec = spec_of(options, *loaded->data);
  if (const auto fits = protocol::byte_size(batch_metas(spec, {}, 0).front());
      !fits) {
    findings.add("device", Error{fits.error().message +
                                     ": give a smaller --batch or --size",
                                 ExitCode::kConfiguration});
    return findings.code();
  }
  arithmetic.peer.start_thread();
  auto trainer = arithmetic.peer.make_trainer(
      spec, loaded->data, std::move(loaded->shard), PeerId{});
  if (!findings.add(
          "device",
          trainer
              ? Result<std::string>(fmt::format(
                    "{} holds a discriminator of {} ({})", options.peer.device,
                    plural((*trainer)->parameter_count(), "parameter"),
                    options.model))
              : trainer.error()))
    return findings.code();
  const auto computing = time_rounds(**trainer, spec);
  if (!findings.add(
          "speed",
          computing
              ? Result<std::string>(fmt::format(
                    "a round of {} takes {:.3g} ms here{}",
                    plural(options.batch, "image"), 1e3 * *computing,
                    options.peer.privacy.mode == DpMode::kNone
                        ? ""
                        : ", and longer with --dp, which is not measured"))
              : computing.error()))
    return findings.code();
  if (link) findings.add("round", round_words(spec, *link, *computing));
  return findings.code();
}

}  // namespace mdgan
