// A session's exchanges of discriminators: swaps, and copies for late joiners.

#include <utility>

#include "peer/core/session.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

// Transfers kept until the server's message tells which of them is expected:
// more than one, because a stranger may send some too.
constexpr std::size_t kEarlyTransfers = 8;
// Orders kept while the trainer is made. The server has one swap under way for
// a peer, and copies for as many late joiners as come.
constexpr std::size_t kDeferred = 64;

}  // namespace

void Session::on_swap(const protocol::Message& message, Out& out) {
  const auto& swap = std::get<protocol::Swap>(message.body);
  if (swap.sends && state_ == State::kPreparing) {
    defer(message, out);
    return;
  }
  const std::string no_target =
      swap.sends ? objection_to(swap.target, swap.target_key) : "";
  const std::string no_source =
      swap.receives ? objection_to(swap.source, swap.source_key) : "";
  if (!no_source.empty() || (!no_target.empty() && !swap.receives)) {
    refuse(swap.swap, no_source.empty() ? no_target : no_source, out);
    return;
  }
  if (swap.sends && no_target.empty()) {
    if (state_ != State::kReady) {  // it waits for a copy of its own
      decline(swap.swap, "this peer has no discriminator yet", out);
      return;
    }
    protocol::Transfer transfer;
    transfer.swap = swap.swap;
    transfer.token = swap.send_token;
    transfer.source = peer_;
    transfer.schema = welcome_.schema;
    protocol::Message sent = to_server(std::move(transfer));
    sent.peer = swap.target;
    if (swap.endpoint.empty()) {
      relays_[swap.swap] = {};
      out.emplace_back(
          PrepareChunks{swap.target, std::move(sent), swap.target_key});
    } else {
      out.emplace_back(SendTransfer{swap.endpoint, swap.target, std::move(sent),
                                    swap.target_key});
    }
    ++counters_.swaps_sent;
  }
  if (!swap.receives) return;
  drop_staged(out);
  if (swap_ && next_chunk_ > 0) out.emplace_back(DropChunks{swap_->swap});
  swap_ = swap;
  next_chunk_ = 0;
  swap_round_ = message.round;
  not_sent_ = no_target;
  for (const TransferArrived& early : std::exchange(early_, {}))
    on(early, {}, out);
}

void Session::on(const TransferArrived& e, TimePoint, Out& out) {
  const bool is_late = swap_ && e.transfer.swap < swap_->swap;
  if (is_late || !objection_to(e.transfer.source, e.key).empty()) {
    out.emplace_back(DropTransfer{e.arrival});
  } else if (swap_ && swap_->swap == e.transfer.swap) {
    stage(e, out);
  } else {
    // Faster than the server's own message: keep it until that arrives.
    if (early_.size() == kEarlyTransfers) {
      out.emplace_back(DropTransfer{early_.front().arrival});
      early_.erase(early_.begin());
    }
    early_.push_back(e);
  }
}

void Session::on_abort(const protocol::Abort& abort, Out& out) {
  const bool receives = swap_ && swap_->swap == abort.swap;
  if (relays_.erase(abort.swap) > 0 || (receives && next_chunk_ > 0))
    out.emplace_back(DropChunks{abort.swap});
  if (receives) {
    swap_.reset();
    drop_staged(out);
    out.emplace_back(Report{
        "keeps its discriminator, the exchange was aborted: " + abort.reason,
        true});
  }
  std::erase_if(deferred_, [&](const protocol::Message& order) {
    const auto* swap = std::get_if<protocol::Swap>(&order.body);
    return swap != nullptr && swap->swap == abort.swap;
  });
}

void Session::on(const ChunksReady& e, TimePoint, Out& out) {
  const auto relay = relays_.find(e.swap);
  if (relay == relays_.end()) {  // the exchange has ended meanwhile
    out.emplace_back(DropChunks{e.swap});
    return;
  }
  relay->second.chunks = e.chunks;
  send_chunks(e.swap, out);
}

// Sends as many chunks as may be on their way.
void Session::send_chunks(SwapId swap, Out& out) {
  SentByRelay& relay = relays_.at(swap);
  while (relay.sent < relay.chunks &&
         relay.sent - relay.taken < protocol::kChunkWindow)
    out.emplace_back(
        SendChunk{to_server(protocol::Chunk{swap, relay.sent++, {}})});
  if (relay.taken == relay.chunks) relays_.erase(swap);
}

void Session::on_chunks_taken(const protocol::ChunksTaken& taken, Out& out) {
  const auto relay = relays_.find(taken.swap);
  if (relay == relays_.end() || taken.count > relay->second.sent ||
      taken.count <= relay->second.taken) {
    ++counters_.refused;
    return;
  }
  relay->second.taken = taken.count;
  send_chunks(taken.swap, out);
}

void Session::on_chunk(const protocol::Chunk& chunk, Out& out) {
  if (!swap_ || staged_ || swap_->swap != chunk.swap ||
      chunk.index != next_chunk_) {
    ++counters_.refused;
    return;
  }
  ++next_chunk_;
  out.emplace_back(OpenChunk{chunk.swap, chunk.index, swap_->source,
                             swap_->receive_token, swap_->source_key});
  out.emplace_back(
      SayToServer{to_server(protocol::ChunksTaken{chunk.swap, next_chunk_})});
}

void Session::on(const ChunkRefused& e, TimePoint, Out& out) {
  if (swap_ && swap_->swap == e.swap) decline(e.swap, e.reason, out);
}

bool Session::awaits(const protocol::Transfer& transfer,
                     const PublicKey& key) const {
  return swap_ && !staged_ && transfer.swap == swap_->swap &&
         transfer.token == swap_->receive_token &&
         transfer.source == swap_->source && key == swap_->source_key;
}

bool Session::may_await(const protocol::Transfer& transfer,
                        const PublicKey& key) const {
  return awaits(transfer, key) || ((!swap_ || swap_->swap < transfer.swap) &&
                                   objection_to(transfer.source, key).empty());
}

std::vector<PublicKey> Session::awaited_keys() const {
  std::vector<PublicKey> keys;
  if (swap_) keys.push_back(swap_->source_key);
  for (const protocol::Message& order : deferred_)
    if (const auto* swap = std::get_if<protocol::Swap>(&order.body);
        swap != nullptr && swap->receives &&
        objection_to(swap->source, swap->source_key).empty())
      keys.push_back(swap->source_key);
  return keys;
}

std::string Session::objection_to(PeerId peer, const PublicKey& key) const {
  const std::string why = objection_ ? objection_(key) : "";
  return why.empty() ? ""
                     : "no exchange with peer " + std::to_string(peer.value) +
                           ": " + why;
}

void Session::refuse(SwapId swap, const std::string& why, Out& out) const {
  out.emplace_back(Report{why, true});
  decline(swap, why, out);
}

void Session::stage(const TransferArrived& e, Out& out) {
  if (staged_ || e.transfer.token != swap_->receive_token ||
      e.transfer.source != swap_->source || e.key != swap_->source_key) {
    // Twice, or not from whom the server named: the right one may still come.
    ++counters_.refused;
    out.emplace_back(DropTransfer{e.arrival});
    return;
  }
  std::string defect = e.defect;
  if (defect.empty() && e.transfer.schema != welcome_.schema)
    defect = "the discriminator has another schema";
  if (!defect.empty()) {
    out.emplace_back(DropTransfer{e.arrival});
    decline(swap_->swap, defect, out);
    return;
  }
  // The server counts on what it is told: it must survive this process.
  staged_ = {e.arrival, swap_->swap, swap_round_, swap_->discriminator};
  out.emplace_back(SaveTransfer{e.arrival, staged_->round,
                                staged_->discriminator, discriminator_});
}

void Session::on(const TransferSaved& e, TimePoint, Out& out) {
  if (!staged_ || staged_->arrival != e.arrival || !swap_ ||
      swap_->swap != staged_->swap)
    return;
  staged_->told = true;
  out.emplace_back(
      SayToServer{to_server(protocol::Staged{swap_->swap, true, ""})});
  if (!not_sent_.empty()) refuse(swap_->swap, not_sent_, out);
}

std::optional<protocol::Held> Session::staged() const {
  if (!staged_ || !staged_->told) return std::nullopt;
  return protocol::Held{run_, staged_->round, staged_->discriminator};
}

// The server need not wait for the deadline.
void Session::decline(SwapId swap, const std::string& why, Out& out) const {
  out.emplace_back(SayToServer{to_server(protocol::Staged{swap, false, why})});
}

// Keeps an order of the server's until the trainer is ready.
void Session::defer(const protocol::Message& message, Out& out) {
  if (deferred_.size() == kDeferred) {
    if (const auto* swap = std::get_if<protocol::Swap>(&deferred_.front().body))
      decline(swap->swap, "this peer is still preparing", out);
    deferred_.erase(deferred_.begin());
  }
  deferred_.push_back(message);
}

// Carries out what was deferred while the trainer was made, in the order in
// which it and the open round arrived.
void Session::obey_deferred(Out& out) {
  bool round_has_begun = false;
  for (const protocol::Message& message : std::exchange(deferred_, {})) {
    if (open_ && !round_has_begun && message.round >= open_->round) {
      advance_round(out);
      round_has_begun = true;
    }
    if (std::holds_alternative<protocol::Swap>(message.body))
      on_swap(message, out);
    else if (state_ == State::kReady)
      out.emplace_back(SaveDiscriminator{message.round, discriminator_, keep_});
  }
  advance_round(out);
}

void Session::on(const TransferFailed& e, TimePoint, Out& out) {
  relays_.erase(e.swap);
  const std::string what = "cannot send the discriminator: " + e.reason;
  out.emplace_back(Report{what, true});
  decline(e.swap, what, out);
}

void Session::on_commit(const protocol::Commit& commit, Round round, Out& out) {
  if (!swap_ || swap_->swap != commit.swap || !staged_) {
    ++counters_.refused;
    return;
  }
  swap_.reset();
  install_staged(out);
  if (state_ == State::kReceiving) {
    enter(State::kReady, "has its copy");
    held_round_ = round;
  }
}

void Session::install_staged(Out& out) {
  discriminator_ = staged_->discriminator;
  out.emplace_back(Install{staged_->arrival});
  ++counters_.swaps_installed;
  staged_.reset();
}

void Session::drop_staged(Out& out) {
  if (staged_) out.emplace_back(DropTransfer{staged_->arrival});
  staged_.reset();
}

// What was told stays: it may have been committed meanwhile.
void Session::drop_transfers(Out& out) {
  if (swap_ && next_chunk_ > 0) out.emplace_back(DropChunks{swap_->swap});
  swap_.reset();
  for (const auto& [swap, relay] : relays_) out.emplace_back(DropChunks{swap});
  relays_.clear();
  if (staged_ && !staged_->told) drop_staged(out);
  for (const TransferArrived& early : early_)
    out.emplace_back(DropTransfer{early.arrival});
  early_.clear();
  deferred_.clear();
}

}  // namespace mdgan
