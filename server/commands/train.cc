#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "common/base/stop_signal.h"
#include "common/base/terminal.h"
#include "common/base/words.h"
#include "common/base/worker_pool.h"
#include "common/data/dataset.h"
#include "common/files/atomic_write.h"
#include "common/files/hash.h"
#include "common/files/jsonl.h"
#include "common/models/script_file.h"
#include "common/privacy/ledger_book.h"
#include "peer/io/peer_shell.h"
#include "protocol/algorithm.h"
#include "server/commands/commands.h"
#include "server/commands/known_data.h"
#include "server/commands/local_data.h"
#include "server/commands/local_peers.h"
#include "server/commands/make_evaluator.h"
#include "server/commands/server_keys.h"
#include "server/io/server_shell.h"
#include "server/run/events_file.h"
#include "server/run/progress_line.h"
#include "server/run/service_status.h"
#include "server/run/stats_writer.h"
#include "server/run/status_file.h"
#include "server/run/tensorboard_file.h"
#include "server/train/make_round_trainer.h"
#include "server/view/page_server.h"

namespace mdgan {
namespace {

Result<RunDirectory> open_directory(const ServerOptions& options) {
  if (!options.resume.empty()) return RunDirectory::reopen(options.resume);
  if (!options.run_dir.empty()) return RunDirectory::open(options.run_dir);
  return RunDirectory::create_numbered("runs", options.name);
}

Error does_not_fit(std::string message) {
  return {std::move(message), ExitCode::kConfiguration};
}

// What `mdgan-server admit` needs to find this server's files.
std::string admit_options(const ServerOptions& options) {
  std::string command = "--key " + options.key;
  if (!options.authorized_peers.empty())
    command += " --authorized-peers " + options.authorized_peers;
  return command;
}

Finish run_shell(ServerShell& shell, RunObserver& observer,
                 std::function<Result<void>()> begin) {
  try {
    return shell.run(observer, std::move(begin));
  } catch (const std::exception& e) {
    return {ExitCode::kBug, std::string("a fault of the server: ") + e.what()};
  }
}

Finish finish_of(const Error& error) { return {error.code, error.message}; }

// The run as it is to go on, or a new one's beginning.
Result<RunState> find_run(const ServerOptions& options,
                          const RunDirectory& directory,
                          std::uint32_t last_incarnation) {
  RunState state;
  if (directory.holds_run() || !options.resume.empty()) {
    auto loaded = load_local_run(options, directory);
    if (!loaded) return loaded.error();
    state = std::move(*loaded);
    if (state.algorithm != options.training.algorithm)
      return does_not_fit(
          "the run in " + directory.path().string() + " trains with " +
          std::string(name_of(kAlgorithmNames, state.algorithm)) +
          ": go on with it without another algorithm, or begin a new run");
    spdlog::info("this run continues after round {}",
                 state.position.completed.value);
  } else {
    if (std::filesystem::exists(directory.path() / "config.ini"))
      spdlog::warn(
          "an earlier start in {} ended before its first checkpoint: the run "
          "begins here",
          directory.path().string());
    fill_random(state.run);
    state.k = batches_per_round(options, options.min_peers);
  }
  state.incarnation =
      directory.next_incarnation(std::max(last_incarnation, state.incarnation));
  return state;
}

// The file of a model of the user's own, so that the folder alone says what the
// run is.
Result<void> keep_model(const ServerOptions& options,
                        const RunDirectory& directory) {
  if (!is_script(options.model)) return {};
  const auto file = find_script(options.model);
  if (!file) return file.error();
  return atomic_write(directory.path() / kScriptInRun, (*file)->bytes);
}

// Changes the run's files for this start, once nothing can refuse it any more:
// drops what they have of rounds after `completed`, and keeps the
// configuration.
Result<void> begin_run(const ServerOptions& options,
                       const RunDirectory& directory, Round completed,
                       std::uint32_t incarnation, const std::string& table) {
  auto done = directory.make_folders();
  if (done) done = directory.write_incarnation(incarnation);
  for (const auto& file : {directory.stats(), directory.events()})
    if (done) done = truncate_after_round(file, completed);
  if (done) done = truncate_evaluations(directory.path(), completed);
  if (done && !table.empty()) done = atomic_write(directory.partition(), table);
  if (done) done = keep_model(options, directory);
  if (done)
    done = directory.write_configuration(effective_configuration(options));
  return done;
}

// A line for each tick, and for each thing that happened.
struct LineFiles {
  std::optional<StatsWriter> stats;
  std::optional<EventsFile> events;
  std::optional<TensorboardFile> tensorboard;
  RunObservers observers;                  // these
  std::function<WriteQueue::Post()> post;  // makes one for each file
  bool begun = false;  // nothing refuses this start any more
};

// `observers` are told all but the end; those of `files` are some of them.
Finish train_in(const ServerOptions& options, const RunDirectory& directory,
                const std::shared_ptr<const Dataset>& data, RunState state,
                const std::optional<KeyFiles>& keys, RunObservers& observers,
                LineFiles& files, int stop) {
  auto known = known_data(options, data.get(), state);
  if (!known) return finish_of(known.error());
  Result<LocalData> local = LocalData{};
  if (options.local_peers > 0) local = cut_local_data(options, *data);
  if (!local) return finish_of(local.error());
  if (const auto writable = check_local_states(options, directory); !writable)
    return finish_of(writable.error());
  ServerArithmetic arithmetic = torch_server(options.codecs, options.device,
                                             static_cast<int>(options.threads));
  if (options.evaluate_every > 0 && options.evaluate_at == EvaluateAt::kPeers) {
    auto made = make_evaluation_at_peers(options);
    if (!made) return finish_of(made.error());
    if (options.local_peers > 0) {
      auto measures = hold_out_local(options, made->classifier);
      if (!measures) return finish_of(measures.error());
      local->measures = std::move(*measures);
    }
    arithmetic.at_peers = std::move(*made);
  } else if (options.evaluate_every > 0) {
    auto made = make_evaluator(options);
    if (!made) return finish_of(made.error());
    arithmetic.measure = [evaluator = std::shared_ptr(std::move(*made))](
                             const Sampler& sampler, Round round,
                             std::uint64_t seed) {
      return evaluator->evaluate(sampler, round, seed);
    };
  }
  const auto begin = [&, completed = state.position.completed,
                      incarnation = state.incarnation]() -> Result<void> {
    if (auto begun =
            begin_run(options, directory, completed, incarnation, local->table);
        !begun)
      return begun;
    auto writer =
        StatsWriter::open(directory.stats(), options.rounds, files.post());
    if (!writer) return writer.error();
    auto events = EventsFile::open(directory.events(), files.post());
    if (!events) return events.error();
    files.observers.add(files.stats.emplace(std::move(*writer)));
    files.observers.add(files.events.emplace(std::move(*events)));
    if (options.tensorboard) {
      auto tensorboard = TensorboardFile::open(
          directory.tensorboard(), completed, incarnation, files.post());
      if (!tensorboard) return tensorboard.error();
      files.observers.add(files.tensorboard.emplace(std::move(*tensorboard)));
    }
    files.begun = true;
    return {};
  };
  zmq::context_t context;
  std::optional<ZapHandler> zap;
  std::optional<ServerKeys> server_keys;
  if (keys) {
    zap.emplace(context);
    server_keys.emplace(ServerKeys{keys->own, keys->list, keys->peers, *zap,
                                   options.key, admit_options(options)});
  }
  ServerShell shell(context, options, directory, std::move(state),
                    std::move(*known), stop, std::move(arithmetic),
                    std::move(server_keys));
  if (const auto opened = shell.open(); !opened)
    return finish_of(opened.error());
  if (!shell.endpoint().empty())
    spdlog::info("peers connect to {}", shell.endpoint());

  // What is to begin has nothing to lose; a run that goes on is left as it is
  // until its model is made.
  const bool goes_on = directory.holds_run();
  if (!goes_on)
    if (const auto begun = begin(); !begun) return finish_of(begun.error());

  std::shared_ptr<const LedgerBook> privacy;
  if (options.privacy.mode != DpMode::kNone)
    privacy = std::make_shared<const LedgerBook>(
        options.privacy, directory.peers() / "privacy", *data, local->shards);
  std::unique_ptr<PeerShell> host;
  std::thread host_thread;
  std::optional<Error> local_failure;
  if (options.local_peers > 0) {
    host = std::make_unique<PeerShell>(
        context,
        local_host(options, shell.endpoint(), directory,
                   {std::move(local->shards), std::move(local->measures), {}},
                   keys, zap ? &*zap : nullptr),
        data, local_arithmetic(options, std::move(privacy)));
    host_thread = std::thread([&] {
      const auto done = run_host(*host);
      if (!done)
        local_failure = done.error();
      else if (done->code != ExitCode::kOk && done->code != ExitCode::kStopped)
        local_failure = {"a local peer failed: " + done->text, done->code};
      if (local_failure)
        shell.request_stop(local_failure->code, local_failure->message);
      if (done && done->privacy)
        spdlog::info(
            "differential privacy: of each local peer's images {} or less was "
            "spent",
            privacy_words(*done->privacy));
    });
  }
  stop_signals_are_read();
  Finish finish = goes_on ? run_shell(shell, observers, begin)
                          : run_shell(shell, observers, nullptr);
  if (host_thread.joinable()) {
    host->request_leave();  // whoever has not heard the goodbye
    host_thread.join();
    const bool well =
        finish.code == ExitCode::kOk || finish.code == ExitCode::kStopped;
    // Peers that cannot go on with what they have are why none is left.
    if (local_failure && (well || local_failure->code == ExitCode::kCheckpoint))
      finish = finish_of(*local_failure);
  }
  return finish;
}

// All that uses the run's files is gone when this returns.
ExitCode train(const ServerOptions& options, const RunDirectory& directory,
               const std::shared_ptr<const Dataset>& data,
               const std::optional<KeyFiles>& keys,
               const std::optional<PageAddress>& page, int stop) {
  const auto own_strand = [](WorkerPool& pool) -> WriteQueue::Post {
    return [strand = Strand(pool)](std::function<void()> task) mutable {
      strand.post(std::move(task));
    };
  };
  WorkerPool log_writer(1, [] {});
  RunLog::Options terminal;
  terminal.post = own_strand(log_writer);
  terminal.file = directory.log();
  terminal.quiet = options.quiet;
  terminal.rewrite = isatty(STDERR_FILENO) != 0;
  const auto log = RunLog::open(terminal);
  if (!log) return report(log.error());
  const bool insecure = is_insecure(options);
  ProgressLine progress(**log, options.rounds, options.evaluate_every > 0,
                        insecure);
  const std::uint32_t last_incarnation = directory.last_incarnation();
  WorkerPool writers(2, [] {});  // they may log, and so go before the log
  // A start that is refused for its address leaves the run's status.
  std::optional<HttpServer> http;
  if (page) {
    auto served = serve_page(RunView(directory.path()), *page);
    if (!served) return report(served.error());
    http.emplace(std::move(*served));
    spdlog::info("the run's page is at {}", http->url());
  }
  StatusFile status(directory.status(), options.rounds, own_strand(writers));
  LineFiles files;
  files.post = [&] { return own_strand(writers); };
  if (insecure) {
    status.set_insecure();
    spdlog::warn(
        "INSECURE: everybody who reaches {} takes part and reads along; keys "
        "end that, see `mdgan-server keygen`",
        *options.bind);
  }
  RunObservers observers;
  // Whoever reads that the run is finished finds its lines.
  observers.add(files.observers);
  observers.add(progress);
  observers.add(status);
  ServiceStatus service;
  observers.add(service);
  const auto end_with = [&](const Finish& finish) {
    observers.on_finished(finish);
    const bool well =
        finish.code == ExitCode::kOk || finish.code == ExitCode::kStopped;
    if (!well && !files.begun) status.restore();
    if (!well) return report({finish.text, finish.code});
    spdlog::info("{}", finish.text);
    return finish.code;
  };

  auto state = find_run(options, directory, last_incarnation);
  if (!state) return end_with(finish_of(state.error()));
  status.set_run(*state);

  spdlog::info("run directory {}", directory.path().string());
  if (keys)
    spdlog::info("public key {}; {} lets in {}", to_z85(keys->own.public_key),
                 keys->list.string(),
                 plural(keys->peers.names().size(), "peer"));
  const ExitCode code =
      end_with(train_in(options, directory, data, std::move(*state), keys,
                        observers, files, stop));
  std::error_code ignored;  // the folder may be gone
  const bool has_none = std::filesystem::is_empty(directory.samples(), ignored);
  if (files.begun && !ignored && !has_none)
    spdlog::info("pictures are in {}", directory.samples().string());
  return code;
}

// What a start ends with that was refused. Only where nothing has begun.
bool is_refusal(ExitCode code) {
  using enum ExitCode;
  return code == kUsage || code == kConfiguration || code == kAuthentication ||
         code == kUnreachable || code == kData;
}

}  // namespace

ExitCode report(const Error& error) {
  spdlog::error("{}", error.message);
  return error.code;
}

ExitCode run_train(const ServerOptions& options) {
  if (options.dry_run) return show(effective_configuration(options));
  const int stop = install_stop_signals();
  const auto keys = load_keys(options);
  if (!keys) return report(keys.error());
  if (const auto set = set_precision(options.precision, options.device); !set)
    return report(set.error());
  std::optional<PageAddress> page;
  if (!options.http.empty()) {
    auto address = page_address(options.http, options.http_token);
    if (!address) return report(address.error());
    page = std::move(*address);
  }
  std::shared_ptr<const Dataset> data;
  if (!options.data.empty()) {
    auto loaded = load_dataset(options.data, DataPart::kTrain, options.reading);
    if (!loaded) return report(loaded.error());
    data = std::make_shared<const Dataset>(std::move(*loaded));
  }
  auto directory = open_directory(options);
  if (!directory) return report(directory.error());
  const ExitCode code = train(options, *directory, data, *keys, page, stop);
  if (is_refusal(code)) directory->remove_unless_begun();
  return code;
}

}  // namespace mdgan
