#include "server/io/server_shell.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/worker_pool.h"
#include "common/files/hash.h"
#include "common/files/jsonl.h"
#include "common/files/png.h"
#include "common/net/channel.h"
#include "common/net/endpoint.h"
#include "common/tensor/device.h"
#include "protocol/limits.h"
#include "server/train/generator_trainer.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kBurst = 1024;
// Connections nobody said hello on are forgotten beyond so many.
constexpr std::size_t kMaxConnections = 4 * protocol::kMaxPeers;
constexpr std::uint32_t kGridImages = 100;
constexpr std::uint32_t kGridColumns = 10;

double seconds(Clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

std::uint64_t random_number() {
  std::array<std::byte, 8> bytes{};
  fill_random(bytes);
  std::uint64_t value = 0;
  for (const std::byte b : bytes)
    value = (value << 8) | std::to_integer<std::uint64_t>(b);
  return value;
}

Duration to_duration(Seconds s) {
  return std::chrono::duration_cast<Duration>(s);
}

CoordinatorConfig coordinator_config(const ServerOptions& options,
                                     const RunState& state,
                                     const std::optional<ImageShape>& image) {
  CoordinatorConfig config;
  config.run = state.run;
  config.incarnation = state.incarnation;
  config.seed = options.seed;
  config.token_seed = random_number();
  config.k = state.k;
  config.batch = options.batch;
  config.swap_epochs = options.swap_epochs;
  config.rounds = options.rounds;
  config.min_peers = options.min_peers;
  config.quorum = options.quorum;
  config.round_timeout = to_duration(options.round_timeout);
  config.swap_timeout = to_duration(options.swap_timeout);
  config.quorum_timeout = to_duration(options.quorum_timeout);
  config.checkpoint_every = options.checkpoint_every;
  config.image = image;
  return config;
}

}  // namespace

struct ServerShell::Impl {
  struct Connection {
    std::string routing_id;
    std::string address;
    bool complained = false;  // about its messages, once
  };
  struct ReadyBatch {
    std::vector<protocol::TensorMeta> metas;
    std::optional<TensorFrames> frames;
  };

  zmq::context_t& context;
  const ServerOptions& options;
  const RunDirectory& directory;
  RunState state;  // as it was loaded; the generator's part is moved out
  int stop_descriptor;
  Coordinator coordinator;
  CheckpointStore store;
  std::string endpoint;

  Mailbox mailbox;
  // Touched by tasks on the training strand alone, once made.
  std::unique_ptr<GeneratorTrainer> trainer;

  std::optional<zmq::socket_t> router;
  std::map<std::string, ConnectionId> by_routing_id;
  std::map<ConnectionId, Connection> connections;
  std::uint64_t next_connection = 1;

  std::deque<ServerEvent> events;
  std::map<PeerId, Blob> feedback;  // of the open round
  std::map<Round, std::vector<ReadyBatch>> batches;
  std::optional<DiscriminatorSpec> spec;  // once the model is decided
  std::optional<Finish> finished;
  std::optional<Finish> outcome;  // what request_stop() asks for
  std::size_t training = 0;       // tasks on the strand that have not come back

  // Statistics of the tick under way.
  StatsRecord tick;
  std::uint64_t tick_rounds = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  double norm = 0;
  Clock::time_point tick_start = Clock::now();
  Clock::time_point sent_at = Clock::now();
  std::optional<JsonlWriter> stats;
  ProgressLine* progress = nullptr;

  WorkerPool pool;  // destroyed first: its tasks use the above
  Strand strand;

  Impl(zmq::context_t& c, const ServerOptions& o, const RunDirectory& d,
       RunState s, const std::optional<ImageShape>& image, int stop)
      : context(c),
        options(o),
        directory(d),
        state(std::move(s)),
        stop_descriptor(stop),
        coordinator(coordinator_config(o, state, image), state.position),
        store(d.checkpoints(), o.keep_last, o.keep_every),
        pool(1, [threads = static_cast<int>(
                     o.threads)] { set_compute_threads(threads); }),
        strand(pool) {}

  Result<void> open();
  Finish run(ProgressLine& line);
  void poll();
  void handle_events();
  void on_received(Received received);
  std::string defect_of(const protocol::Message& message,
                        const std::vector<Blob>& tensors) const;
  ConnectionId connection_of(const Received& received);
  void deliver(ConnectionId id, const protocol::Message& message,
               TensorFrames* frames);

  // One overload per effect: an effect without one does not compile.
  void apply(const SendMessage& e);
  void apply(const SendBatch& e);
  void apply(const DecideModel& e);
  void apply(const GenerateBatches& e);
  void apply(const StepGenerator& e);
  void apply(const ReportRound& e);
  void apply(const SaveCheckpoint& e);
  void apply(const Note& e);
  void apply(const Finish& e);

  // Runs `work` on the training strand, then what it returns on the loop.
  void train(std::function<std::function<void()>()> work);
  void end_tick();
  void draw_samples(Round round);
};

// --- the loop ---------------------------------------------------------------

Result<void> ServerShell::Impl::open() {
  if (const auto opened = store.open_for_writing(); !opened) return opened;
  auto writer = JsonlWriter::open(directory.stats());
  if (!writer) return writer.error();
  stats = std::move(*writer);
  std::string bound = options.bind.value_or(kLocalEndpoint);
  auto made = bind_router(context, bound);
  if (!made) return made.error();
  router = std::move(*made);
  if (options.bind) {
    endpoint = bound;
    router->bind(kLocalEndpoint);
  }
  return {};
}

Finish ServerShell::Impl::run(ProgressLine& line) {
  progress = &line;
  if (coordinator.position().completed.value >= options.rounds)
    return {ExitCode::kOk, "the run has its " + std::to_string(options.rounds) +
                               " rounds already; ask for more with --rounds"};
  tick_start = Clock::now();
  events.emplace_back(Started{});
  handle_events();
  while (!finished || training > 0) poll();
  end_tick();
  router->set(zmq::sockopt::linger, 2000);  // the goodbyes get their moment
  return outcome.value_or(*finished);
}

void ServerShell::Impl::poll() {
  const auto now = Clock::now();
  Clock::duration wait = 1s;
  if (const auto due = coordinator.next_deadline())
    wait = std::clamp(*due - now, Clock::duration::zero(), wait);
  zmq::pollitem_t items[] = {
      {router->handle(), 0, ZMQ_POLLIN, 0},
      {nullptr, mailbox.fd(), ZMQ_POLLIN, 0},
      {nullptr, stop_descriptor, ZMQ_POLLIN, 0},
  };
  wait_readable(std::span(items).first(stop_descriptor < 0 ? 2 : 3),
                std::chrono::ceil<std::chrono::milliseconds>(wait));
  if (stop_descriptor >= 0 && items[2].revents != 0) {
    stop_descriptor = -1;  // once; a second signal ends the process
    events.emplace_back(StopRequested{});
  }
  mailbox.drain();
  handle_events();
  // What has arrived is taken before anything is sent: a dead connection with
  // a full pipe shows itself only to a socket that is received from.
  for (int i = 0; i < kBurst; ++i) {
    auto received = receive(*router);
    if (!received) break;
    on_received(std::move(*received));
    handle_events();
  }
  if (const auto due = coordinator.next_deadline();
      due && *due <= Clock::now()) {
    events.emplace_back(TimePassed{});
    handle_events();
  }
}

void ServerShell::Impl::handle_events() {
  std::vector<ServerEffect> effects;
  while (!events.empty()) {
    const ServerEvent event = std::move(events.front());
    events.pop_front();
    effects.clear();
    coordinator.handle(event, Clock::now(), effects);
    for (const ServerEffect& effect : effects)
      std::visit([&](const auto& e) { apply(e); }, effect);
  }
}

void ServerShell::Impl::train(std::function<std::function<void()>()> work) {
  ++training;
  strand.post([this, work = std::move(work)] {
    std::function<void()> then;
    try {
      then = work();
    } catch (const std::exception& e) {
      then = [this, what = std::string(e.what())] {
        events.emplace_back(GeneratorFailed{
            {"the generator cannot go on: " + what, ExitCode::kBug}});
      };
    }
    mailbox.post([this, then = std::move(then)] {
      --training;
      if (then) then();
    });
  });
}

// --- what arrives -----------------------------------------------------------

ConnectionId ServerShell::Impl::connection_of(const Received& received) {
  const auto [it, is_new] =
      by_routing_id.try_emplace(received.routing_id, next_connection);
  if (is_new) {
    if (connections.size() >= kMaxConnections) {
      by_routing_id.erase(connections.begin()->second.routing_id);
      connections.erase(connections.begin());
    }
    connections[{next_connection}] = {received.routing_id, received.address};
    ++next_connection;
  }
  return it->second;
}

void ServerShell::Impl::on_received(Received received) {
  bytes_received += received.bytes;
  const ConnectionId id = connection_of(received);
  if (!received.message) {
    const Error& error = received.message.error();
    Connection& connection = connections[id];
    if (!std::exchange(connection.complained, true))
      spdlog::warn("unreadable message from {}: {} (said once)",
                   connection.address, error.message);
    protocol::Message reply;
    reply.run = state.run;
    reply.incarnation = state.incarnation;
    reply.body = protocol::ErrorReply{error.code == ExitCode::kConfiguration
                                          ? protocol::ErrorCode::kVersion
                                          : protocol::ErrorCode::kMalformed,
                                      error.message};
    deliver(id, reply, nullptr);
    return;
  }
  protocol::Message& message = *received.message;
  if (auto* hello = std::get_if<protocol::Hello>(&message.body)) {
    // '*': the peer is where it is seen; without an address it is in this
    // process and others find it where they find this server.
    auto listener = parse_endpoint(hello->endpoint, "endpoint");
    if (listener && listener->host == "*" && !received.address.empty()) {
      listener->host = received.address.find(':') == std::string::npos
                           ? received.address
                           : "[" + received.address + "]";
      hello->endpoint = listener->text();
    }
  }
  std::string defect = defect_of(message, received.tensors);
  if (defect.empty() && coordinator.expects_feedback(id, message))
    feedback[message.peer] = received.tensors[0];
  events.emplace_back(
      MessageArrived{id, std::move(message), std::move(defect)});
}

std::string ServerShell::Impl::defect_of(
    const protocol::Message& message, const std::vector<Blob>& tensors) const {
  if (!std::holds_alternative<protocol::Feedback>(message.body) || !spec)
    return "";
  const protocol::TensorMeta images{protocol::DType::kFloat32,
                                    {spec->batch, spec->image.channels,
                                     spec->image.height, spec->image.width}};
  const protocol::TensorMeta logits{protocol::DType::kFloat32, {spec->batch}};
  if (tensors.size() != 2 || tensors[0].meta != images ||
      tensors[1].meta != logits)
    return "its tensors have other shapes or types than this round's";
  if (!is_finite(tensors[0]) || !is_finite(tensors[1]))
    return "it holds values that are not finite";
  return "";
}

// --- effects: talk ----------------------------------------------------------

void ServerShell::Impl::deliver(ConnectionId id,
                                const protocol::Message& message,
                                TensorFrames* frames) {
  const auto connection = connections.find(id);
  if (connection == connections.end()) return;
  const Sent sent = send(*router, connection->second.routing_id, message,
                         frames, &bytes_sent);
  if (sent == Sent::kYes) return;
  if (sent == Sent::kFull)
    spdlog::warn("{} takes no more messages; dropping the connection",
                 connection->second.address);
  by_routing_id.erase(connection->second.routing_id);
  connections.erase(connection);
  events.emplace_back(ConnectionLost{id});
}

void ServerShell::Impl::apply(const SendMessage& e) {
  deliver(e.connection, e.message, nullptr);
}

void ServerShell::Impl::apply(const SendBatch& e) {
  const auto start = Clock::now();
  ReadyBatch& batch = batches.at(e.round).at(e.index);
  protocol::Message message;
  message.run = state.run;
  message.incarnation = state.incarnation;
  message.round = e.round;
  message.body = protocol::Batch{e.index, batch.metas};
  deliver(e.connection, message, &*batch.frames);
  sent_at = Clock::now();
  tick.seconds.send += seconds(sent_at - start);
}

// --- effects: train ---------------------------------------------------------

void ServerShell::Impl::apply(const DecideModel& e) {
  const GeneratorSpec generator = generator_spec(options, e.image, state.k);
  const DiscriminatorSpec discriminator = discriminator_spec(options, e.image);
  train([this, generator, discriminator]() -> std::function<void()> {
    const auto refuse = [this](const Error& error) {
      return [this, error] { events.emplace_back(ModelRefused{error}); };
    };
    auto made = GeneratorTrainer::create(generator, options.device);
    if (!made) return refuse(made.error());
    const auto summary = summarise_discriminator(discriminator);
    if (!summary) return refuse(summary.error());
    if (!state.generator.empty()) {
      if (const auto loaded = (*made)->load(state.generator); !loaded)
        return refuse(loaded.error());
      state.generator.clear();
    }
    trainer = std::move(*made);
    return [this, discriminator, summary = *summary,
            parameters = trainer->parameter_count()] {
      spec = discriminator;
      spdlog::info(
          "{} for {}x{}x{} images: generator {} parameters, discriminator {}",
          discriminator.model, discriminator.image.channels,
          discriminator.image.height, discriminator.image.width, parameters,
          summary.parameters);
      events.emplace_back(
          ModelReady{discriminator, summary.schema, summary.parameters});
    };
  });
}

void ServerShell::Impl::apply(const GenerateBatches& e) {
  train([this, round = e.round] {
    const auto start = Clock::now();
    const auto generated = trainer->generate(round);
    const double took = seconds(Clock::now() - start);
    return [this, round, generated, took] {
      tick.seconds.generate += took;
      std::vector<ReadyBatch>& ready = batches[round];
      ready.clear();
      for (const GeneratedBatch& batch : generated) {
        std::vector<Blob> tensors{batch.images};
        if (!batch.labels.empty()) tensors.push_back(batch.labels);
        ReadyBatch& out = ready.emplace_back();
        for (const Blob& tensor : tensors) out.metas.push_back(tensor.meta);
        out.frames.emplace(tensors);
      }
      events.emplace_back(BatchesReady{round});
    };
  });
}

void ServerShell::Impl::apply(const StepGenerator& e) {
  tick.seconds.wait += seconds(Clock::now() - sent_at);
  std::vector<Contribution> contributions;
  for (const Contributor& c : e.contributors) {
    auto node = feedback.extract(c.peer);
    MDGAN_CHECK(!node.empty());
    contributions.push_back({c.peer, c.batch, std::move(node.mapped())});
  }
  feedback.clear();
  batches.erase(e.round);
  train([this, round = e.round,
         contributions = std::move(contributions)]() -> std::function<void()> {
    const auto stepped = trainer->step(round, contributions);
    if (!stepped)
      return [this, error = stepped.error()] {
        events.emplace_back(GeneratorFailed{error});
      };
    return [this, round, report = *stepped] {
      tick.seconds.merge += report.merge_seconds;
      tick.seconds.step += report.step_seconds;
      norm = report.feedback_norm;
      events.emplace_back(GeneratorStepped{round});
    };
  });
}

// --- effects: files and statistics ------------------------------------------

void ServerShell::Impl::apply(const ReportRound& e) {
  ++tick_rounds;
  tick.round = e.round.value;
  tick.d_loss += e.discriminator_loss;
  tick.g_loss += e.generator_loss;
  tick.feedback_norm += norm;
  const std::uint64_t round = e.round.value;
  if (round % options.stats_every == 0) end_tick();
  if (options.samples_every > 0 &&
      (round % options.samples_every == 0 || round == options.rounds))
    draw_samples(e.round);
}

void ServerShell::Impl::end_tick() {
  if (tick_rounds == 0) return;
  const auto now = Clock::now();
  const double n = static_cast<double>(tick_rounds);
  const double elapsed = seconds(now - tick_start);
  tick.d_loss /= n;
  tick.g_loss /= n;
  tick.feedback_norm /= n;
  for (double* phase :
       {&tick.seconds.generate, &tick.seconds.send, &tick.seconds.wait,
        &tick.seconds.merge, &tick.seconds.step})
    *phase /= n;
  tick.seconds_per_round = elapsed / n;
  tick.rounds_per_second = elapsed > 0 ? n / elapsed : 0;
  tick.bytes_sent = std::exchange(bytes_sent, 0);
  tick.bytes_received = std::exchange(bytes_received, 0);
  tick.peers = coordinator.live_peers();
  if (const auto appended = stats->append(to_json(tick)); !appended)
    spdlog::warn("{}", appended.error().message);
  progress->tick(tick);
  tick = {};
  tick_rounds = 0;
  tick_start = now;
}

void ServerShell::Impl::draw_samples(Round round) {
  train([this, round]() -> std::function<void()> {
    const Blob images = trainer->sample(kGridImages, {}, options.seed);
    char name[32];
    std::snprintf(name, sizeof name, "%06llu.png",
                  static_cast<unsigned long long>(round.value));
    const auto written =
        write_image_grid(directory.samples() / name, images, kGridColumns);
    if (written) return {};
    return [why = written.error().message] { spdlog::warn("{}", why); };
  });
}

void ServerShell::Impl::apply(const SaveCheckpoint& e) {
  nlohmann::json names = nlohmann::json::object();
  for (const auto& [name, id] : coordinator.position().names)
    names[name] = id.value;
  const nlohmann::json meta{
      {"run", to_hex(state.run)},
      {"incarnation", state.incarnation},
      {"completed", e.round.value},
      {"last_swap", coordinator.position().last_swap.value},
      {"names", names},
      {"k", state.k},
      {"image",
       {spec->image.channels, spec->image.height, spec->image.width,
        spec->image.classes}},
      {"model", spec->model},
      {"condition", name_of(kConditionNames, spec->condition)},
      {"latent", options.latent},
  };
  train([this, round = e.round, meta]() -> std::function<void()> {
    const auto saved = store.save(round, trainer->snapshot(), meta.dump(1));
    if (saved) return {};
    return [why = saved.error().message] {
      spdlog::error("{}; training goes on, older checkpoints are intact", why);
    };
  });
}

void ServerShell::Impl::apply(const Note& e) {
  if (e.warning)
    spdlog::warn("{}", e.text);
  else
    spdlog::info("{}", e.text);
}

void ServerShell::Impl::apply(const Finish& e) { finished = e; }

// --- the face ---------------------------------------------------------------

ServerShell::ServerShell(zmq::context_t& context, const ServerOptions& options,
                         const RunDirectory& directory, RunState state,
                         std::optional<ImageShape> image, int stop_descriptor)
    : impl_(std::make_unique<Impl>(context, options, directory,
                                   std::move(state), image, stop_descriptor)) {}

ServerShell::~ServerShell() = default;

Result<void> ServerShell::open() { return impl_->open(); }

const std::string& ServerShell::endpoint() const { return impl_->endpoint; }

Finish ServerShell::run(ProgressLine& progress) { return impl_->run(progress); }

void ServerShell::request_stop(ExitCode code, const std::string& why) {
  impl_->mailbox.post([this, code, why] {
    if (!impl_->outcome) impl_->outcome = Finish{code, why};
    impl_->events.emplace_back(StopRequested{});
  });
}

// --- resuming ---------------------------------------------------------------

Result<RunState> load_run(const std::filesystem::path& checkpoints) {
  auto saved = CheckpointStore(checkpoints, 1, 0).load_latest();
  if (!saved) return saved.error();
  if (!*saved)
    return Error{"no checkpoint in " + checkpoints.string() +
                     ": the run was stopped before it saved one; start it anew",
                 ExitCode::kCheckpoint};
  const auto meta = nlohmann::json::parse((*saved)->meta, nullptr, false);
  try {
    RunState state;
    const std::string run = meta.at("run");
    for (std::size_t i = 0; i < state.run.size(); ++i)
      state.run[i] = std::byte(std::stoul(run.substr(2 * i, 2), nullptr, 16));
    state.incarnation = meta.at("incarnation").get<std::uint32_t>() + 1;
    state.position.completed = {meta.at("completed")};
    state.position.last_swap = {meta.at("last_swap")};
    for (const auto& [name, id] : meta.at("names").items())
      state.position.names[name] = {id.get<std::uint32_t>()};
    state.k = meta.at("k");
    const auto& image = meta.at("image");
    state.image = {image.at(0), image.at(1), image.at(2), image.at(3)};
    state.generator = std::move((*saved)->tensors);
    return state;
  } catch (const std::exception& e) {
    return Error{"the checkpoint of round " +
                     std::to_string((*saved)->round.value) + " in " +
                     checkpoints.string() +
                     " lacks what a run needs: " + e.what(),
                 ExitCode::kCheckpoint};
  }
}

}  // namespace mdgan
