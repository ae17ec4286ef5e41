// A process's listener: other peers' connections to it, and the discriminators
// that arrive there.

#include <algorithm>
#include <utility>

#include "common/base/time.h"
#include "common/net/endpoint.h"
#include "common/net/guard_calls.h"
#include "peer/io/packing.h"
#include "peer/io/peer_shell_impl.h"
#include "protocol/algorithm.h"

namespace mdgan {
namespace {

// Discriminators that wait for one peer to unpack them or to have its trainer:
// more than one, because a stranger may send some too.
constexpr std::size_t kWaitingTransfers = 8;
// Connections to the listener from which no discriminator has come.
constexpr std::size_t kStrangers = 256;
// Frames handled before timers and other sockets get their turn.
constexpr int kBurst = 256;

}  // namespace

Result<void> PeerShell::Impl::open_listener() {
  if (options.listen.empty()) return {};
  listener = make_router(context);
  ConnectionGuard::Limits limits;
  // A sender's first message on a connection is a whole discriminator.
  limits.message_of_stranger = limits.message;
  limits.strangers = kStrangers;
  guard.emplace(context, *listener, limits,
                guard_calls(mailbox, closed, complaints));
  receiver = Receiver([this](const Received& r) { return wants_transfer(r); },
                      &*guard);
  if (options.keys) {
    // A peer that comes before the server has announced it waits.
    options.zap->set(kPeersDomain, {{}, ZapStatus::kNotYet});
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

void PeerShell::Impl::drain_listener() {
  guard->begin_drain();
  std::optional<Received> received;
  for (int i = 0; i < kBurst; ++i) {
    if (!receiver.take(*listener, received)) {
      guard->end_drain();
      for (const auto& [descriptor, cookie] : std::exchange(closed, {})) {
        receiver.forget(descriptor, cookie);
        for (auto& [key, connections] : senders)
          connections.erase({descriptor, cookie});
      }
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

// Lets in on the listener whom the session waits for, until the exchange has
// ended: who is revoked at the server is then nowhere let in.
void PeerShell::Impl::track_keys(PeerRuntime& s) {
  if (!listener) return;
  std::vector<PublicKey> awaited = s.session.awaited_keys();
  if (awaited == s.let_in) return;
  for (const PublicKey& key : awaited)
    if (let_in[key]++ == 0) options.zap->admit(kPeersDomain, key, "peer");
  for (const PublicKey& key : std::exchange(s.let_in, awaited)) {
    if (--let_in[key] > 0) continue;
    let_in.erase(key);
    options.zap->withdraw(kPeersDomain, key);
    const auto connections = senders.extract(key);
    if (connections.empty()) continue;
    for (const auto& [descriptor, cookie] : connections.mapped())
      guard->cut(descriptor, cookie);
  }
}

// A transfer may come before the server announces it; no session keeps more
// than a few of those.
bool PeerShell::Impl::wants_transfer(const Received& received) {
  if (options.keys && received.descriptor >= 0) {
    const std::uint64_t cookie = socket_cookie(received.descriptor);
    if (!let_in.contains(key_of(received))) {  // of an exchange that has ended
      guard->cut(received.descriptor, cookie);
      return false;
    }
    senders[key_of(received)].emplace(received.descriptor, cookie);
  }
  const protocol::Message& message = *received.message;
  const auto* transfer = std::get_if<protocol::Transfer>(&message.body);
  const PeerRuntime* s = by_peer(message.peer);
  if (transfer == nullptr || s == nullptr || message.run != s->session.run() ||
      !s->session.may_await(*transfer, key_of(received)))
    return false;
  if (options.keys && key_of(received) == PublicKey{}) return false;
  if (transfer->tensors != transfer_metas(*spec, codecs, parameters))
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
        return [this, s, transfer, key, state = unpack_state(state)] {
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
