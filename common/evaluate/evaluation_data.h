// The images that a generator is measured on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/tensor/blob.h"

namespace mdgan {

struct EvaluationData {
  Dataset train;  // for the classifier
  Dataset test;   // what generated images are compared with
};

// The data set's own two parts (MNIST and CIFAR: 10,000 images to test on); of
// data without a test part, a tenth held out at random, always the same one.
// Fails like load_dataset(), also when there are fewer than 20 images.
Result<EvaluationData> load_evaluation_data(
    const std::filesystem::path& directory, const ImageReading& reading = {});

// `count` of the images, in random order, always the same; all of them if there
// are no more.
Dataset pick_images(const Dataset& data, std::size_t count);

// These images, in this order.
Dataset subset(const Dataset& data, std::span<const std::uint32_t> indices);

// Their pixels [n, c, h, w] uint8: a view of the data, which must outlive it.
Blob pixels_of(const Dataset& data);

}  // namespace mdgan
