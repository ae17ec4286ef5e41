#include "peer/io/peer_shell.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <span>
#include <utility>

#include "common/base/time.h"
#include "common/net/endpoint.h"
#include "common/tensor/quantise.h"
#include "peer/io/peer_shell_impl.h"
#include "protocol/algorithm.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// A DEALER can go deaf for good while its sends still succeed; after this long
// without a word from the server, which speaks every 2 s, it is made anew.
constexpr Duration kSilence = 15s;
constexpr Duration kFirstWarning = 10s;
constexpr Duration kReportEvery = 10s;
// Messages handled before timers and other sockets get their turn.
constexpr int kBurst = 256;
// Batches are kept for so many rounds: peers of one process may be apart.
constexpr std::uint64_t kRoundsKept = 4;
// Discriminators that wait for one peer to unpack them or to have its trainer:
// more than one, because a stranger may send some too.
constexpr std::size_t kWaitingTransfers = 8;

}  // namespace

// --- the loop ---------------------------------------------------------------

Result<PeerShellReport> PeerShell::Impl::run() {
  if (const auto opened = open(); !opened) return opened.error();
  feed_all(Connected{});
  handle_events();
  while (!over()) poll();
  // The goodbyes get a moment to leave.
  server->set(zmq::sockopt::linger, 1000);
  for (const auto& s : sessions) {
    report.rounds += s->session.counters().rounds;
    report.swaps += s->session.counters().swaps_installed;
  }
  return report;
}

Result<void> PeerShell::Impl::open() {
  std::string bound = options.listen;
  auto router = bind_router(context, bound);
  if (!router) return router.error();
  listener = std::move(*router);
  const auto endpoint = parse_endpoint(bound, "listen");
  if (!endpoint) return endpoint.error();
  const bool any = endpoint->host == "0.0.0.0" || endpoint->host == "[::]";
  announced = any ? "tcp://*:" + endpoint->port : bound;
  if (!options.advertise.empty()) announced = options.advertise;

  pool.emplace(options.workers, arithmetic.start_thread);
  file_pool.emplace(kWriters, [] {});
  for (PeerSetup& peer : options.peers) {
    sessions.push_back(std::make_unique<PeerRuntime>(
        *pool, *file_pool, returns, std::move(peer), data, arithmetic,
        options.keep_every));
    sessions.back()->number = static_cast<std::uint32_t>(taking_part++);
  }
  last_heard = connected = last_report = Clock::now();
  return connect();
}

Result<void> PeerShell::Impl::connect() {
  auto socket = connect_dealer(context, options.server);
  if (!socket) return socket.error();
  server = std::move(*socket);
  connected = Clock::now();
  return {};
}

void PeerShell::Impl::poll() {
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(
      std::max(next_deadline() - Clock::now(), Duration::zero()));
  zmq::pollitem_t items[] = {
      {server->handle(), 0, ZMQ_POLLIN, 0},
      {listener->handle(), 0, ZMQ_POLLIN, 0},
      {nullptr, mailbox.fd(), ZMQ_POLLIN, 0},
  };
  wait_readable(items, wait);
  mailbox.drain();
  handle_events();
  for (int i = 0; i < kBurst; ++i) {
    auto received = receive(*server);
    if (!received) break;
    on_server_message(std::move(*received));
    handle_events();
  }
  for (int i = 0; i < kBurst; ++i) {
    auto received = receive(*listener);
    if (!received) break;
    if (received->message)
      on_transfer(*received->message, received->tensors);
    else
      spdlog::warn("unreadable transfer from {}: {}", received->address,
                   received->message.error().message);
    handle_events();
  }
  const TimePoint now = Clock::now();
  ring_alarms(now);
  watch_server(now);
  handle_events();
  report_progress(now);
}

TimePoint PeerShell::Impl::next_deadline() const {
  const TimePoint next = Clock::now() + 1s;
  return alarms.empty() ? next : std::min(next, alarms.begin()->first);
}

// Finds out that the server is silent: makes the socket anew, warns, gives up.
void PeerShell::Impl::watch_server(TimePoint now) {
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
      feed(*s, ServerLost{{"no word from " + options.server + " for " +
                               std::to_string(options.connect_timeout.count()) +
                               " s: is the server running, and the address "
                               "right?",
                           ExitCode::kUnreachable}});
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

void PeerShell::Impl::report_progress(TimePoint now) {
  if (!options.verbose || now - last_report < kReportEvery) return;
  last_report = now;
  const Session& first = sessions.front()->session;
  if (first.held_round().value > 0)
    spdlog::info("round {} of {}, {} discriminators received",
                 first.held_round().value, first.rounds(),
                 first.counters().swaps_installed);
  else if (first.peer())
    spdlog::info("waiting for training to start: {} of {} peers",
                 first.progress().live, first.progress().needed);
}

// --- what arrives -----------------------------------------------------------

void PeerShell::Impl::on_server_message(Received received) {
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
    const bool is_another =
        message.run != served_run || message.incarnation != served_incarnation;
    served_run = message.run;
    served_incarnation = message.incarnation;
    feed(*sessions[welcome->session], ServerSaid{message});
    // The server has been started anew and knows the others no more; one that
    // waits for its word would wait for good.
    if (is_another)
      for (const auto& s : sessions)
        if (s->number != welcome->session && s->session.peer())
          feed(*s, Connected{});
  } else if (const auto* error =
                 std::get_if<protocol::ErrorReply>(&message.body);
             error != nullptr &&
             error->code != protocol::ErrorCode::kUnknownPeer) {
    // The refusal of a hello concerns the session that said it; one that the
    // server could not even read, all of them.
    if (error->code == protocol::ErrorCode::kVersion)
      feed_all(ServerSaid{message});
    else if (error->session < sessions.size() &&
             !sessions[error->session]->session.peer())
      feed(*sessions[error->session], ServerSaid{message});
    else
      spdlog::warn("the server reports: {}", error->text);
  } else if (PeerRuntime* s = by_peer(message.peer)) {
    if (const auto* abort = std::get_if<protocol::Abort>(&message.body))
      links.drop(abort->swap);
    await_batches(*s, message);
    feed(*s, ServerSaid{message});
  }
}

std::string PeerShell::Impl::defect_of_batch(
    const std::vector<Blob>& tensors) const {
  if (!std::ranges::equal(batch_metas(*spec, codecs, parameters), tensors, {},
                          {}, &Blob::meta))
    return "a batch whose tensors have other shapes or types";
  for (const Blob& tensor : tensors) {
    if (tensor.meta.dtype == protocol::DType::kFloat32 && !is_finite(tensor))
      return "a batch with values that are not finite";
    if (tensor.meta.dtype != protocol::DType::kInt32) continue;
    const std::span labels(
        reinterpret_cast<const std::int32_t*>(tensor.bytes.data()),
        spec->batch);
    for (const std::int32_t label : labels)
      if (label < 0 || static_cast<std::uint32_t>(label) >= spec->image.classes)
        return "a batch with the label " + std::to_string(label);
  }
  return "";
}

void PeerShell::Impl::on_batch(const protocol::Message& message,
                               std::vector<Blob> tensors) {
  if (!spec || message.run != served_run ||
      message.incarnation != served_incarnation)
    return;
  const std::uint32_t index = std::get<protocol::Batch>(message.body).index;
  if (const std::string defect = defect_of_batch(tensors); !defect.empty()) {
    spdlog::warn("round {}: the server sent {}; dropped", message.round.value,
                 defect);
    return;
  }
  const auto is_old = [&](const auto& entry) {
    return entry.first.first.value + kRoundsKept <= message.round.value;
  };
  std::erase_if(batches, is_old);
  std::erase_if(awaiting, is_old);
  if (tensors[0].meta.dtype == protocol::DType::kUint8)
    tensors[0] = images_from_uint8(tensors[0]);
  batches[{message.round, index}] = {
      std::move(tensors[0]),
      tensors.size() > 1 ? std::move(tensors[1]) : Blob{}};
  const auto waiting = awaiting.extract({message.round, index});
  if (waiting.empty()) return;
  for (PeerRuntime* s : waiting.mapped())
    feed(*s, BatchArrived{message.round, index});
}

// A round's message names the batches that its peer waits for; they come after
// it on the same connection.
void PeerShell::Impl::await_batches(PeerRuntime& s,
                                    const protocol::Message& message) {
  const auto* begin = std::get_if<protocol::RoundBegin>(&message.body);
  if (begin == nullptr) return;
  awaiting[{message.round, begin->discriminated}].push_back(&s);
  if (begin->generated != begin->discriminated)
    awaiting[{message.round, begin->generated}].push_back(&s);
}

void PeerShell::Impl::on_transfer(const protocol::Message& message,
                                  const std::vector<Blob>& tensors) {
  const auto* transfer = std::get_if<protocol::Transfer>(&message.body);
  PeerRuntime* s = by_peer(message.peer);
  if (transfer == nullptr || s == nullptr || message.run != s->session.run() ||
      (tensors.size() != 1 && tensors.size() != 3))
    return;  // from a stranger, or of a run that is over: nobody waits for it
  PeerState state;
  state.parameters = tensors[0];
  if (tensors.size() == 3) {
    state.first_moment = tensors[1];
    state.second_moment = tensors[2];
  }
  state.adam_steps = transfer->adam_steps;
  const protocol::TensorMeta packed{protocol::DType::kBfloat16, {parameters}};
  if (codecs.swap == SwapCodec::kFloat32 ||
      !std::ranges::all_of(
          tensors, [&](const Blob& tensor) { return tensor.meta == packed; })) {
    take_transfer(*s, *transfer, std::move(state));
    return;
  }
  if (s->unpacking == kWaitingTransfers) return;
  ++s->unpacking;
  s->training.run(
      [this, s, transfer = *transfer, state = std::move(state)] {
        return [this, s, transfer, state = unpacked(state)] {
          --s->unpacking;
          take_transfer(*s, transfer, state);
        };
      },
      trainer_failure(*s));
}

void PeerShell::Impl::take_transfer(PeerRuntime& s,
                                    const protocol::Transfer& transfer,
                                    PeerState state) {
  if (s.trainer_ready) {
    admit_transfer(s, transfer, std::move(state));
  } else if (s.early.size() < kWaitingTransfers) {
    s.early.emplace_back(transfer, std::move(state));
  }
}

void PeerShell::Impl::admit_transfer(PeerRuntime& s,
                                     const protocol::Transfer& transfer,
                                     PeerState state) {
  const std::uint64_t arrival = next_arrival++;
  const std::string defect = s.defect_of(state);
  s.arrivals.emplace(arrival, std::move(state));
  feed(s, TransferArrived{transfer, defect, arrival});
}

// --- sessions ---------------------------------------------------------------

PeerRuntime* PeerShell::Impl::by_peer(PeerId peer) {
  const auto found = welcomed.find(peer);
  return found == welcomed.end() ? nullptr : found->second;
}

void PeerShell::Impl::feed(PeerRuntime& s, SessionEvent event) {
  events.emplace_back(&s, std::move(event));
}

void PeerShell::Impl::handle_events() {
  std::vector<SessionEffect> effects;
  while (!events.empty()) {
    const auto [s, event] = std::move(events.front());
    events.pop_front();
    effects.clear();
    const bool was_over = s->session.over();
    s->session.handle(event, Clock::now(), effects);
    track(*s, was_over);
    for (const SessionEffect& effect : effects)
      std::visit([&, peer = s](const auto& e) { apply(*peer, e); }, effect);
  }
}

void PeerShell::Impl::feed_all(const SessionEvent& event) {
  for (const auto& s : sessions) feed(*s, event);
}

void PeerShell::Impl::ring_alarms(TimePoint now) {
  std::vector<std::uint32_t> due;
  for (auto it = alarms.begin(); it != alarms.end() && it->first <= now; ++it)
    due.push_back(it->second);
  for (const std::uint32_t number : due) feed(*sessions[number], ClockTicked{});
}

// Brings the lists up to date with what an event has made of a session.
void PeerShell::Impl::track(PeerRuntime& s, bool was_over) {
  if (const auto alarm = s.session.next_deadline(); alarm != s.alarm) {
    if (s.alarm) alarms.erase({*s.alarm, s.number});
    if (alarm) alarms.emplace(*alarm, s.number);
    s.alarm = alarm;
  }
  if (const auto address = s.session.peer(); address != s.address) {
    // Unless another session has been given the address since.
    if (s.address && by_peer(*s.address) == &s) welcomed.erase(*s.address);
    if (address) welcomed[*address] = &s;
    s.address = address;
  }
  if (!was_over && s.session.over()) --taking_part;
}

Lane::Failure PeerShell::Impl::trainer_failure(PeerRuntime& s) {
  return [this, &s](const std::string& what) {
    feed(s, Failed{{what, ExitCode::kBug}});
  };
}

// --- the face ---------------------------------------------------------------

PeerShell::PeerShell(zmq::context_t& context, PeerShellOptions options,
                     std::shared_ptr<const Dataset> data,
                     PeerArithmetic arithmetic)
    : impl_(std::make_unique<Impl>(context, std::move(options), std::move(data),
                                   std::move(arithmetic))) {}

PeerShell::~PeerShell() = default;

Result<PeerShellReport> PeerShell::run() { return impl_->run(); }

void PeerShell::request_leave() {
  impl_->mailbox.post([this] { impl_->feed_all(LeaveRequested{}); });
}

}  // namespace mdgan
