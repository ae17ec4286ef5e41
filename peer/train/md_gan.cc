// MD-GAN's peer (Hardy et al. 2019, Algorithm 1): it trains a discriminator on
// generated images and its own, and answers the error feedback.

#include <optional>
#include <utility>

#include "common/train/discriminator/discriminator_trainer.h"
#include "peer/train/algorithms.h"

namespace mdgan {
namespace {

class MdGan final : public PeerTrainer {
 public:
  explicit MdGan(std::unique_ptr<DiscriminatorTrainer> d) : d_(std::move(d)) {}

  void initialise() override { d_->initialise(); }
  void learn(Round round, std::uint32_t /*steps*/, const Blob& images,
             const Blob& labels) override {
    d_->learn(round, images, labels);
  }
  PeerFeedback feedback(const Blob& images, const Blob& labels) override {
    return d_->feedback(images, labels);
  }
  PeerState snapshot(bool with_optimizer) const override {
    return d_->snapshot(with_optimizer);
  }
  Result<void> validate(const PeerState& state) const override {
    return d_->validate(state);
  }
  Result<void> load(const PeerState& state) override { return d_->load(state); }
  std::vector<NamedBlob> history() const override { return d_->history(); }
  void load_history(const std::vector<NamedBlob>& tensors) override {
    d_->load_history(tensors);
  }
  std::optional<PrivacySpent> privacy() const override { return d_->privacy(); }
  std::uint64_t parameter_count() const override {
    return d_->parameter_count();
  }
  const std::array<std::byte, 32>& schema() const override {
    return d_->schema();
  }

 private:
  const std::unique_ptr<DiscriminatorTrainer> d_;
};

}  // namespace

MadePeerTrainer make_md_gan_peer(PeerTrainerSetting setting) {
  auto d = DiscriminatorTrainer::create(setting.spec, std::move(setting.data),
                                        std::move(setting.shard), setting.peer,
                                        setting.device, setting.privacy);
  if (!d) return d.error();
  return std::unique_ptr<PeerTrainer>(std::make_unique<MdGan>(std::move(*d)));
}

}  // namespace mdgan
