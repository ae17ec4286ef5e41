#include "peer/train/streamed_peer_trainer.h"

namespace mdgan {

void StreamedPeerTrainer::initialise() {
  const auto in_stream = stream_.use();
  trainer_->initialise();
}

void StreamedPeerTrainer::learn(Round round, std::uint32_t steps,
                                const Blob& sent, const Blob& labels) {
  const auto in_stream = stream_.use();
  trainer_->learn(round, steps, sent, labels);
}

PeerFeedback StreamedPeerTrainer::feedback(const Blob& sent,
                                           const Blob& labels) {
  const auto in_stream = stream_.use();
  return trainer_->feedback(sent, labels);
}

PeerState StreamedPeerTrainer::snapshot(bool with_optimizer) const {
  const auto in_stream = stream_.use();
  return trainer_->snapshot(with_optimizer);
}

Result<void> StreamedPeerTrainer::load(const PeerState& state) {
  const auto in_stream = stream_.use();
  return trainer_->load(state);
}

// The rest asks nothing of the device.

Result<void> StreamedPeerTrainer::validate(const PeerState& state) const {
  return trainer_->validate(state);
}

std::vector<NamedBlob> StreamedPeerTrainer::history() const {
  return trainer_->history();
}

void StreamedPeerTrainer::load_history(const std::vector<NamedBlob>& tensors) {
  trainer_->load_history(tensors);
}

std::uint64_t StreamedPeerTrainer::parameter_count() const {
  return trainer_->parameter_count();
}

const std::array<std::byte, 32>& StreamedPeerTrainer::schema() const {
  return trainer_->schema();
}

}  // namespace mdgan
