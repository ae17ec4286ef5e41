// How labels enter a network. Every architecture derives from these classes and
// supplies the layers in between.
#pragma once

#include <cstdint>
#include <string>

#include "common/models/model.h"

namespace mdgan {

// Multiplies the latent by its class's learned vector, Keras-ACGAN's way,
// before the layers see it. The vectors start as N(0, 1), on purpose: the
// latent is symmetric about 0, so a class shows only in which coordinates its
// vector makes large and which small. Vectors near 1 would make all classes
// look alike (with 1 + N(0, 0.02) and 100 coordinates two classes are 0.08 nats
// apart) until training has told them apart; these differ from the first round,
// and leave the latent's variance at 1 on average.
class ConditionalGenerator : public Generator {
 public:
  torch::Tensor forward(const torch::Tensor& latents,
                        const torch::Tensor& labels) final;
  torch::Tensor embed(const torch::Tensor& latents,
                      const torch::Tensor& labels) final;

 protected:
  // Registers `embedding` [classes, latent] if the model is conditional. A
  // constructor calls it last, as the paper's layers come first in the schema.
  void register_embedding(const ImageShape& image, Condition condition,
                          std::uint32_t latent);

 private:
  // [n, latent] -> images [n, c, h, w].
  virtual torch::Tensor draw(const torch::Tensor& latents) = 0;

  torch::nn::Embedding embedding_{nullptr};
};

// A discriminator that ends in one linear layer: the real/fake logit and, for
// ACGAN, the class logits beside it. Projection (Miyato and Koyama 2018) adds
// <embedding[y], features> to the logit.
class ConditionalDiscriminator : public Discriminator {
 public:
  DiscriminatorOutput head(const torch::Tensor& features,
                           const torch::Tensor& labels) final;

 protected:
  // Registers the last layer as `name`, then, for projection, `embedding`
  // [classes, features]. A constructor calls it last.
  void register_head(const std::string& name, std::int64_t features,
                     const ImageShape& image, Condition condition);

 private:
  torch::nn::Linear last_{nullptr};
  // Each sample uses its class's row of this linear layer. It is initialised as
  // one, as N(0, 1) over thousands of features would drown the logit.
  torch::nn::Linear embedding_{nullptr};
};

}  // namespace mdgan
