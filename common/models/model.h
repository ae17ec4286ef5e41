// What every generator and discriminator is. Each architecture is one file
// beside this one; registry.h finds them by name.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "protocol/training_spec.h"

namespace mdgan {

class ConvolutionStack;

// By which law initialise() draws a model's first weights.
enum class InitialLaw {
  kPyTorch,  // U(-1/sqrt(fan_in), 1/sqrt(fan_in)), weights and biases
  kDcgan,    // weights N(0, 0.02), biases 0 (Radford et al. 2015)
};

class Model : public torch::nn::Module {
 public:
  virtual InitialLaw initial_law() const { return InitialLaw::kPyTorch; }
};

// May have buffers (batch normalisation's running statistics), which belong to
// its state like its parameters, and then differs between train() and eval().
class Generator : public Model {
 public:
  // latents [n, latent] float32, labels [n] int64 (ignored by an unconditional
  // model, where it may be undefined)
  // -> images [n, c, h, w] float32 in [-1, 1].
  virtual torch::Tensor forward(const torch::Tensor& latents,
                                const torch::Tensor& labels) = 0;
  // What the first layer sees: the latents, with their labels worked in.
  virtual torch::Tensor embed(const torch::Tensor& latents,
                              const torch::Tensor& labels) = 0;
  // Of a model that is, after embed(), dense layers with LeakyReLU 0.2 between
  // them and tanh at the end: the widths of the input and of each layer, whose
  // parameters come first (common/dense/dense_stack.h). Else empty.
  virtual std::vector<std::size_t> dense_widths() const { return {}; }
};

struct DiscriminatorOutput {
  torch::Tensor logits;        // [n], > 0: taken for real
  torch::Tensor class_logits;  // [n, classes] with ACGAN; else undefined
};

// Never contains batch normalisation or any other buffer: running statistics
// would not survive a swap.
class Discriminator : public Model {
 public:
  // images [n, c, h, w] float32, labels [n] int64 (used by projection only).
  // `images` may be several batches of equal size, one after the other: the
  // samples of one know nothing of another's.
  DiscriminatorOutput forward(const torch::Tensor& images,
                              const torch::Tensor& labels,
                              std::int64_t batches = 1) {
    return head(mix(features(images), batches), labels);
  }
  // images [n, c, h, w] -> each sample's own features, [n, own features].
  virtual torch::Tensor features(const torch::Tensor& images) = 0;
  // Adds what a sample has from the others in its batch: what the last layer
  // sees, [n, features].
  virtual torch::Tensor mix(const torch::Tensor& features,
                            std::int64_t /*batches*/) {
    return features;
  }
  // The last layer, linear in the features.
  virtual DiscriminatorOutput head(const torch::Tensor& features,
                                   const torch::Tensor& labels) = 0;
  // Of a model whose features() are dense layers, each followed by LeakyReLU
  // 0.2: the widths of the input and of each layer, whose parameters come
  // first (common/dense/dense_stack.h). Else empty.
  virtual std::vector<std::size_t> dense_widths() const { return {}; }
  // Of a model whose features() begin with a stack of convolutions: that, so
  // that who trains may keep its weights in another order
  // (common/kernels/convolution/convolution_stack.h). Else null.
  virtual ConvolutionStack* convolutions() { return nullptr; }
};

}  // namespace mdgan
