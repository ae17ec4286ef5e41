// Checks of the data and the batches that a discriminator's trainer is given.
// No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/tensor/blob.h"
#include "protocol/training_spec.h"

namespace mdgan {

// The types and dims of a batch's images and labels in this run.
protocol::TensorMeta image_meta(const TrainingSpec& spec);
protocol::TensorMeta label_meta(const TrainingSpec& spec);

// Whether every label is a class of the run. REQUIRES: int32; any alignment.
bool are_labels(const TrainingSpec& spec, const Blob& labels);

// Throws std::runtime_error unless the batch has this run's shapes and labels:
// the arithmetic takes them on trust.
void check_batch(const TrainingSpec& spec, const Blob& images,
                 const Blob& labels);

// Writes an image of the data, in [-1, 1]. REQUIRES: `out` has its size.
void write_image(const Dataset& data, std::size_t index, std::span<float> out);

// The run's label for each label of the data: by the names of their classes, or
// the same number where the run has no names. REQUIRES: check_data() is
// content.
std::vector<std::int32_t> run_labels(const TrainingSpec& spec,
                                     const Dataset& data);

// Fails with kData when the run cannot be trained on `shard_size` samples of
// this data set.
Result<void> check_data(const TrainingSpec& spec, const Dataset& data,
                        std::size_t shard_size);

}  // namespace mdgan
