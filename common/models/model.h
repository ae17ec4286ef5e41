// The interfaces of generators and discriminators. Each architecture is one
// file beside this one; registry.h finds them by name.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "protocol/training_spec.h"

namespace mdgan {

class ConvolutionStack;

// The distribution from which initialise() draws a model's first weights.
enum class InitialLaw {
  kPyTorch,  // U(-1/sqrt(fan_in), 1/sqrt(fan_in)), weights and biases
  kDcgan,    // weights N(0, 0.02), biases 0 (Radford et al. 2015)
};

class Model : public torch::nn::Module {
 public:
  virtual InitialLaw initial_law() const { return InitialLaw::kPyTorch; }
};

// A generator may have buffers (batch normalisation's running statistics),
// which belong to its state like its parameters; it then computes something
// else under train() than under eval().
class Generator : public Model {
 public:
  // latents [n, latent] float32, labels [n] int64 (ignored by an unconditional
  // model, where it may be undefined)
  // -> images [n, c, h, w] float32 in [-1, 1].
  virtual torch::Tensor forward(const torch::Tensor& latents,
                                const torch::Tensor& labels) = 0;
  // The first layer's input: the latents, combined with their labels.
  virtual torch::Tensor embed(const torch::Tensor& latents,
                              const torch::Tensor& labels) = 0;
  // If the model is, after embed(), dense layers with LeakyReLU 0.2 between
  // them and tanh at the end: the widths of the input and of each layer, whose
  // parameters come first (common/kernels/dense/dense_stack.h). Empty for other
  // models.
  virtual std::vector<std::size_t> dense_widths() const { return {}; }
};

struct DiscriminatorOutput {
  torch::Tensor logits;        // [n], > 0: taken for real
  torch::Tensor class_logits;  // [n, classes] with ACGAN; else undefined
};

// A discriminator never contains batch normalisation or any other buffer:
// running statistics would not survive a swap.
class Discriminator : public Model {
 public:
  // images [n, c, h, w] float32, labels [n] int64 (used by projection only).
  // `images` may be several batches of equal size, one after the other, whose
  // samples do not affect each other.
  DiscriminatorOutput forward(const torch::Tensor& images,
                              const torch::Tensor& labels,
                              std::int64_t batches = 1) {
    return head(mix(features(images), batches), labels);
  }
  // images [n, c, h, w] -> each sample's own features, [n, own features].
  virtual torch::Tensor features(const torch::Tensor& images) = 0;
  // Adds the features that a sample has from the others in its batch (minibatch
  // discrimination), and returns the last layer's input, [n, features].
  virtual torch::Tensor mix(const torch::Tensor& features,
                            std::int64_t /*batches*/) {
    return features;
  }
  // The last layer, linear in the features.
  virtual DiscriminatorOutput head(const torch::Tensor& features,
                                   const torch::Tensor& labels) = 0;
  // If features() are dense layers, each followed by LeakyReLU 0.2: the widths
  // of the input and of each layer, whose parameters come first
  // (common/kernels/dense/dense_stack.h). Empty for other models.
  virtual std::vector<std::size_t> dense_widths() const { return {}; }
  // If features() begin with a stack of convolutions: the stack, so that a
  // trainer can keep its weights in another layout
  // (common/kernels/convolution/convolution_stack.h). Null for other models.
  virtual ConvolutionStack* convolutions() { return nullptr; }
};

}  // namespace mdgan
