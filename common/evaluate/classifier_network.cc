#include "common/evaluate/classifier_network.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "common/base/random.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

namespace nn = torch::nn;
using torch::Tensor;

constexpr std::uint32_t kBatch = 128;
constexpr double kRate = 2e-3;
constexpr double kWarmUp = 0.1;  // the part of the steps with a rising rate
constexpr float kDropped = 0.3F;
constexpr std::int64_t kShift = 1;  // pixels, in each direction

nn::Conv2d convolution(std::int64_t in, std::int64_t out) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, 4).stride(2).padding(1));
}

// The images of `indices` in [-1, 1], all shifted alike by up to kShift pixels,
// with their borders repeated.
Tensor shifted(const Tensor& pixels, std::span<const std::uint32_t> indices,
               Random& random) {
  Tensor rows = torch::empty({std::ssize(indices)}, torch::kInt64);
  std::copy(indices.begin(), indices.end(), rows.data_ptr<std::int64_t>());
  const Tensor images = pixels.index_select(0, rows).to(torch::kFloat32);
  const Tensor padded = torch::replication_pad2d(
      images / 127.5F - 1, {kShift, kShift, kShift, kShift});
  const auto down = static_cast<std::int64_t>(random.below(2 * kShift + 1));
  const auto right = static_cast<std::int64_t>(random.below(2 * kShift + 1));
  return padded.narrow(2, down, images.size(2))
      .narrow(3, right, images.size(3))
      .contiguous();
}

double rate_at(std::uint32_t step, std::uint32_t steps) {
  const double done = (step + 1.0) / (steps + 1.0);
  return kRate * std::min(done / kWarmUp, (1 - done) / (1 - kWarmUp));
}

Tensor pixel_tensor(const Dataset& data) {
  return torch::from_blob(
      const_cast<std::uint8_t*>(data.pixels.data()),  // only read
      {static_cast<std::int64_t>(data.size()), data.shape.channels,
       data.shape.height, data.shape.width},
      torch::kUInt8);
}

}  // namespace

ClassifierNetwork::ClassifierNetwork(std::int64_t channels, std::int64_t flat,
                                     std::int64_t classes)
    : conv1(register_module("conv1", convolution(channels, 32))),
      conv2(register_module("conv2", convolution(32, 64))),
      hidden(register_module("hidden", nn::Linear(flat, kHiddenUnits))),
      head(register_module("head", nn::Linear(kHiddenUnits, classes))) {}

Tensor ClassifierNetwork::features(const Tensor& images) {
  const Tensor x = conv2(conv1(images).relu()).relu();
  return hidden(x.flatten(1)).relu();
}

std::int64_t flat_values(const ImageShape& image) {
  return 64 * std::int64_t{image.height / 4} * std::int64_t{image.width / 4};
}

void initialise(ClassifierNetwork& network) {
  const torch::NoGradGuard no_grad;
  Random random(0, Purpose::kClassifierInit);
  for (Tensor& parameter : network.parameters()) {
    if (parameter.dim() == 1) {
      parameter.zero_();
      continue;
    }
    const auto inputs = static_cast<float>(parameter[0].numel());
    const float bound = std::sqrt(6.0F / inputs);
    random.fill_uniform(floats_of(parameter), -bound, bound);
  }
}

Tensor label_tensor(const Dataset& data) {
  return torch::from_blob(const_cast<std::int32_t*>(data.labels.data()),
                          {std::ssize(data.labels)}, torch::kInt32)
      .to(torch::kInt64);
}

void train(ClassifierNetwork& network, const Dataset& data,
           std::uint32_t steps) {
  const Tensor pixels = pixel_tensor(data);
  const Tensor labels = label_tensor(data);
  const auto n = static_cast<std::uint32_t>(data.size());
  const std::uint32_t batch = std::min(kBatch, n);
  torch::optim::Adam adam(network.parameters(), kRate);
  Random random(0, Purpose::kClassifierBatches);
  std::vector<std::uint32_t> order;
  std::size_t at = 0;
  for (std::uint32_t step = 0; step < steps; ++step) {
    if (at + batch > order.size()) {
      order = permutation(n, random);
      at = 0;
    }
    const auto indices = std::span(order).subspan(at, batch);
    at += batch;
    Tensor y = torch::empty({batch}, torch::kInt64);
    for (std::uint32_t i = 0; i < batch; ++i)
      y.data_ptr<std::int64_t>()[i] =
          labels.data_ptr<std::int64_t>()[indices[i]];
    const Tensor x = shifted(pixels, indices, random);
    Tensor kept = torch::empty({batch, kHiddenUnits});
    random.fill_uniform(floats_of(kept), 0, 1);
    kept = kept.ge(kDropped).to(torch::kFloat32) / (1 - kDropped);
    const Tensor logits = network.head(network.features(x) * kept);
    adam.zero_grad();
    torch::nn::functional::cross_entropy(logits, y).backward();
    static_cast<torch::optim::AdamOptions&>(adam.param_groups()[0].options())
        .lr(rate_at(step, steps));
    adam.step();
  }
}

}  // namespace mdgan
