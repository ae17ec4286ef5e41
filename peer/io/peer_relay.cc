// Transfers by way of the server: sealed here, and opened here.

#include <utility>

#include "peer/io/peer_shell_impl.h"
#include "protocol/algorithm.h"

namespace mdgan {

void PeerShell::Impl::apply(PeerRuntime& s, const PrepareChunks& e) {
  const bool with_optimizer = spec->swap_optimizer;
  s.training.run(
      [this, &s, e, with_optimizer] {
        const PeerState state = s.packed(with_optimizer);
        return [this, &s, e, state] { prepare_chunks(s, e, state); };
      },
      trainer_failure(s));
}

void PeerShell::Impl::prepare_chunks(PeerRuntime& s, PrepareChunks e,
                                     const PeerState& state) {
  std::vector<Blob> tensors = complete_transfer(e.message, state);
  const auto& body = std::get<protocol::Transfer>(e.message.body);
  if (by_peer(e.target) != nullptr) {  // a peer of this very process
    on_transfer(e.message, tensors, own_key());
    feed(s, ChunksReady{body.swap, 0});
    return;
  }
  const auto key = SealKey::of({e.message.run, body.swap, body.token, own_key(),
                                options.keys ? e.key : PublicKey{}},
                               options.keys);
  if (!key) {
    feed(s, TransferFailed{body.swap, key.error().message});
    return;
  }
  const auto [outgoing, is_new] = s.outgoing.insert_or_assign(
      body.swap, OutgoingRelay(*key, e.message, std::move(tensors)));
  feed(s, ChunksReady{body.swap, outgoing->second.chunks()});
}

void PeerShell::Impl::apply(PeerRuntime& s, const SendChunk& e) {
  protocol::Message message = e.message;
  auto& body = std::get<protocol::Chunk>(message.body);
  const auto outgoing = s.outgoing.find(body.swap);
  if (outgoing == s.outgoing.end()) return;
  const Blob sealed = outgoing->second.next_chunk();
  if (outgoing->second.ended()) s.outgoing.erase(outgoing);
  body.tensors = {sealed.meta};
  TensorFrames frames({&sealed, 1});
  (void)server->send(message, &frames);  // lost with the connection
}

void PeerShell::Impl::apply(PeerRuntime& s, const OpenChunk& e) {
  const auto refused = [&](const Error& error) {
    s.incoming.reset();
    feed(s, ChunkRefused{e.swap, error.message});
  };
  const PublicKey source = options.keys ? e.key : PublicKey{};
  if (e.index == 0) {
    const auto key = SealKey::of(
        {s.session.run(), e.swap, e.token, source, own_key()}, options.keys);
    if (!key) return refused(key.error());
    s.incoming.emplace(e.swap, *key, transfer_metas(*spec, codecs, parameters));
  }
  // One before could not be opened.
  if (!s.incoming || s.incoming->swap() != e.swap) return;
  const auto bytes =
      arrived.empty() ? std::span<const std::byte>() : arrived[0].bytes;
  if (const auto taken = s.incoming->take(bytes); !taken)
    return refused(taken.error());
  if (!s.incoming->complete()) return;
  const IncomingRelay whole = *std::exchange(s.incoming, std::nullopt);
  if (by_peer(whole.message().peer) == &s)
    on_transfer(whole.message(), whole.tensors(), source);
}

void PeerShell::Impl::apply(PeerRuntime& s, const DropChunks& e) {
  s.outgoing.erase(e.swap);
  // Another exchange may be bringing one.
  if (s.incoming && s.incoming->swap() == e.swap) s.incoming.reset();
}

}  // namespace mdgan
