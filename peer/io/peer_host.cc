#include "peer/io/peer_host.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "common/base/mailbox.h"
#include "common/base/worker_pool.h"
#include "common/files/hash.h"
#include "common/net/channel.h"
#include "common/net/endpoint.h"
#include "common/tensor/device.h"
#include "peer/core/session.h"
#include "peer/io/hosted_session.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A DEALER can go deaf for good while its sends still succeed; after this long
// without a word from the server, which speaks every 2 s, it is made anew.
constexpr Duration kSilence = 15s;
constexpr Duration kFirstWarning = 10s;
constexpr Duration kReportEvery = 10s;
// Messages handled before timers and other sockets get their turn.
constexpr int kBurst = 256;
// Batches are kept for so many rounds: peers of one process may be apart.
constexpr std::uint64_t kRoundsKept = 4;
constexpr std::size_t kOutgoingLinks = 64;

}  // namespace

struct PeerHost::Impl {
  zmq::context_t& context;
  PeerHostOptions options;
  std::shared_ptr<const Dataset> data;

  Mailbox mailbox;
  std::vector<std::unique_ptr<HostedSession>> sessions;
  std::optional<WorkerPool> pool;  // destroyed first: its tasks use the above
  std::size_t computing = 0;       // tasks whose result has not come back

  std::optional<zmq::socket_t> server;
  std::optional<zmq::socket_t> listener;
  std::map<std::string, zmq::socket_t> links;  // to other peers, by endpoint
  std::string announced;                       // our listener, for hello

  std::optional<DiscriminatorSpec> spec;  // once a session is welcomed
  std::map<std::pair<Round, std::uint32_t>, SharedBatch> batches;

  TimePoint last_heard;
  TimePoint connected;
  TimePoint last_report;
  bool warned = false;
  std::uint64_t next_arrival = 1;
  PeerHostReport report;

  Impl(zmq::context_t& c, PeerHostOptions o, std::shared_ptr<const Dataset> d)
      : context(c), options(std::move(o)), data(std::move(d)) {}

  Result<PeerHostReport> run();
  Result<void> open();
  Result<void> connect();
  void poll();
  TimePoint next_deadline() const;
  void watch_server(TimePoint now);
  void report_progress(TimePoint now);
  bool over() const;

  void on_server_message(Received received);
  void on_batch(const protocol::Message& message, std::vector<Blob> tensors);
  std::string defect_of_batch(const std::vector<Blob>& tensors) const;
  void on_transfer(const protocol::Message& message,
                   const std::vector<Blob>& tensors);
  void admit_transfer(HostedSession& s, const protocol::Transfer& transfer,
                      DiscriminatorState state);

  void feed(HostedSession& s, const SessionEvent& event);
  void feed_all(const SessionEvent& event);
  HostedSession* by_peer(PeerId peer);

  // One overload per effect: an effect without one does not compile.
  void apply(HostedSession& s, const SayHello& e);
  void apply(HostedSession& s, const SayToServer& e);
  void apply(HostedSession& s, const SendFeedback& e);
  void apply(HostedSession& s, const PrepareTrainer& e);
  void apply(HostedSession& s, const InitialiseDiscriminator& e);
  void apply(HostedSession& s, const RestoreDiscriminator& e);
  void apply(HostedSession& s, const Learn& e);
  void apply(HostedSession& s, const ComputeFeedback& e);
  void apply(HostedSession& s, const SendTransfer& e);
  void apply(HostedSession& s, const Install& e);
  void apply(HostedSession& s, const DropTransfer& e);
  void apply(HostedSession& s, const SaveDiscriminator& e);
  void apply(HostedSession& s, const Report& e);
  void apply(HostedSession& s, const Leave& e);

  void send_transfer(HostedSession& s, SendTransfer e,
                     const DiscriminatorState& state);
  std::string reachable(const std::string& endpoint) const;
  // Runs `work` on the session's strand and feeds the event it returns, if any,
  // to the session, back on the loop.
  void compute(HostedSession& s,
               std::function<std::optional<SessionEvent>()> work);
  // The same for work whose result is first kept on the loop.
  void compute_then(HostedSession& s,
                    std::function<std::function<void()>()> work);
};

// --- the loop ---------------------------------------------------------------

Result<PeerHostReport> PeerHost::Impl::run() {
  if (const auto opened = open(); !opened) return opened.error();
  feed_all(Connected{});
  while (!over()) poll();
  // The goodbyes get a moment to leave.
  server->set(zmq::sockopt::linger, 1000);
  for (const auto& s : sessions) {
    report.rounds += s->session.counters().rounds;
    report.swaps += s->session.counters().swaps_installed;
  }
  return report;
}

Result<void> PeerHost::Impl::open() {
  std::string bound = options.listen;
  auto router = bind_router(context, bound);
  if (!router) return router.error();
  listener = std::move(*router);
  const auto endpoint = parse_endpoint(bound, "listen");
  if (!endpoint) return endpoint.error();
  const bool any = endpoint->host == "0.0.0.0" || endpoint->host == "[::]";
  announced = any ? "tcp://*:" + endpoint->port : bound;
  if (!options.advertise.empty()) announced = options.advertise;

  const int threads = static_cast<int>(options.threads);
  pool.emplace(options.workers, [threads] { set_compute_threads(threads); });
  for (HostedPeer& peer : options.peers)
    sessions.push_back(std::make_unique<HostedSession>(*pool, std::move(peer),
                                                       data, options.device));
  last_heard = connected = last_report = Clock::now();
  return connect();
}

Result<void> PeerHost::Impl::connect() {
  auto socket = connect_dealer(context, options.server, false);
  if (!socket) return socket.error();
  server = std::move(*socket);
  connected = Clock::now();
  return {};
}

bool PeerHost::Impl::over() const {
  return computing == 0 && std::ranges::all_of(sessions, [](const auto& s) {
           return s->session.over();
         });
}

void PeerHost::Impl::poll() {
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(
      std::max(next_deadline() - Clock::now(), Duration::zero()));
  zmq::pollitem_t items[] = {
      {server->handle(), 0, ZMQ_POLLIN, 0},
      {listener->handle(), 0, ZMQ_POLLIN, 0},
      {nullptr, mailbox.fd(), ZMQ_POLLIN, 0},
  };
  wait_readable(items, wait);
  mailbox.drain();
  for (int i = 0; i < kBurst; ++i) {
    auto received = receive(*server);
    if (!received) break;
    on_server_message(std::move(*received));
  }
  for (int i = 0; i < kBurst; ++i) {
    auto received = receive(*listener);
    if (!received) break;
    if (received->message)
      on_transfer(*received->message, received->tensors);
    else
      spdlog::warn("unreadable transfer from {}: {}", received->address,
                   received->message.error().message);
  }
  const TimePoint now = Clock::now();
  for (const auto& s : sessions)
    if (const auto due = s->session.next_deadline(); due && *due <= now)
      feed(*s, ClockTicked{});
  watch_server(now);
  report_progress(now);
}

TimePoint PeerHost::Impl::next_deadline() const {
  TimePoint next = Clock::now() + 1s;
  for (const auto& s : sessions)
    if (const auto due = s->session.next_deadline())
      next = std::min(next, *due);
  return next;
}

// Finds out that the server is silent: makes the socket anew, warns, gives up.
void PeerHost::Impl::watch_server(TimePoint now) {
  const Duration silent = now - last_heard;
  if (silent > kFirstWarning && !warned) {
    warned = true;
    spdlog::warn(
        "no word from {} for {} s; still trying", options.server,
        std::chrono::duration_cast<std::chrono::seconds>(silent).count());
  }
  if (silent > options.connect_timeout) {
    for (const auto& s : sessions) {
      if (s->session.over()) continue;
      report.code = ExitCode::kUnreachable;
      report.text = "no word from " + options.server + " for " +
                    std::to_string(options.connect_timeout.count()) +
                    " s: is the server running, and the address right?";
      feed(*s, LeaveRequested{});
    }
    return;
  }
  if (silent > kSilence && now - connected > kSilence) {
    server->set(zmq::sockopt::linger, 0);
    if (const auto made = connect(); !made) {
      spdlog::error("{}", made.error().message);
      return;
    }
    feed_all(Connected{});
  }
}

void PeerHost::Impl::report_progress(TimePoint now) {
  if (!options.verbose || now - last_report < kReportEvery) return;
  last_report = now;
  const Session& first = sessions.front()->session;
  if (first.held_round().value > 0)
    spdlog::info("round {} of {}, {} peers live, {} discriminators received",
                 first.held_round().value, first.progress().rounds,
                 first.progress().live, first.counters().swaps_installed);
  else if (first.peer())
    spdlog::info("waiting for training to start: {} of {} peers",
                 first.progress().live, first.progress().needed);
}

// --- what arrives -----------------------------------------------------------

void PeerHost::Impl::on_server_message(Received received) {
  last_heard = Clock::now();
  warned = false;
  if (!received.message) {
    const Error& error = received.message.error();
    spdlog::warn("unreadable message from the server: {}", error.message);
    if (error.code == ExitCode::kConfiguration)  // another protocol version
      feed_all(ServerSaid{{{},
                           0,
                           {},
                           {},
                           protocol::ErrorReply{protocol::ErrorCode::kVersion,
                                                error.message}}});
    return;
  }
  const protocol::Message& message = *received.message;
  if (std::holds_alternative<protocol::Batch>(message.body)) {
    on_batch(message, std::move(received.tensors));
  } else if (const auto* welcome =
                 std::get_if<protocol::Welcome>(&message.body)) {
    if (welcome->session >= sessions.size()) return;
    feed(*sessions[welcome->session], ServerSaid{message});
  } else if (HostedSession* s = by_peer(message.peer)) {
    feed(*s, ServerSaid{message});
  } else if (std::holds_alternative<protocol::ErrorReply>(message.body)) {
    // The refusal of a hello: it concerns whoever has not been welcomed.
    for (const auto& each : sessions)
      if (!each->session.over() && !each->session.peer())
        feed(*each, ServerSaid{message});
  }
}

std::string PeerHost::Impl::defect_of_batch(
    const std::vector<Blob>& tensors) const {
  const bool conditional = spec->condition != Condition::kNone;
  if (tensors.size() != (conditional ? 2U : 1U))
    return std::to_string(tensors.size()) + " tensors";
  const protocol::TensorMeta images{protocol::DType::kFloat32,
                                    {spec->batch, spec->image.channels,
                                     spec->image.height, spec->image.width}};
  if (tensors[0].meta != images) return "images of another shape or type";
  if (!is_finite(tensors[0])) return "images that are not finite";
  if (!conditional) return "";
  if (tensors[1].meta !=
      protocol::TensorMeta{protocol::DType::kInt32, {spec->batch}})
    return "labels of another shape or type";
  const auto* labels =
      reinterpret_cast<const std::int32_t*>(tensors[1].bytes.data());
  for (std::uint32_t i = 0; i < spec->batch; ++i)
    if (labels[i] < 0 ||
        static_cast<std::uint32_t>(labels[i]) >= spec->image.classes)
      return "label " + std::to_string(labels[i]);
  return "";
}

void PeerHost::Impl::on_batch(const protocol::Message& message,
                              std::vector<Blob> tensors) {
  if (!spec) return;
  const std::uint32_t index = std::get<protocol::Batch>(message.body).index;
  if (const std::string defect = defect_of_batch(tensors); !defect.empty()) {
    spdlog::warn("round {}: the server sent {}; dropped", message.round.value,
                 defect);
    return;
  }
  std::erase_if(batches, [&](const auto& entry) {
    return entry.first.first.value + kRoundsKept <= message.round.value;
  });
  batches[{message.round, index}] = {
      std::move(tensors[0]),
      tensors.size() > 1 ? std::move(tensors[1]) : Blob{}};
  feed_all(BatchArrived{message.round, index});
}

void PeerHost::Impl::on_transfer(const protocol::Message& message,
                                 const std::vector<Blob>& tensors) {
  const auto* transfer = std::get_if<protocol::Transfer>(&message.body);
  HostedSession* s = by_peer(message.peer);
  if (transfer == nullptr || s == nullptr || message.run != s->session.run() ||
      (tensors.size() != 1 && tensors.size() != 3))
    return;  // from a stranger, or of a run that is over: nobody waits for it
  DiscriminatorState state;
  state.parameters = tensors[0];
  if (tensors.size() == 3) {
    state.first_moment = tensors[1];
    state.second_moment = tensors[2];
  }
  state.adam_steps = transfer->adam_steps;
  if (s->prepared) {
    admit_transfer(*s, *transfer, std::move(state));
  } else if (s->early.empty()) {
    s->early.emplace_back(*transfer, std::move(state));
  }
}

void PeerHost::Impl::admit_transfer(HostedSession& s,
                                    const protocol::Transfer& transfer,
                                    DiscriminatorState state) {
  const std::uint64_t arrival = next_arrival++;
  const std::string defect = s.defect_of(state);
  s.arrivals.emplace(arrival, std::move(state));
  feed(s, TransferArrived{transfer, defect, arrival});
}

// --- sessions ---------------------------------------------------------------

HostedSession* PeerHost::Impl::by_peer(PeerId peer) {
  for (const auto& s : sessions)
    if (s->session.peer() == peer) return s.get();
  return nullptr;
}

void PeerHost::Impl::feed(HostedSession& s, const SessionEvent& event) {
  std::vector<SessionEffect> effects;
  s.session.handle(event, Clock::now(), effects);
  for (const SessionEffect& effect : effects)
    std::visit([&](const auto& e) { apply(s, e); }, effect);
}

void PeerHost::Impl::feed_all(const SessionEvent& event) {
  for (const auto& s : sessions) feed(*s, event);
}

void PeerHost::Impl::compute_then(HostedSession& s,
                                  std::function<std::function<void()>()> work) {
  ++computing;
  s.strand.post([this, &s, work = std::move(work)] {
    std::function<void()> then;
    try {
      then = work();
    } catch (const std::exception& e) {
      then = [this, &s, what = std::string(e.what())] {
        spdlog::error("peer {}: {}", s.peer().name, what);
        report.code = ExitCode::kBug;
        report.text = what;
        feed(s, LeaveRequested{});
      };
    }
    mailbox.post([this, then = std::move(then)] {
      --computing;
      if (then) then();
    });
  });
}

void PeerHost::Impl::compute(
    HostedSession& s, std::function<std::optional<SessionEvent>()> work) {
  compute_then(
      s, [this, &s, work = std::move(work)]() -> std::function<void()> {
        auto event = work();
        if (!event) return {};
        return [this, &s, event = std::move(*event)] { feed(s, event); };
      });
}

// --- effects: talk ----------------------------------------------------------

void PeerHost::Impl::apply(HostedSession& s, const SayHello&) {
  const auto number = static_cast<std::uint32_t>(
      std::ranges::find_if(sessions,
                           [&](const auto& each) { return each.get() == &s; }) -
      sessions.begin());
  protocol::Message message;
  message.body = s.hello(number, announced);
  (void)send(*server, "", message);  // repeated until there is a welcome
}

void PeerHost::Impl::apply(HostedSession&, const SayToServer& e) {
  (void)send(*server, "",
             e.message);  // lost with the connection: it says hello
}

void PeerHost::Impl::apply(HostedSession& s, const SendFeedback& e) {
  protocol::Message message = e.message;
  auto& body = std::get<protocol::Feedback>(message.body);
  const ComputedFeedback computed = *std::exchange(s.computed, std::nullopt);
  body.discriminator_loss = computed.discriminator_loss;
  body.generator_loss = computed.feedback.generator_loss;
  body.seconds = computed.seconds;
  const Blob tensors[] = {computed.feedback.feedback, computed.feedback.logits};
  body.tensors = {tensors[0].meta, tensors[1].meta};
  TensorFrames frames(tensors);
  (void)send(*server, "", message, &frames);
}

void PeerHost::Impl::apply(HostedSession& s, const SendTransfer& e) {
  const bool with_optimizer = spec->swap_optimizer;
  compute_then(s, [this, &s, e, with_optimizer] {
    const DiscriminatorState state = s.snapshot(with_optimizer);
    return [this, &s, e, state] { send_transfer(s, e, state); };
  });
}

void PeerHost::Impl::send_transfer(HostedSession& s, SendTransfer e,
                                   const DiscriminatorState& state) {
  auto& body = std::get<protocol::Transfer>(e.message.body);
  body.adam_steps = state.adam_steps;
  std::vector<Blob> tensors{state.parameters};
  if (!state.first_moment.empty()) {
    tensors.push_back(state.first_moment);
    tensors.push_back(state.second_moment);
  }
  for (const Blob& tensor : tensors) body.tensors.push_back(tensor.meta);
  if (by_peer(e.target) != nullptr) {  // a peer of this very process
    on_transfer(e.message, tensors);
    return;
  }
  const std::string endpoint = reachable(e.endpoint);
  auto link = links.find(endpoint);
  if (link == links.end()) {
    if (links.size() >= kOutgoingLinks) links.erase(links.begin());
    auto made = connect_dealer(context, endpoint, true);
    if (!made) {
      feed(s, TransferFailed{body.swap, made.error().message});
      return;
    }
    link = links.emplace(endpoint, std::move(*made)).first;
  }
  TensorFrames frames(tensors);
  if (send(link->second, "", e.message, &frames) != Sent::kYes)
    feed(s, TransferFailed{body.swap, endpoint + " takes no more"});
}

// '*' as a host means the server's host: the server itself hosts that peer.
std::string PeerHost::Impl::reachable(const std::string& endpoint) const {
  auto parsed = parse_endpoint(endpoint, "endpoint");
  if (!parsed || parsed->host != "*") return endpoint;
  const auto home = parse_endpoint(options.server, "server");
  parsed->host = home ? home->host : "127.0.0.1";
  return parsed->text();
}

void PeerHost::Impl::apply(HostedSession& s, const Report& e) {
  if (e.warning)
    spdlog::warn("peer {}: {}", s.peer().name, e.text);
  else if (options.verbose)
    spdlog::info("peer {}: {}", s.peer().name, e.text);
}

void PeerHost::Impl::apply(HostedSession& s, const Leave& e) {
  if (e.code != ExitCode::kOk && report.code == ExitCode::kOk) {
    report.code = e.code;
    report.text = e.text;
  }
  if (options.verbose)
    spdlog::info("peer {} leaves after {} rounds: {}", s.peer().name,
                 s.session.counters().rounds, e.text);
}

// --- effects: compute -------------------------------------------------------

void PeerHost::Impl::apply(HostedSession& s, const PrepareTrainer& e) {
  spec = e.welcome.spec;
  s.prepared = false;
  if (options.verbose)
    spdlog::info("peer {} is welcome as peer {}: {}, {} parameters, {} loss",
                 s.peer().name, e.peer.value, spec->model, e.welcome.parameters,
                 name_of(kLossNames, spec->loss));
  compute_then(s, [this, &s, e] {
    const std::string defect = s.prepare(e.peer, e.welcome);
    return [this, &s, defect] {
      s.prepared = defect.empty();
      feed(s, TrainerPrepared{defect});
      for (auto& [transfer, state] : std::exchange(s.early, {}))
        if (s.prepared) admit_transfer(s, transfer, std::move(state));
    };
  });
}

void PeerHost::Impl::apply(HostedSession& s, const InitialiseDiscriminator&) {
  compute(s, [&s]() -> std::optional<SessionEvent> {
    s.initialise();
    return std::nullopt;
  });
}

void PeerHost::Impl::apply(HostedSession& s, const RestoreDiscriminator& e) {
  const RunId run = s.session.run();
  compute_then(s, [this, &s, e, run]() -> std::function<void()> {
    const auto restored = s.restore(run, e.round);
    if (restored) return {};
    return [this, &s, e, why = restored.error().message] {
      s.forget_checkpoint(e.round);
      feed(s, RestoreFailed{why});
    };
  });
}

void PeerHost::Impl::apply(HostedSession& s, const Learn& e) {
  const auto batch = batches.find({e.round, e.index});
  if (batch == batches.end()) return;
  compute(s, [&s, e, batch = batch->second]() -> std::optional<SessionEvent> {
    s.learn(e.round, batch);
    return std::nullopt;
  });
}

void PeerHost::Impl::apply(HostedSession& s, const ComputeFeedback& e) {
  const auto batch = batches.find({e.round, e.index});
  if (batch == batches.end()) {
    feed(s, Connected{});  // this peer fell so far behind that it starts anew
    return;
  }
  compute_then(s, [this, &s, e, batch = batch->second] {
    const ComputedFeedback computed = s.compute_feedback(batch);
    return [this, &s, e, computed] {
      s.computed = computed;
      feed(s, FeedbackComputed{e.round});
    };
  });
}

void PeerHost::Impl::apply(HostedSession& s, const Install& e) {
  auto node = s.arrivals.extract(e.arrival);
  if (node.empty()) return;
  compute_then(
      s,
      [this, &s, state = std::move(node.mapped())]() -> std::function<void()> {
        const auto loaded = s.load(state);
        if (loaded) return {};
        return [this, &s, why = loaded.error().message] {
          apply(s, Report{"keeps its discriminator: " + why, true});
        };
      });
}

void PeerHost::Impl::apply(HostedSession& s, const DropTransfer& e) {
  s.arrivals.erase(e.arrival);
}

void PeerHost::Impl::apply(HostedSession& s, const SaveDiscriminator& e) {
  const RunId run = s.session.run();
  compute_then(s, [this, &s, e, run]() -> std::function<void()> {
    const auto saved = s.save(run, e.round);
    if (saved) return {};
    return [this, &s, why = saved.error().message] {
      apply(s, Report{"could not save its discriminator: " + why, true});
    };
  });
}

// --- the face ---------------------------------------------------------------

PeerHost::PeerHost(zmq::context_t& context, PeerHostOptions options,
                   std::shared_ptr<const Dataset> data)
    : impl_(std::make_unique<Impl>(context, std::move(options),
                                   std::move(data))) {}

PeerHost::~PeerHost() = default;

Result<PeerHostReport> PeerHost::run() { return impl_->run(); }

void PeerHost::request_leave() {
  impl_->mailbox.post([this] { impl_->feed_all(LeaveRequested{}); });
}

}  // namespace mdgan
