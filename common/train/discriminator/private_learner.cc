#include "common/train/discriminator/private_learner.h"

#include <torch/torch.h>

#include <utility>

#include "common/augment/diff_augment.h"
#include "common/base/random.h"
#include "common/models/script_file.h"
#include "common/privacy/private_run.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/discriminator/private_step.h"
#include "common/train/discriminator/trained_discriminator.h"
#include "common/train/discriminator/training_inputs.h"

namespace mdgan {
namespace {

double rate_of(const TrainingSpec& spec, std::size_t images) {
  return static_cast<double>(spec.batch) / static_cast<double>(images);
}

}  // namespace

Result<std::unique_ptr<PrivateLearner>> PrivateLearner::create(
    TrainedDiscriminator& d, const LedgerBook& privacy, const Dataset& data,
    const std::vector<std::uint32_t>& shard,
    const std::vector<std::int32_t>& run_label) {
  if (auto fits = check_private(d.spec, privacy.spec(), shard.size()); !fits)
    return fits.error();
  if (is_script(d.spec.model))
    return Error{
        "this peer has dp = discriminator, whose bound is for models that "
        "remember nothing of an image, and the run's is a TorchScript file, of "
        "which that cannot be known: take one of the models that both programs "
        "know, such as mlp or dcgan",
        ExitCode::kConfiguration};
  if (mixes_samples(d))
    return Error{"this peer has dp = discriminator, and the model '" +
                     d.spec.model +
                     "' compares the images of a batch with each other "
                     "(minibatch discrimination): choose another, such as mlp "
                     "or dcgan",
                 ExitCode::kConfiguration};
  auto ledger = privacy.open(shard, rate_of(d.spec, shard.size()));
  if (!ledger) return ledger.error();
  return std::unique_ptr<PrivateLearner>(new PrivateLearner(
      d, privacy.spec(), std::move(*ledger), data, shard, run_label));
}

PrivateLearner::PrivateLearner(TrainedDiscriminator& d,
                               const PrivacySpec& privacy,
                               std::unique_ptr<LedgerFile> ledger,
                               const Dataset& data,
                               const std::vector<std::uint32_t>& shard,
                               const std::vector<std::int32_t>& run_label)
    : d_(d),
      privacy_(privacy),
      ledger_(std::move(ledger)),
      data_(data),
      shard_(shard),
      run_label_(run_label) {}

double PrivateLearner::step(const torch::Tensor& x, const torch::Tensor& y) {
  const LabelledImages generated{x, y};
  if (!ledger_->spend()) return loss_on_generated(d_, generated);
  const TrainingSpec& spec = d_.spec;
  const std::vector<std::uint32_t> sample = random_.sample(
      static_cast<std::uint32_t>(shard_.size()), rate_of(spec, shard_.size()));
  const auto n = static_cast<std::int64_t>(sample.size());
  torch::Tensor images = torch::empty(
      {n, spec.image.channels, spec.image.height, spec.image.width});
  torch::Tensor labels;
  if (spec.condition != Condition::kNone)
    labels = torch::empty({n}, torch::kInt64);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::size_t at = shard_[sample[static_cast<std::size_t>(i)]];
    const std::size_t size = spec.image.values();
    write_image(
        data_, at,
        floats_of(images).subspan(static_cast<std::size_t>(i) * size, size));
    if (labels.defined())
      labels.data_ptr<std::int64_t>()[i] =
          run_label_[static_cast<std::size_t>(data_.labels[at])];
  }
  // From the run's seed each image's changes would depend on how many others
  // are in the sample, and the server would know them.
  if (spec.augment == Augment::kDiffAugment) {
    Random changes(random_.next64(), Purpose::kAugmentation);
    augment(draw_augmentations(sample.size(), spec.image, changes), spec.image,
            floats_of(images));
  }
  const torch::Device device = d_.values().device();
  const PrivateGradient gradient = private_gradient(
      d_, privacy_,
      {images.to(device), labels.defined() ? labels.to(device) : labels},
      generated, random_);
  d_.step(gradient.values);
  return gradient.loss;
}

}  // namespace mdgan
