// A process's connections: to the server, and of others to its listener.

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
// Batches are kept for so many rounds: peers of one process may be apart.
constexpr std::uint64_t kRoundsKept = 4;
// Discriminators that wait for one peer to unpack them or to have its trainer:
// more than one, because a stranger may send some too.
constexpr std::size_t kWaitingTransfers = 8;
// Connections to the listener from which no discriminator has come.
constexpr std::size_t kStrangers = 256;
// Frames handled before timers and other sockets get their turn.
constexpr int kBurst = 256;

}  // namespace

Result<void> PeerShell::Impl::open_listener() {
  listener = make_router(context);
  ConnectionGuard::Limits limits;
  // Who sends a discriminator says nothing before.
  limits.message_of_stranger = limits.message;
  limits.strangers = kStrangers;
  ConnectionGuard::Calls calls;
  calls.drain = [this] { mailbox.post([] {}); };
  calls.closed = [this](int descriptor, std::uint64_t cookie) {
    mailbox.post([this, descriptor, cookie] {
      closed.emplace_back(descriptor, cookie);
    });
  };
  calls.complain = [this](const std::string& address, const std::string& why) {
    mailbox.post([this, address, why] {
      complaints.warn(address, "its connection is closed: " + why,
                      Clock::now());
    });
  };
  guard.emplace(context, *listener, limits, std::move(calls));
  receiver = Receiver([this](const Received& r) { return wants_transfer(r); },
                      &*guard);
  if (options.keys) {
    // A peer that comes before the server has announced it comes again.
    options.zap->set(kPeersDomain, {{}, ZapStatus::kTryLater});
    require_keys(*listener, *options.keys, kPeersDomain);
  }
  std::string bound = options.listen;
  if (auto done = bind_router(*listener, bound); !done) return done;
  const auto endpoint = parse_endpoint(bound, "listen");
  if (!endpoint) return endpoint.error();
  const bool any = endpoint->host == "0.0.0.0" || endpoint->host == "[::]";
  announced = any ? "tcp://*:" + endpoint->port : bound;
  if (!options.advertise.empty()) announced = options.advertise;
  return {};
}

void PeerShell::Impl::drain_server() {
  std::optional<Received> received;
  for (int i = 0; i < kBurst && server->take(received); ++i) {
    if (!received) continue;
    on_server_message(std::move(*received));
    handle_events();
  }
}

void PeerShell::Impl::drain_listener() {
  guard->begin_drain();
  std::optional<Received> received;
  for (int i = 0; i < kBurst; ++i) {
    if (!receiver.take(*listener, received)) {
      guard->end_drain();
      for (const auto& [descriptor, cookie] : std::exchange(closed, {}))
        receiver.forget(descriptor, cookie);
      return;
    }
    if (!received) continue;
    if (received->message)
      on_transfer(*received->message, received->tensors, key_of(*received));
    else
      complaints.warn(
          received->address,
          "unreadable transfer: " + received->message.error().message,
          Clock::now());
    handle_events();
  }
}

// Says that the server is lost or there again, and hello to it.
void PeerShell::Impl::watch_link(TimePoint now) {
  const std::uint64_t tries = server->tries();
  if (server->advance(now)) {
    connected = now;
    if (tries > 1)
      spdlog::info("connected to {} at try {}", server->text(), tries);
    feed_all(Connected{});
  } else if (was_connected && !server->connected() && !over()) {
    spdlog::warn("lost the connection to {}; trying to get it back",
                 server->text());
    next_warning = now + kFirstWarning;
  }
  was_connected = server->connected();
}

// Finds out that the server is silent: makes the socket anew, warns, gives up.
void PeerShell::Impl::watch_server(TimePoint now) {
  const Duration silent = now - last_heard;
  if (silent > kFirstWarning && now >= next_warning) {
    next_warning = now + kFirstWarning;
    const auto time =
        std::chrono::duration_cast<std::chrono::seconds>(silent).count();
    if (server->connected())
      spdlog::warn("no word from {} for {} s, though it is connected",
                   server->text(), time);
    else
      spdlog::warn("no connection to {} for {} s, after {} tries; still trying",
                   server->text(), time, server->tries());
  }
  if (const auto reason = server->refusal()) {
    give_up(*reason);
    return;
  }
  if (silent > options.connect_timeout) {
    give_up({"no word from " + server->text() + " for " +
                 std::to_string(options.connect_timeout.count()) +
                 " s: is the server running, and the address right?",
             ExitCode::kUnreachable});
    return;
  }
  if (server->connected() && silent > kSilence && now - connected > kSilence)
    server->restart(now);
}

void PeerShell::Impl::give_up(const Error& error) {
  for (const auto& s : sessions)
    if (!s->session.over()) feed(*s, ServerLost{error});
}

// --- what arrives -----------------------------------------------------------

// In a run without keys nobody has one: a property that claims it is anybody's.
PublicKey PeerShell::Impl::key_of(const Received& received) const {
  return options.keys ? received.key : PublicKey{};
}

void PeerShell::Impl::on_server_message(Received received) {
  last_heard = Clock::now();
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
    if (error->code == protocol::ErrorCode::kVersion ||
        error->code == protocol::ErrorCode::kUnauthorised)
      feed_all(ServerSaid{message});
    else if (error->session < sessions.size() &&
             !sessions[error->session]->session.peer())
      feed(*sessions[error->session], ServerSaid{message});
    else
      spdlog::warn("the server reports: {}", error->text);
  } else if (std::holds_alternative<protocol::Goodbye>(message.body)) {
    // It is the run's: also for a session that is not welcome yet.
    feed_all(ServerSaid{message});
  } else if (PeerRuntime* s = by_peer(message.peer)) {
    if (const auto* abort = std::get_if<protocol::Abort>(&message.body))
      links.drop(abort->swap);
    if (const auto* swap = std::get_if<protocol::Swap>(&message.body);
        swap != nullptr && swap->receives && options.keys)
      options.zap->admit(kPeersDomain, swap->source_key, "peer");
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

bool PeerShell::Impl::wants_batch(const Received& received) const {
  const protocol::Message& message = *received.message;
  const auto* batch = std::get_if<protocol::Batch>(&message.body);
  return batch != nullptr && spec && message.run == served_run &&
         message.incarnation == served_incarnation &&
         batch->tensors == batch_metas(*spec, codecs, parameters);
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

// A transfer may come before the server announces it; nobody but the members of
// the run knows the run's name, and no session keeps more than a few.
bool PeerShell::Impl::wants_transfer(const Received& received) {
  const protocol::Message& message = *received.message;
  const auto* transfer = std::get_if<protocol::Transfer>(&message.body);
  const PeerRuntime* s = by_peer(message.peer);
  if (transfer == nullptr || s == nullptr || message.run != s->session.run() ||
      !s->session.may_await(*transfer, key_of(received)))
    return false;
  if (options.keys && key_of(received) == PublicKey{}) return false;
  const std::size_t count = spec->swap_optimizer ? 3 : 1;
  const protocol::DType dtype = codecs.swap == SwapCodec::kFloat32
                                    ? protocol::DType::kFloat32
                                    : protocol::DType::kBfloat16;
  if (transfer->tensors.size() != count ||
      !std::ranges::all_of(transfer->tensors, [&](const auto& meta) {
        return meta == protocol::TensorMeta{dtype, {parameters}};
      }))
    return false;
  if (received.descriptor >= 0) guard->trust(received.descriptor);
  return true;
}

void PeerShell::Impl::on_transfer(const protocol::Message& message,
                                  const std::vector<Blob>& tensors,
                                  const PublicKey& key) {
  const auto* transfer = std::get_if<protocol::Transfer>(&message.body);
  PeerRuntime* s = by_peer(message.peer);
  if (transfer == nullptr || s == nullptr || message.run != s->session.run())
    return;  // from a stranger, or of a run that is over: nobody waits for it
  if (tensors.size() != 1 && tensors.size() != 3) {
    // It was not wanted: if it is the one that was, the server is to know.
    if (!s->session.awaits(*transfer, key)) return;
    feed(*s, TransferArrived{*transfer,
                             "the discriminator has other sizes or types than "
                             "this run's",
                             next_arrival++, key});
    return;
  }
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
    take_transfer(*s, {*transfer, key, std::move(state)});
    return;
  }
  if (s->unpacking == kWaitingTransfers) return;
  ++s->unpacking;
  s->training.run(
      [this, s, transfer = *transfer, key, state = std::move(state)] {
        return [this, s, transfer, key, state = unpacked(state)] {
          --s->unpacking;
          take_transfer(*s, {transfer, key, state});
        };
      },
      trainer_failure(*s));
}

void PeerShell::Impl::take_transfer(PeerRuntime& s, IncomingTransfer transfer) {
  if (s.trainer_ready) {
    admit_transfer(s, std::move(transfer));
  } else if (s.early.size() < kWaitingTransfers) {
    s.early.push_back(std::move(transfer));
  }
}

void PeerShell::Impl::admit_transfer(PeerRuntime& s,
                                     IncomingTransfer transfer) {
  const std::uint64_t arrival = next_arrival++;
  const std::string defect = s.defect_of(transfer.state);
  s.arrivals.emplace(arrival, std::move(transfer.state));
  feed(s, TransferArrived{transfer.message, defect, arrival, transfer.key});
}

}  // namespace mdgan
