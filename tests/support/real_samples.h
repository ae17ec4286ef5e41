// Plain computations of what a trainer does, to compare it with.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "common/base/random.h"
#include "common/models/registry.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/tensor_blob.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {

// A batch of real images and labels.
struct Sample {
  torch::Tensor images, labels;
};

// Draws a batch as a peer does.
inline Sample draw_real(const TrainerRun& run, Random& random) {
  const auto data = random_images(run.image, 20);
  const auto size = run.image.values();
  const std::int64_t b = run.batch;
  Sample sample{torch::empty({b, std::int64_t(size)}),
                torch::empty({b}, torch::kInt64)};
  for (std::int64_t i = 0; i < b; ++i) {
    const auto index = random.below(20);
    for (std::uint64_t j = 0; j < size; ++j)
      sample.images[i][static_cast<std::int64_t>(j)] =
          static_cast<float>(data->pixels[index * size + j]) / 127.5F - 1.0F;
    sample.labels[i] = data->labels[index];
  }
  sample.images = sample.images.view(
      {b, run.image.channels, run.image.height, run.image.width});
  return sample;
}

inline double relative_error(const torch::Tensor& have,
                             const torch::Tensor& want) {
  return ((have - want).norm() / want.norm()).item<double>();
}

inline std::shared_ptr<Discriminator> copy_of(const DiscriminatorTrainer& peer,
                                              const TrainerRun& run) {
  auto model = *make_discriminator(run.model, run.image, run.condition);
  flatten_parameters(*model).copy_(to_tensor(peer.snapshot(false).parameters));
  return model;
}

}  // namespace mdgan::test
