#include "common/train/generator/model_sampler.h"

#include <spdlog/fmt/fmt.h>
#include <torch/torch.h>

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/models/model.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

constexpr std::int64_t kBatch = 64;  // bounds the memory of a pass

// The labels of the images; undefined for an unconditional model.
torch::Tensor labels_of(const GeneratorSpec& spec, std::uint32_t count,
                        std::span<const std::int32_t> classes) {
  if (spec.condition == Condition::kNone) return {};
  MDGAN_CHECK(classes.empty() || classes.size() == count);
  torch::Tensor result = torch::empty({count}, torch::kInt64);
  auto* out = result.data_ptr<std::int64_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    out[i] = classes.empty() ? std::int64_t{i % spec.image.classes}
                             : std::int64_t{classes[i]};
    if (out[i] < 0 || out[i] >= std::int64_t{spec.image.classes})
      throw std::runtime_error(
          fmt::format("class {} does not exist: the run has classes 0 to {}",
                      out[i], spec.image.classes - 1));
  }
  return result;
}

}  // namespace

ModelSampler::ModelSampler(const GeneratorSpec& spec,
                           std::shared_ptr<Generator> model)
    : spec_(spec), model_(std::move(model)) {}

void ModelSampler::copy(const Generator& other) {
  plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const auto assign = [](const std::vector<torch::Tensor>& to,
                           const std::vector<torch::Tensor>& from) {
      MDGAN_CHECK(to.size() == from.size());
      for (std::size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i]);
    };
    assign(model_->parameters(), other.parameters());
    assign(model_->buffers(), other.buffers());
  });
}

Blob ModelSampler::sample(std::uint32_t count,
                          std::span<const std::int32_t> classes,
                          std::uint64_t seed) const {
  return draw(count, classes, Random(seed, Purpose::kSampleGrid));
}

Blob ModelSampler::evaluation_batch(std::uint32_t number, std::uint32_t first,
                                    std::uint32_t count,
                                    std::uint64_t seed) const {
  std::vector<std::int32_t> classes;
  if (spec_.condition != Condition::kNone)
    for (std::uint32_t i = first; i < first + count; ++i)
      classes.push_back(static_cast<std::int32_t>(i % spec_.image.classes));
  return draw(count, classes, Random(seed, Purpose::kEvaluation, number));
}

Blob ModelSampler::draw(std::uint32_t count,
                        std::span<const std::int32_t> classes,
                        Random random) const {
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const torch::Device device = model_->parameters().front().device();
    torch::Tensor z = torch::empty({count, spec_.latent});
    random.fill_normal(
        {z.data_ptr<float>(), static_cast<std::size_t>(z.numel())});
    const torch::Tensor y = labels_of(spec_, count, classes);
    torch::Tensor images = torch::empty(
        {count, spec_.image.channels, spec_.image.height, spec_.image.width});
    model_->eval();
    for (std::int64_t i = 0; i < count; i += kBatch) {
      const std::int64_t n = std::min(kBatch, count - i);
      images.narrow(0, i, n).copy_(
          model_->forward(z.narrow(0, i, n).to(device),
                          y.defined() ? y.narrow(0, i, n).to(device) : y));
    }
    return to_blob(images);
  });
}

}  // namespace mdgan
