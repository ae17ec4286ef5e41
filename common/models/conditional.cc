#include "common/models/conditional.h"

#include "common/models/linear.h"

namespace mdgan {

torch::Tensor ConditionalGenerator::forward(const torch::Tensor& latents,
                                            const torch::Tensor& labels) {
  return draw(embed(latents, labels));
}

torch::Tensor ConditionalGenerator::embed(const torch::Tensor& latents,
                                          const torch::Tensor& labels) {
  if (embedding_.is_empty()) return latents;
  return latents * embedding_->forward(labels);
}

void ConditionalGenerator::register_embedding(const ImageShape& image,
                                              Condition condition,
                                              std::uint32_t latent) {
  if (condition == Condition::kNone) return;
  embedding_ =
      register_module("embedding", torch::nn::Embedding(image.classes, latent));
}

DiscriminatorOutput ConditionalDiscriminator::head(
    const torch::Tensor& seen, const torch::Tensor& labels) {
  const torch::Tensor out = linear(last_, seen);
  DiscriminatorOutput result;
  result.logits = out.select(1, 0);
  if (out.size(1) > 1) result.class_logits = out.slice(1, 1);
  if (!embedding_.is_empty()) {
    const torch::Tensor rows = torch::embedding(embedding_->weight, labels);
    result.logits = result.logits + (rows * seen).sum(1);
  }
  return result;
}

void ConditionalDiscriminator::register_head(const std::string& name,
                                             std::int64_t features,
                                             const ImageShape& image,
                                             Condition condition) {
  const std::int64_t outputs =
      condition == Condition::kAcgan ? 1 + std::int64_t{image.classes} : 1;
  last_ = register_module(name, torch::nn::Linear(features, outputs));
  if (condition == Condition::kProjection)
    embedding_ = register_module(
        "embedding",
        torch::nn::Linear(
            torch::nn::LinearOptions(features, image.classes).bias(false)));
}

}  // namespace mdgan
