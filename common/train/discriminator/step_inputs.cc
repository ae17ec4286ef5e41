#include "common/train/discriminator/step_inputs.h"

#include <torch/torch.h>

#include <cstring>
#include <utility>

#include "common/base/result.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/discriminator/discriminator_step.h"
#include "common/train/discriminator/training_inputs.h"

namespace mdgan {

StepInputs::StepInputs(const TrainingSpec& spec,
                       std::shared_ptr<const Dataset> dataset,
                       std::vector<std::uint32_t> indices, PeerId peer,
                       torch::Device device)
    : data(std::move(dataset)),
      shard(std::move(indices)),
      run_label(run_labels(spec, *data)),
      spec_(spec),
      peer_(peer),
      device_(device) {
  images_ = {{2 * std::int64_t{spec.batch}, spec.image.channels,
              spec.image.height, spec.image.width},
             torch::kFloat32,
             device};
  if (spec.condition != Condition::kNone)
    labels_ = {{2 * std::int64_t{spec.batch}}, torch::kInt64, device};
}

Random StepInputs::random(Purpose purpose, Round round) const {
  return {spec_.seed, purpose, peer_.value, round.value};
}

void StepInputs::put_real(Random& random) {
  const std::size_t size = spec_.image.values();
  auto* out = images_.host().data_ptr<float>();
  auto* label =
      labels_.defined() ? labels_.host().data_ptr<std::int64_t>() : nullptr;
  for (std::uint32_t i = 0; i < spec_.batch; ++i) {
    const std::size_t sample = shard[random.below(shard.size())];
    write_image(*data, sample, {out, size});
    out += size;
    if (label != nullptr)
      *label++ = run_label[static_cast<std::size_t>(data->labels[sample])];
  }
}

void StepInputs::put_generated(const GeneratedBatch& generated) {
  const std::size_t values = spec_.batch * spec_.image.values();
  MDGAN_CHECK(generated.images.bytes.size() == values * sizeof(float));
  std::memcpy(images_.host().data_ptr<float>() + values,
              generated.images.bytes.data(), generated.images.bytes.size());
  if (labels_.defined())
    half(labels_.host(), 1).copy_(to_tensor(generated.labels));
}

std::vector<Augmentation> StepInputs::change(std::int64_t which,
                                             Random& changes,
                                             double probability) {
  if (probability <= 0) return {};
  auto drawn =
      draw_augmentations(spec_.batch, spec_.image, changes, probability);
  augment(drawn, spec_.image, floats_of(half(images_.host(), which)));
  return drawn;
}

StepInputs::Images StepInputs::upload() {
  sent_ = {};
  const torch::Tensor x = images_.upload();
  return {x, labels_.defined() ? labels_.upload() : torch::Tensor{}};
}

StepInputs::Images StepInputs::of_step(Random& real, Random& changes,
                                       const GeneratedBatch& generated,
                                       double probability) {
  put_real(real);
  put_generated(generated);
  change(0, changes, probability);
  change(1, changes, probability);
  const Images both = upload();
  if (probability <= 0) sent_ = {generated, {half(both.x, 1), half(both.y, 1)}};
  return both;
}

StepInputs::Images StepInputs::generated_alone(Random& changes,
                                               const GeneratedBatch& generated,
                                               double probability) {
  sent_ = {};
  put_generated(generated);
  change(1, changes, probability);
  const torch::Tensor y =
      labels_.defined() ? half(labels_.host(), 1).to(device_) : torch::Tensor{};
  return {half(images_.host(), 1).to(device_), y};
}

StepInputs::OfFeedback StepInputs::of_feedback(Round round,
                                               const GeneratedBatch& generated,
                                               double probability) {
  const bool paired = pairs_images(spec_.loss);
  if (!paired && probability <= 0) return {unchanged(generated), {}};
  Random changes = random(Purpose::kFeedbackAugmentation, round);
  if (!paired) {
    put_generated(generated);
    auto drawn = change(1, changes, probability);
    const Images both = upload();
    return {{half(both.x, 1), half(both.y, 1)}, std::move(drawn)};
  }
  Random real = random(Purpose::kFeedbackRealSamples, round);
  put_real(real);
  put_generated(generated);
  auto drawn = change(1, changes, probability);
  change(0, changes, probability);
  return {upload(), std::move(drawn)};
}

StepInputs::Images StepInputs::unchanged(const GeneratedBatch& generated) {
  // It has kept its bytes, so that no others can have their address.
  const Sent last = std::exchange(sent_, {});
  if (generated.images.bytes.data() == last.batch.images.bytes.data() &&
      generated.labels.bytes.data() == last.batch.labels.bytes.data())
    return last.images;
  return {to_tensor(generated.images).to(device_),
          labels_.defined()
              ? to_tensor(generated.labels).to(device_, torch::kInt64)
              : torch::Tensor{}};
}

}  // namespace mdgan
