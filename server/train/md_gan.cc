// MD-GAN (Hardy et al. 2019, Algorithm 1): generated images out, the error
// feedback on them back; the generator stays here.

#include <utility>

#include "common/tensor/quantise.h"
#include "server/train/algorithms.h"

namespace mdgan {
namespace {

class MdGan final : public RoundTrainer {
 public:
  MdGan(std::unique_ptr<GeneratorTrainer> g, const TensorCodecs& codecs)
      : g_(std::move(g)), codecs_(codecs) {}

  std::vector<std::vector<Blob>> batches(
      Round round, std::span<const ClassCounts> labels) override {
    std::vector<std::vector<Blob>> result;
    for (GeneratedBatch& batch : g_->generate(round, labels)) {
      if (codecs_.image == ImageCodec::kUint8)
        batch.images = images_to_uint8(batch.images);
      result.push_back({batch.images});
      if (!batch.labels.empty()) result.back().push_back(batch.labels);
    }
    return result;
  }

  Result<StepReport> step(Round round, std::uint32_t /*steps*/,
                          std::span<const PeerAnswer> answers) override {
    std::vector<Contribution> contributions;
    for (const PeerAnswer& a : answers)
      contributions.push_back({a.peer, a.batch, a.tensors[0],
                               a.tensors.size() > 2 ? a.tensors[2] : Blob{},
                               a.tensors[1],
                               static_cast<double>(a.shard_size)});
    return g_->step(round, contributions);
  }

  std::unique_ptr<Sampler> sampler(
      std::unique_ptr<Sampler> reused) const override {
    return g_->sampler(std::move(reused));
  }
  std::uint64_t generator_parameters() const override {
    return g_->parameter_count();
  }
  std::vector<NamedBlob> snapshot() const override { return g_->snapshot(); }
  Result<void> load(std::span<const NamedBlob> state) override {
    return g_->load(state);
  }

 private:
  std::unique_ptr<GeneratorTrainer> g_;
  TensorCodecs codecs_;
};

}  // namespace

MadeRoundTrainer make_md_gan_server(std::unique_ptr<GeneratorTrainer> g,
                                    const TrainingSpec& /*spec*/,
                                    const TensorCodecs& codecs) {
  return std::unique_ptr<RoundTrainer>(
      std::make_unique<MdGan>(std::move(g), codecs));
}

}  // namespace mdgan
