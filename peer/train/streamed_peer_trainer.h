// A trainer whose work for a GPU goes to a stream of its own, so that the
// sessions of a process do not wait for each other there.
#pragma once

#include <memory>
#include <utility>

#include "common/tensor/device_stream.h"
#include "peer/train/peer_trainer.h"

namespace mdgan {

class StreamedPeerTrainer final : public PeerTrainer {
 public:
  // REQUIRES: `trainer` was made while `stream` was in use.
  StreamedPeerTrainer(DeviceStream stream, std::unique_ptr<PeerTrainer> trainer)
      : stream_(stream), trainer_(std::move(trainer)) {}

  void initialise() override;
  void learn(Round round, std::uint32_t steps, const Blob& sent,
             const Blob& labels) override;
  PeerFeedback feedback(const Blob& sent, const Blob& labels) override;
  PeerState snapshot(bool with_optimizer) const override;
  Result<void> validate(const PeerState& state) const override;
  Result<void> load(const PeerState& state) override;
  std::vector<NamedBlob> history() const override;
  void load_history(const std::vector<NamedBlob>& tensors) override;
  std::optional<PrivacySpent> privacy() const override {
    return trainer_->privacy();
  }
  std::uint64_t parameter_count() const override;
  const std::array<std::byte, 32>& schema() const override;

 private:
  const DeviceStream stream_;
  const std::unique_ptr<PeerTrainer> trainer_;
};

}  // namespace mdgan
