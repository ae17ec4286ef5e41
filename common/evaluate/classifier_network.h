// The network of a Classifier, and its training: for classifier.cc alone.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "common/data/dataset.h"
#include "common/evaluate/classifier.h"

namespace mdgan {

inline constexpr auto kHiddenUnits =
    static_cast<std::int64_t>(kClassifierFeatures);

struct ClassifierNetwork : torch::nn::Module {
  // `flat`: the values of the second convolution's output.
  ClassifierNetwork(std::int64_t channels, std::int64_t flat,
                    std::int64_t classes);

  // Images [n, c, h, w] in [-1, 1] -> [n, kHiddenUnits].
  torch::Tensor features(const torch::Tensor& images);

  torch::nn::Conv2d conv1;
  torch::nn::Conv2d conv2;
  torch::nn::Linear hidden;
  torch::nn::Linear head;
};

// What `flat` is for images of this shape.
std::int64_t flat_values(const ImageShape& image);

// He et al. 2015, uniform; biases zero. Always the same.
void initialise(ClassifierNetwork& network);

// `steps` of Adam on 128 images each, slightly shifted. Always the same, with
// one thread of arithmetic. REQUIRES: the data has labels.
void train(ClassifierNetwork& network, const Dataset& data,
           std::uint32_t steps);

// The labels [n] int64.
torch::Tensor label_tensor(const Dataset& data);

}  // namespace mdgan
