#include <sched.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <variant>

#include "common/base/descriptors.h"
#include "common/base/heap.h"
#include "common/base/service_manager.h"
#include "common/base/stop_signal.h"
#include "common/base/terminal.h"
#include "common/base/time.h"
#include "common/data/class_table.h"
#include "common/data/dataset.h"
#include "common/evaluate/site_metrics.h"
#include "common/files/atomic_write.h"
#include "common/files/plain_file.h"
#include "common/models/script_file.h"
#include "common/net/address.h"
#include "common/net/channel.h"
#include "common/net/endpoint.h"
#include "common/net/routing_ids.h"
#include "common/privacy/ledger_book.h"
#include "common/tensor/blas_core.h"
#include "common/version/version.h"
#include "peer/check.h"
#include "peer/hold_out.h"
#include "peer/io/peer_shell.h"
#include "peer/join.h"
#include "peer/keygen.h"
#include "peer/options.h"
#include "peer/peer_keys.h"
#include "peer/show_status.h"
#include "peer/train/make_peer_trainer.h"
#include "peer/train_classifier.h"
#include "protocol/clean_text.h"

namespace {

using namespace mdgan;  // NOLINT: the program's own names

// Asks Linux not to interrupt whatever runs when a thread of this program
// wakes: where there are more peers than cores, each message would interrupt
// another peer's arithmetic. Nobody waits at a screen for this program. All
// threads started from now on have it too.
void take_long_turns() {
#if defined(SCHED_BATCH)
  // Another policy is somebody's choice (chrt).
  if (sched_getscheduler(0) != SCHED_OTHER) return;
  const sched_param none{};
  (void)sched_setscheduler(0, SCHED_BATCH, &none);  // slower is not a fault
#endif
}

ExitCode report(const Error& error) {
  spdlog::error("{}", error.message);
  return error.code;
}

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0 ||
      !protocol::is_clean_text(name) || *name == '\0')
    return "peer";
  return name;
}

// An exception must not leave while the other thread still runs.
Result<PeerShellReport> take_part(PeerShell& peers) {
  try {
    return peers.run();
  } catch (const std::exception& e) {
    return Error{std::string("a fault of this program: ") + e.what()};
  }
}

// Waits for the first stop signal; ends when the write end of `quit` closes.
void watch_for_stop(int stop, int quit, PeerShell& host) {
  zmq::pollitem_t items[] = {{nullptr, stop, ZMQ_POLLIN, 0},
                             {nullptr, quit, ZMQ_POLLIN | ZMQ_POLLERR, 0}};
  while (items[0].revents == 0 && items[1].revents == 0)
    wait_readable(items, std::chrono::hours(1));
  if (items[1].revents != 0) return;
  const ExitCode code = read_stop_signal(stop);
  tell_stopping();
  spdlog::info("finishing the round; once more, in two seconds, ends at once");
  host.request_leave(code);
  // The server may hang, and the round's other batch never come.
  const TimePoint end = Clock::now() + std::chrono::seconds(5);
  while (items[1].revents == 0 && Clock::now() < end)
    wait_readable(std::span(items).subspan(1), std::chrono::seconds(1));
  if (items[1].revents == 0) host.request_leave(code);
}

// A peer can do without the file, which is for people.
void save_classes(const PeerOptions& options, const Dataset& data,
                  const PeerSessionOptions& session, const PeerClasses& peer) {
  auto written = make_directories(session.state);
  if (written)
    written = atomic_write(session.state / "partition.json",
                           table_json(options.partition, session.shards,
                                      {&peer, 1}, data.class_names));
  if (!written) spdlog::warn("{}", written.error().message);
}

// What the peers measure generators with, one for each; none where no images
// are held out.
Result<std::vector<MeasureSite>> measures_of(const PeerOptions& options,
                                             const HeldOut& held) {
  std::vector<MeasureSite> measures;
  if (!held.images) return measures;
  for (const PeerSessionOptions& session :
       sessions_of(options, default_name(options, host_name()))) {
    auto made =
        measure_site(held.images, held.shards[session.shard], held.classifier,
                     options.evaluate_classifier, options.device);
    if (!made) return made.error();
    measures.push_back(std::move(*made));
  }
  return measures;
}

// The sessions with their parts of the data. Where that is cut unevenly, the
// log says who has what of each class.
Result<std::vector<PeerSetup>> hosted_peers(const PeerOptions& options,
                                            const Dataset& data) {
  const auto sessions =
      sessions_of(options, default_name(options, host_name()));
  const auto shards = cut_data(options.partition, data.size(), data.labels,
                               sessions.front().shards);
  if (!shards) return shards.error();
  std::vector<PeerSetup> peers;
  std::vector<PeerClasses> classes;
  for (const PeerSessionOptions& session : sessions) {
    const std::vector<std::uint32_t>& shard = (*shards)[session.shard];
    if (shard.empty())
      return Error{
          fmt::format("{}: shard {} of {} is empty, for there are {} "
                      "images: give more data or fewer shards",
                      options.data, session.shard, session.shards, data.size()),
          ExitCode::kData};
    classes.push_back(count_classes(session.name, session.shard, shard,
                                    data.labels, data.shape.classes));
    if (session.shards > 1)
      save_classes(options, data, session, classes.back());
    peers.push_back({session.name, session.index, shard, session.state,
                     options.privacy.mode != DpMode::kNone});
  }
  if (options.partition != Partition{})
    for (const std::string& line :
         table_lines(classes, data.class_names,
                     sessions.size() == sessions.front().shards))
      spdlog::info("{}", line);
  return peers;
}

std::filesystem::path ledger_folder(const PeerOptions& options) {
  return std::filesystem::path(options.state_dir) / "privacy";
}

// Of the images' privacy budgets: they belong to the data, not to a name.
std::shared_ptr<const LedgerBook> ledgers(const PeerOptions& options,
                                          const Dataset& data,
                                          const std::vector<PeerSetup>& peers) {
  std::vector<std::vector<std::uint32_t>> shards;
  for (const PeerSetup& peer : peers) shards.push_back(peer.shard);
  return std::make_shared<const LedgerBook>(
      options.privacy, ledger_folder(options), data, shards);
}

ExitCode run(const PeerOptions& options) {
  const int stop = install_stop_signals();
  if (options.quiet) spdlog::set_level(spdlog::level::warn);
  const auto server = parse_endpoint(options.server, "server");
  if (!server) return report(server.error());
  // On one machine nothing need listen to the outside.
  std::string listen = options.listen;
  if (options.no_listen)
    listen.clear();
  else if (is_loopback(*server) && listen == PeerOptions{}.listen)
    listen = "tcp://127.0.0.1:*";
  const auto keys = load_keys(options, listen);
  if (!keys) return report(keys.error());
  auto objection = load_known_peers(options, *keys);
  if (!objection) return report(objection.error());
  if (const auto set = set_precision(options.precision, options.device); !set)
    return report(set.error());
  if (!options.model_file.empty())
    if (const auto added = add_script(options.model_file); !added)
      return report(added.error());
  auto loaded = load_dataset(options.data, DataPart::kTrain, options.reading);
  if (!loaded) return report(loaded.error());
  const auto data = std::make_shared<const Dataset>(std::move(*loaded));

  if (const std::string defect = defect_of(data->class_names); !defect.empty())
    spdlog::warn(
        "the classes in {} cannot be told: {}; a run that uses labels will not "
        "take this peer",
        options.data, defect);

  PeerShellOptions host;
  host.server = options.server;
  host.listen = listen;
  host.insecure = is_insecure(options, listen);
  if (host.insecure)
    spdlog::warn(
        "INSECURE: others can read what is sent to {}, and take its place; "
        "keys end that, see `mdgan-peer keygen`",
        options.server);
  host.status_files = true;
  host.on_status = [](const PeerStatus& status) {
    tell_alive(peer_sentence(status, true, status.updated));
  };
  host.advertise = options.advertise;
  host.tell_classes = options.tell_classes;
  host.workers =
      std::clamp(std::thread::hardware_concurrency(), 1U, options.sessions);
  host.connect_timeout =
      std::chrono::ceil<std::chrono::seconds>(options.connect_timeout);
  const auto held = hold_out(options, data->shape, host_name());
  if (!held) return report(held.error());
  auto measures = measures_of(options, *held);
  if (!measures) return report(measures.error());
  auto peers_here = hosted_peers(options, *data);
  if (!peers_here) return report(peers_here.error());
  host.peers = std::move(*peers_here);
  for (std::size_t i = 0; i < measures->size(); ++i)
    host.peers[i].measure = std::move((*measures)[i]);
  spdlog::info(
      "{} images of {}x{}x{} in {}; connecting to {} as {}{}", data->size(),
      data->shape.channels, data->shape.height, data->shape.width, options.data,
      options.server, host.peers.front().name,
      host.peers.size() > 1 ? fmt::format(" and {} more", host.peers.size() - 1)
                            : "");

  std::shared_ptr<const LedgerBook> privacy;
  if (options.privacy.mode != DpMode::kNone) {
    const auto folder = ledger_folder(options);
    if (const auto writable = check_writable({&folder, 1}); !writable)
      return report(writable.error());
    privacy = ledgers(options, *data, host.peers);
  }

  zmq::context_t context;
  std::optional<ZapHandler> zap;
  if (*keys) {
    host.keys = (*keys)->own;
    host.server_key = (*keys)->server;
    host.zap = &zap.emplace(context);
    host.objection = std::move(*objection);
  }
  PeerShell peers(
      context, std::move(host), data,
      torch_peer(options.device, static_cast<int>(options.threads), privacy));
  int quit[2] = {-1, -1};
  if (pipe(quit) != 0) return report({"out of file descriptors"});
  stop_signals_are_read();
  std::thread watcher([&] { watch_for_stop(stop, quit[0], peers); });
  // The server may come later: that is no reason not to be ready.
  tell_ready("connecting to " + protocol::presentable(options.server));
  const auto done = take_part(peers);
  tell_stopping();
  close(quit[1]);
  watcher.join();
  close(quit[0]);
  if (!done) return report(done.error());
  if (done->code == ExitCode::kOk) return done->code;
  if (done->code == ExitCode::kData)
    return report(
        {done->text + " (its data is in " + options.data + ")", done->code});
  if (done->code != ExitCode::kStopped) return report({done->text, done->code});
  spdlog::info("{}start this peer again to go on",
               done->text.empty() ? "" : done->text + "; ");
  return done->code;
}

ExitCode run(const PeerKeygenOptions& options) {
  return run_keygen(options, host_name());
}

ExitCode run(const PeerJoinOptions& options) {
  const auto joined = join(options);
  return joined ? show(*joined) : report(joined.error());
}

ExitCode run(const PeerStatusOptions& options) {
  const auto text = show_status(options);
  return text ? show(*text) : report(text.error());
}

ExitCode run(const PeerClassifierOptions& options) {
  const auto text = train_classifier(options);
  return text ? show(*text) : report(text.error());
}

// A line at once: reading the data may take long.
ExitCode run(const PeerCheckOptions& options) {
  spdlog::set_level(spdlog::level::err);
  const PeerOptions& peer = options.peer;
  PeerCheckOptions looked_at = options;
  if (!peer.model_file.empty()) {
    const auto added = add_script(peer.model_file);
    if (!added) return report(added.error());
    looked_at.model = *added;
  }
  const CheckArithmetic arithmetic{
      [&peer]() -> Result<void> {
        return set_precision(peer.precision, peer.device);
      },
      torch_peer(peer.device, static_cast<int>(peer.threads)),
      [&peer](const HeldOut& held) -> Result<void> {
        const auto measures = measures_of(peer, held);
        return measures ? Result<void>() : measures.error();
      }};
  ExitCode shown = ExitCode::kOk;
  const ExitCode code = check(
      looked_at, host_name(), arithmetic,
      [&shown](std::string_view part, const Result<std::string>& found) {
        const ExitCode wrote =
            show(fmt::format("{:6}  {:11} {}\n", found ? "ok" : "FAILED", part,
                             found ? *found : found.error().message));
        if (wrote != ExitCode::kOk) shown = wrote;
      });
  return code == ExitCode::kOk ? shown : code;
}

ExitCode run(const PeerVersionRequest&) {
  return show(version_text("mdgan-peer"));
}

ExitCode run(const PeerHelpRequest& request) { return show(request.text); }

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  keep_freed_memory();
  raise_descriptor_limit();
  take_long_turns();
  choose_blas_core(argv);
  fix_cublas_workspace();
  log_to_stderr("%Y-%m-%d %H:%M:%S %^%l%$ %v");
  try {
    seed_routing_ids();
    const auto command =
        parse_peer_options(argc, argv, environment_of_process());
    if (!command) {
      std::fprintf(stderr, "mdgan-peer: %s\n", command.error().message.c_str());
      return static_cast<int>(command.error().code);
    }
    return static_cast<int>(
        std::visit([](const auto& c) { return run(c); }, *command));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mdgan-peer: a fault of this program: %s\n", e.what());
    return static_cast<int>(ExitCode::kBug);
  }
}
