#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "common/base/stop_signal.h"
#include "common/base/terminal.h"
#include "common/base/worker_pool.h"
#include "common/data/dataset.h"
#include "common/files/hash.h"
#include "common/files/jsonl.h"
#include "common/net/endpoint.h"
#include "peer/io/peer_shell.h"
#include "peer/train/make_peer_trainer.h"
#include "server/commands/commands.h"
#include "server/commands/local_data.h"
#include "server/commands/make_evaluator.h"
#include "server/io/server_shell.h"
#include "server/run/progress_line.h"
#include "server/run/stats_writer.h"
#include "server/run/status_file.h"
#include "server/train/make_round_trainer.h"

namespace mdgan {
namespace {

Result<RunDirectory> open_directory(const ServerOptions& options) {
  if (!options.resume.empty()) return RunDirectory::reopen(options.resume);
  if (!options.run_dir.empty()) return RunDirectory::create(options.run_dir);
  return RunDirectory::create_numbered("runs", options.name);
}

// The image shape as far as it is known before any peer has spoken.
Result<std::optional<ImageShape>> known_image(const ServerOptions& options,
                                              const Dataset* data,
                                              const RunState& state) {
  std::optional<ImageShape> image = state.image;
  if (data != nullptr) image = data->shape;
  if (!image && options.image.values() > 0 && options.classes >= 0)
    image = options.image;
  if (!image) return image;
  if (options.image.values() > 0 &&
      (options.image.channels != image->channels ||
       options.image.height != image->height ||
       options.image.width != image->width))
    return Error{
        "the configuration's image size is not that of the data set in " +
            options.data + ": leave out image, or give other data",
        ExitCode::kConfiguration};
  if (options.classes >= 0)
    image->classes = static_cast<std::uint32_t>(options.classes);
  return image;
}

// `endpoint`: where other peers connect to; empty when there are none.
PeerShellOptions local_host(const ServerOptions& options,
                            const std::string& endpoint,
                            const RunDirectory& directory, Shards shards) {
  PeerShellOptions host;
  host.server = kLocalEndpoint;
  const auto bound = parse_endpoint(endpoint, "bind");
  host.listen =
      bound && !is_loopback(*bound) ? "tcp://*:*" : "tcp://127.0.0.1:*";
  host.workers =
      std::clamp(std::thread::hardware_concurrency(), 1U, options.local_peers);
  host.keep_every = options.keep_every;
  host.verbose = false;
  for (std::uint32_t i = 0; i < options.local_peers; ++i) {
    const std::string name = local_name(i);
    host.peers.push_back(
        {name, i, std::move(shards[i]), directory.peers() / name});
  }
  return host;
}

// An exception must not leave while the other thread still runs.
Result<PeerShellReport> run_host(PeerShell& host) {
  try {
    return host.run();
  } catch (const std::exception& e) {
    return Error{std::string("a fault of the local peers: ") + e.what()};
  }
}

Finish run_shell(ServerShell& shell, RunObserver& observer) {
  try {
    return shell.run(observer);
  } catch (const std::exception& e) {
    return {ExitCode::kBug, std::string("a fault of the server: ") + e.what()};
  }
}

Finish finish_of(const Error& error) { return {error.code, error.message}; }

// The run as it is to go on, or a new one's beginning. What its files have of
// later rounds is removed.
Result<RunState> prepare_run(const ServerOptions& options,
                             const RunDirectory& directory) {
  RunState state;
  if (options.resume.empty()) {
    fill_random(state.run);
    state.k = batches_per_round(options, options.min_peers);
  } else {
    auto loaded = load_local_run(options, directory);
    if (!loaded) return loaded.error();
    state = std::move(*loaded);
    if (state.algorithm != options.training.algorithm)
      return Error{
          "the run in " + options.resume + " trains with " +
              std::string(name_of(kAlgorithmNames, state.algorithm)) +
              ": resume it without another algorithm, or start a new run",
          ExitCode::kConfiguration};
    const Round completed = state.position.completed;
    spdlog::info("goes on after round {}", completed.value);
    if (const auto cut = truncate_after_round(directory.stats(), completed);
        !cut)
      return cut.error();
    if (const auto cut = truncate_evaluations(directory.path(), completed);
        !cut)
      return cut.error();
  }
  const auto incarnation = directory.next_incarnation();
  if (!incarnation) return incarnation.error();
  state.incarnation = *incarnation;
  if (const auto written =
          directory.write_configuration(effective_configuration(options));
      !written)
    return written.error();
  return state;
}

// `observer` is told all but the end.
Finish train_in(const ServerOptions& options, const RunDirectory& directory,
                const std::shared_ptr<const Dataset>& data, RunState state,
                RunObserver& observer, int stop) {
  const auto image = known_image(options, data.get(), state);
  if (!image) return finish_of(image.error());
  Result<Shards> shards = Shards{};
  if (options.local_peers > 0)
    shards = cut_local_data(options, directory, *data);
  if (!shards) return finish_of(shards.error());
  ServerArithmetic arithmetic = torch_server(options.codecs, options.device,
                                             static_cast<int>(options.threads));
  if (options.evaluate_every > 0) {
    auto made = make_evaluator(options);
    if (!made) return finish_of(made.error());
    arithmetic.measure = [evaluator = std::shared_ptr(std::move(*made))](
                             const Sampler& sampler, Round round,
                             std::uint64_t seed) {
      return evaluator->evaluate(sampler, round, seed);
    };
  }
  zmq::context_t context;
  ServerShell shell(context, options, directory, std::move(state), *image, stop,
                    std::move(arithmetic));
  if (const auto opened = shell.open(); !opened)
    return finish_of(opened.error());
  if (!shell.endpoint().empty())
    spdlog::info("peers connect to {}", shell.endpoint());

  std::unique_ptr<PeerShell> host;
  std::thread host_thread;
  if (options.local_peers > 0) {
    host = std::make_unique<PeerShell>(
        context,
        local_host(options, shell.endpoint(), directory, std::move(*shards)),
        data, torch_peer(options.device, static_cast<int>(options.threads)));
    host_thread = std::thread([&] {
      const auto done = run_host(*host);
      if (!done)
        shell.request_stop(done.error().code, done.error().message);
      else if (done->code != ExitCode::kOk)
        shell.request_stop(done->code, "a local peer failed: " + done->text);
    });
  }
  const Finish finish = run_shell(shell, observer);
  if (host_thread.joinable()) {
    host->request_leave();  // whoever has not heard the goodbye
    host_thread.join();
  }
  return finish;
}

}  // namespace

ExitCode report(const Error& error) {
  spdlog::error("{}", error.message);
  return error.code;
}

ExitCode run_train(const ServerOptions& options) {
  if (options.dry_run) return show(effective_configuration(options));
  if (const auto set = set_precision(options.precision, options.device); !set)
    return report(set.error());
  std::shared_ptr<const Dataset> data;
  if (!options.data.empty()) {
    auto loaded = load_dataset(options.data);
    if (!loaded) return report(loaded.error());
    data = std::make_shared<const Dataset>(std::move(*loaded));
  }
  auto directory = open_directory(options);
  if (!directory) return report(directory.error());

  RunLog::Options terminal;
  terminal.file = directory->log();
  terminal.quiet = options.quiet;
  terminal.rewrite = isatty(STDERR_FILENO) != 0;
  const auto log = RunLog::open(terminal);
  if (!log) return report(log.error());
  ProgressLine progress(**log, options.rounds, options.evaluate_every > 0);
  WorkerPool status_writer(1, [] {});
  StatusFile status(directory->status(), options.rounds,
                    [strand = Strand(status_writer)](auto task) mutable {
                      strand.post(std::move(task));
                    });
  RunObservers observers;
  observers.add(progress);
  observers.add(status);
  const auto end_with = [&observers](const Finish& finish) {
    observers.on_finished(finish);
    if (finish.code != ExitCode::kOk) return report({finish.text, finish.code});
    spdlog::info("{}", finish.text);
    return ExitCode::kOk;
  };

  const int stop = install_stop_signals();
  auto state = prepare_run(options, *directory);
  if (!state) return end_with(finish_of(state.error()));
  status.set_run(*state);
  auto stats = StatsWriter::open(directory->stats(), options.rounds);
  if (!stats) return end_with(finish_of(stats.error()));
  observers.add(*stats);

  spdlog::info("run directory {}", directory->path().string());
  const ExitCode code = end_with(
      train_in(options, *directory, data, std::move(*state), observers, stop));
  if (!std::filesystem::is_empty(directory->samples()))
    spdlog::info("pictures are in {}", directory->samples().string());
  return code;
}

}  // namespace mdgan
