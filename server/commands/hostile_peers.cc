#include "server/commands/hostile_peers.h"

#include <utility>

namespace mdgan {
namespace {

class HostileTrainer final : public PeerTrainer {
 public:
  HostileTrainer(std::unique_ptr<PeerTrainer> honest, Attack attack,
                 std::uint64_t seed, PeerId peer)
      : honest_(std::move(honest)), attack_(attack), seed_(seed), peer_(peer) {}

  void initialise() override { honest_->initialise(); }
  void learn(Round round, std::uint32_t steps, const Blob& sent,
             const Blob& labels) override {
    round_ = round;
    honest_->learn(round, steps, sent, labels);
  }
  PeerFeedback feedback(const Blob& sent, const Blob& labels) override {
    PeerFeedback answer = honest_->feedback(sent, labels);
    answer.feedback = attacked(attack_, answer.feedback, seed_, peer_, round_);
    return answer;
  }
  PeerState snapshot(bool with_optimizer) const override {
    return honest_->snapshot(with_optimizer);
  }
  Result<void> validate(const PeerState& state) const override {
    return honest_->validate(state);
  }
  Result<void> load(const PeerState& state) override {
    return honest_->load(state);
  }
  std::vector<NamedBlob> history() const override { return honest_->history(); }
  void load_history(const std::vector<NamedBlob>& tensors) override {
    honest_->load_history(tensors);
  }
  std::optional<PrivacySpent> privacy() const override {
    return honest_->privacy();
  }
  std::uint64_t parameter_count() const override {
    return honest_->parameter_count();
  }
  const std::array<std::byte, 32>& schema() const override {
    return honest_->schema();
  }

 private:
  const std::unique_ptr<PeerTrainer> honest_;
  const Attack attack_;
  const std::uint64_t seed_;
  const PeerId peer_;
  Round round_;  // that it trained for last
};

}  // namespace

PeerArithmetic with_hostile_peers(PeerArithmetic arithmetic, Attack attack,
                                  PeerId first_hostile) {
  arithmetic.make_trainer =
      [make = std::move(arithmetic.make_trainer), attack, first_hostile](
          const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
          std::vector<std::uint32_t> shard,
          PeerId peer) -> Result<std::unique_ptr<PeerTrainer>> {
    auto made = make(spec, std::move(data), std::move(shard), peer);
    if (!made || peer < first_hostile) return made;
    return std::unique_ptr<PeerTrainer>(std::make_unique<HostileTrainer>(
        std::move(*made), attack, spec.seed, peer));
  };
  return arithmetic;
}

}  // namespace mdgan
