// A discriminator of dense layers whose forward pass, backward pass and step
// are written by hand: no autograd, no LibTorch, no allocation after the first
// step. Its parameters are a flat buffer [P] in the order of the model's: the
// layers', the last layer's weight and bias, and, with projection, the
// embedding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/kernels/dense/dense_stack.h"
#include "protocol/training_spec.h"

namespace mdgan {

class DenseDiscriminator {
 public:
  // widths: of an image, then of each layer with LeakyReLU (the model's
  // dense_widths()). REQUIRES: the loss is not kWassersteinGp.
  DenseDiscriminator(const TrainingSpec& spec, std::vector<std::size_t> widths);

  // The length P of the flat buffer.
  std::size_t parameter_count() const;

  // Takes one step on images [2b, values], real before generated ones, and
  // labels [2b] (empty if unconditional). Returns the loss with its penalties,
  // and with ADA the sum of the signs of the real images' logits, else 0.
  struct Report {
    double loss = 0, real_signs = 0;
  };
  Report step(std::span<const float> images,
              std::span<const std::int64_t> labels, const DenseAdamState& state,
              const AdamCoefficients& coefficients);

  // Returns Loss_G on generated images [b, values], or where it pairs_images()
  // on [2b, values], real before generated ones; writes d Loss_G / d the
  // generated images, and their logits [b].
  double feedback(const float* parameters, std::span<const float> images,
                  std::span<const std::int64_t> labels,
                  std::span<float> gradient, std::span<float> logits) const;

 private:
  struct Work;
  static Work& work();
  using Labels = std::span<const std::int64_t>;

  void prepare(std::size_t samples, std::size_t rows, Work& work) const;
  void forward(const float* parameters, Labels labels, Work& work) const;
  double differentiate(Labels labels, Work& work) const;
  void through_last(const float* parameters, std::size_t row, std::size_t n,
                    Labels labels, Work& work) const;
  double penalise(const float* parameters, double gamma, std::size_t half,
                  std::size_t row, Labels labels, Work& work);
  void add_to_embedding(std::int64_t label, float factor,
                        const float* features);
  const float* embedding_of(const float* parameters, std::int64_t label) const;
  std::size_t outputs() const;
  std::size_t features() const { return widths_.back(); }

  TrainingSpec spec_;
  std::vector<std::size_t> widths_;
  DenseStack layers_;
  DenseStack last_;
  std::vector<float> embedding_gradient_;  // [classes, features], projection's
};

}  // namespace mdgan
