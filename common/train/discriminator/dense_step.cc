// DiscriminatorStep for dense layers on the CPU.

#include <torch/types.h>

#include <span>

#include "common/tensor/blob.h"
#include "common/train/discriminator/dense_discriminator.h"
#include "common/train/discriminator/discriminator_step.h"
#include "common/train/discriminator/trained_discriminator.h"

namespace mdgan {
namespace {

std::span<const float> floats(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

std::span<const std::int64_t> labels_of(const torch::Tensor& y) {
  if (!y.defined()) return {};
  return {y.data_ptr<std::int64_t>(), static_cast<std::size_t>(y.numel())};
}

std::span<float> floats(std::span<std::byte> bytes) {
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

class DenseStep final : public DiscriminatorStep {
 public:
  explicit DenseStep(TrainedDiscriminator& d)
      : d_(d), dense_(d.spec, d.model().dense_widths()) {
    MDGAN_CHECK(dense_.parameter_count() == static_cast<std::size_t>(d.size()));
  }

  DiscriminatorReport step(const torch::Tensor& x, const torch::Tensor& y,
                           Random&) override {
    FlatAdam& adam = d_.adam();
    const DenseAdamState state{d_.values().data_ptr<float>(),
                               adam.first_moment().data_ptr<float>(),
                               adam.second_moment().data_ptr<float>()};
    const auto [loss, real_signs] =
        dense_.step(floats(x), labels_of(y), state, adam.next_step());
    return {loss, real_signs, {}};
  }

  PeerFeedback feedback(const torch::Tensor& x, const torch::Tensor& y,
                        DiscriminatorReports& reports) override {
    const ImageShape& image = d_.spec.image;
    const auto n = static_cast<std::uint64_t>(
        pairs_images(d_.spec.loss) ? x.size(0) / 2 : x.size(0));
    const NewBlob gradient =
        make_blob({protocol::DType::kFloat32,
                   {n, image.channels, image.height, image.width}});
    const NewBlob logits = make_blob({protocol::DType::kFloat32, {n}});
    const double loss =
        dense_.feedback(d_.values().data_ptr<float>(), floats(x), labels_of(y),
                        floats(gradient.bytes), floats(logits.bytes));
    return {gradient.blob, logits.blob, loss, reports.mean_loss()};
  }

 private:
  TrainedDiscriminator& d_;
  DenseDiscriminator dense_;
};

}  // namespace

std::unique_ptr<DiscriminatorStep> make_dense_step(TrainedDiscriminator& d) {
  if (d.model().dense_widths().empty() || !d.values().is_cpu() ||
      d.spec.loss == Loss::kWassersteinGp)
    return nullptr;
  return std::make_unique<DenseStep>(d);
}

}  // namespace mdgan
