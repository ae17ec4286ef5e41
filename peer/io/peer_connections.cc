// A process's connection to the server: what arrives on it, and its loss.

#include <spdlog/spdlog.h>

#include <algorithm>
#include <span>
#include <utility>

#include "common/base/time.h"
#include "common/tensor/quantise.h"
#include "peer/io/peer_shell_impl.h"
#include "protocol/algorithm.h"
#include "protocol/frames.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// A DEALER can go deaf for good while its sends still succeed; after this long
// without a word from the server, which speaks every 2 s, it is made anew.
constexpr Duration kSilence = 15s;
constexpr Duration kFirstWarning = 10s;
// Batches are kept for so many rounds: peers of one process may be apart.
constexpr std::uint64_t kRoundsKept = 4;
// Frames handled before timers and other sockets get their turn.
constexpr int kServerBurst = 256;

}  // namespace

void PeerShell::Impl::drain_server() {
  std::optional<Received> received;
  for (int i = 0; i < kServerBurst && server->take(received); ++i) {
    if (received)
      on_server_message(std::move(*received));
    else
      on_part(Clock::now());
    handle_events();
  }
}

// A message that takes long on a slow link is no silence.
void PeerShell::Impl::on_part(TimePoint now) {
  last_heard = now;
  if (now - part_told < 1s) return;
  part_told = now;
  feed_all(PartArrived{});
}

// Says that the server is lost or there again, and hello to it.
void PeerShell::Impl::watch_link(TimePoint now) {
  const std::uint64_t tries = server->tries();
  if (server->advance(now)) {
    connected = now;
    link_since = std::chrono::system_clock::now();
    if (tries > 1)
      spdlog::info("connected to {} at try {}", server->text(), tries);
    feed_all(Connected{});
  } else if (was_connected && !server->connected() && !over()) {
    spdlog::warn("lost the connection to {}; trying to get it back",
                 server->text());
    link_since = std::chrono::system_clock::now();
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
    if (const auto refused = server->key_refusal()) {
      give_up(*refused);
      return;
    }
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

// In a run without keys no connection is authenticated: anybody can set the
// property that names a key, so it is ignored.
PublicKey PeerShell::Impl::key_of(const Received& received) const {
  return options.keys ? received.key : PublicKey{};
}

PublicKey PeerShell::Impl::own_key() const {
  return options.keys ? options.keys->public_key : PublicKey{};
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
    if (const auto* commit = std::get_if<protocol::Commit>(&message.body);
        commit != nullptr && options.keys)
      links.drop(commit->swap);
    arrived = std::move(received.tensors);
    await_batches(*s, message);
    feed(*s, ServerSaid{message});
  } else if (std::holds_alternative<protocol::Progress>(message.body)) {
    // All peers that wait for their welcome are told the same; one of them
    // shows it.
    feed(*sessions.front(), ServerSaid{message});
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

bool PeerShell::Impl::wants_from_server(const Received& received) {
  const protocol::Message& message = *received.message;
  if (!spec || message.run != served_run ||
      message.incarnation != served_incarnation)
    return false;
  if (const auto* part = std::get_if<protocol::Chunk>(&message.body))
    return by_peer(message.peer) != nullptr &&
           protocol::is_chunk(part->tensors);
  if (const auto* asked = std::get_if<protocol::Evaluate>(&message.body)) {
    const PeerRuntime* const s = by_peer(message.peer);
    return s != nullptr && s->evaluation && is_site_question(asked->tensors);
  }
  const auto* batch = std::get_if<protocol::Batch>(&message.body);
  return batch != nullptr &&
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
    const Round round = entry.first.first;
    return round.value + kRoundsKept + rounds_ahead <= message.round.value &&
           std::ranges::none_of(sessions, [&](const auto& s) {
             return s->session.is_asked_ahead_in(round);
           });
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

}  // namespace mdgan
