#include "tests/support/in_process_run.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "common/base/random.h"
#include "common/data/partition.h"
#include "common/files/hash.h"
#include "common/keys/key_file.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

constexpr ImageShape kImage{1, 4, 4, 3};
constexpr std::uint32_t kImages = 40;

template <typename T>
T required(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

}  // namespace

ServerOptions small_options() {
  ServerOptions options;
  options.name = "test";
  options.min_peers = 2;
  options.rounds = 8;
  options.seed = 5;
  options.k = 2;
  options.batch = 4;
  options.swap_epochs = 0.4;
  options.swap_timeout = Seconds(20);  // a fault ends before the test's limit
  options.latent = 6;
  options.stats_every = 1;
  options.samples_every = 0;
  options.checkpoint_every = 0;
  return options;
}

std::shared_ptr<const Dataset> small_images() {
  auto data = std::make_shared<Dataset>();
  data->shape = kImage;
  Random random(99, Purpose::kSimulation);
  for (std::uint64_t i = 0; i < kImages * kImage.values(); ++i)
    data->pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  for (std::uint32_t i = 0; i < kImages; ++i)
    data->labels.push_back(static_cast<std::int32_t>(i % kImage.classes));
  data->class_names = numbered_classes(kImage.classes);
  return data;
}

InProcessServer::InProcessServer(const fs::path& directory,
                                 const ServerOptions& options)
    : options_(options),
      directory_(required(fs::exists(directory)
                              ? RunDirectory::reopen(directory)
                              : RunDirectory::open(directory))),
      terminal_(std::tmpfile(), &std::fclose) {
  RunLog::Options log;
  log.file = directory_->log();
  log.terminal = terminal_.get();
  log_ = required(RunLog::open(log));
  progress_.emplace(*log_, options_.rounds, options_.evaluate_every > 0);
  observers_.add(*progress_);
  stats_.emplace(
      required(StatsWriter::open(directory_->stats(), options_.rounds, {})));
  observers_.add(*stats_);
  RunState state;
  if (const auto saved = load_run(directory_->checkpoints())) {
    state = *saved;
  } else {
    fill_random(state.run);
    state.k = batches_per_round(options_, options_.min_peers);
  }
  state.incarnation = directory_->next_incarnation(
      std::max(directory_->last_incarnation(), state.incarnation));
  if (const auto written = directory_->write_incarnation(state.incarnation);
      !written)
    throw std::runtime_error(written.error().message);
  if (const auto written =
          directory_->write_configuration(effective_configuration(options_));
      !written)
    throw std::runtime_error(written.error().message);
  std::optional<ServerKeys> keys;
  if (!options_.key.empty()) {
    zap_.emplace(context_);
    const fs::path list = authorized_peers_of(options_.key, "");
    keys.emplace(ServerKeys{required(read_key_pair(options_.key)), list,
                            required(AuthorizedPeers::read(list)), *zap_,
                            options_.key, "--key " + options_.key});
  }
  shell_ = std::make_unique<ServerShell>(
      context_, options_, *directory_, std::move(state),
      options_.condition == Condition::kNone ? KnownData{kImage, {}}
                                             : KnownData{},
      -1, server_arithmetic(options_), std::move(keys));
  if (const auto opened = shell_->open(); !opened)
    throw std::runtime_error(opened.error().message);
  finish_ = std::async(std::launch::async, [this] {
              return shell_->run(observers_);
            }).share();
}

InProcessServer::~InProcessServer() {
  shell_->request_stop(ExitCode::kOk, "the test is over");
  finish_.wait();
}

Finish InProcessServer::wait() { return finish_.get(); }

void InProcessServer::stop() {
  shell_->request_stop(ExitCode::kOk, "the test stops it");
}

std::string InProcessServer::stats() const {
  return read_text(directory_->stats());
}

std::string InProcessServer::log() const {
  return read_text(directory_->log());
}

std::string InProcessServer::weights() const {
  std::vector<fs::path> checkpoints;
  for (const auto& entry : fs::directory_iterator(directory_->checkpoints()))
    checkpoints.push_back(entry.path());
  if (checkpoints.empty()) throw std::runtime_error("nothing was saved");
  return read_text(*std::ranges::max_element(checkpoints) /
                   "state.safetensors");
}

InProcessPeers::InProcessPeers(
    zmq::context_t& context, const std::string& server,
    const fs::path& directory, std::uint32_t first, std::uint32_t last,
    std::uint32_t count, bool listens, std::shared_ptr<const Dataset> data,
    PeerArithmetic arithmetic, std::vector<MeasureSite> measures) {
  PeerShellOptions options;
  options.server = server;
  if (listens) options.listen = "tcp://127.0.0.1:*";
  options.workers = 2;
  options.verbose = false;
  options.status_files = true;
  for (std::uint32_t i = first; i <= last; ++i) {
    const std::string name = "peer-" + std::to_string(i);
    options.peers.push_back(
        {name, i, cut_evenly(kImages, count)[i], directory / name});
    if (i - first < measures.size())
      options.peers.back().measure = std::move(measures[i - first]);
  }
  host_ = std::make_unique<PeerShell>(context, options, std::move(data),
                                      std::move(arithmetic));
  report_ =
      std::async(std::launch::async, [this] { return host_->run(); }).share();
}

InProcessPeers::~InProcessPeers() {
  host_->request_leave();
  report_.wait();
}

PeerShellReport InProcessPeers::wait() { return required(report_.get()); }

std::string undisturbed_weights(const ServerOptions& options) {
  const TemporaryDirectory directory;
  InProcessServer server(directory / "run", options);
  InProcessPeers peers(server.context(), kLocalEndpoint, directory.path(), 0, 1,
                       2);
  REQUIRE(server.wait().code == ExitCode::kOk);
  REQUIRE(peers.wait().code == ExitCode::kOk);
  return server.weights();
}

}  // namespace mdgan::test
