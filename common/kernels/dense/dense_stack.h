// A chain of dense layers, each followed by LeakyReLU 0.2, in float32 on the
// CPU: forward, backward and optimiser step without autograd, which for ten
// samples costs as much as the arithmetic. The parameters are the beginning of
// a flat buffer (common/tensor/flat_parameters.h): weight [out, in] and bias
// [out] of each layer in turn. No LibTorch in this header.
#pragma once

#include <cstddef>
#include <vector>

#include "common/kernels/dense/dense_kernel.h"

namespace mdgan {

// The activations and their gradients for some rows, one for each sample.
// Memory grows to what is asked for and stays; the contents belong to one pass.
//
// Threads: one at a time. One scratch serves any number of stacks.
class DenseScratch {
 public:
  // Row `row` of the first layer's input, and of the last layer's output.
  float* input(std::size_t row) { return at(values_.front(), row, 0); }
  float* output(std::size_t row) {
    return at(values_.back(), row, widths_.size() - 1);
  }
  // The gradients by these rows.
  float* input_gradient(std::size_t row) {
    return at(gradients_.front(), row, 0);
  }
  float* output_gradient(std::size_t row) {
    return at(gradients_.back(), row, widths_.size() - 1);
  }

 private:
  friend class DenseStack;
  float* at(std::vector<float>& buffer, std::size_t row, std::size_t layer) {
    return buffer.data() + row * widths_[layer];
  }

  std::vector<std::size_t> widths_;
  // By layer; 0 is the input. Gradients are by a layer's output before its
  // activation.
  std::vector<std::vector<float>> values_, gradients_;
};

class DenseStack {
 public:
  // widths: of the input, then of each layer. With `linear_end` the last layer
  // has no activation. REQUIRES: at least two widths, all positive.
  DenseStack(std::vector<std::size_t> widths, bool linear_end);

  // The number of floats in the flat buffer that are this stack's.
  std::size_t parameter_count() const { return parameter_count_; }

  // Makes room for `rows` rows. The contents are then undefined.
  void prepare(DenseScratch& scratch, std::size_t rows) const;

  // Each of the following works on rows [row, row + n).

  // scratch.input -> scratch.output.
  void forward(const float* parameters, DenseScratch& scratch, std::size_t row,
               std::size_t n) const;

  // scratch.output_gradient -> the gradients of every layer, and, if
  // `to_input`, scratch.input_gradient. Overwrites output_gradient. The
  // activations are those of rows [activated, activated + n), which forward()
  // has filled.
  void backward(const float* parameters, DenseScratch& scratch, std::size_t row,
                std::size_t n, std::size_t activated, bool to_input) const;

  // The derivative of forward() at rows `activated` in the direction that is in
  // scratch.input(row): a pass without biases through the same activations.
  void tangent(const float* parameters, DenseScratch& scratch, std::size_t row,
               std::size_t n, std::size_t activated) const;

  // Sums over rows [0, n) the products of gradients and values, which is the
  // gradient of the parameters, and writes it. The biases' gradients sum the
  // first `bias_rows` rows alone.
  void parameter_gradient(DenseScratch& scratch, std::size_t n,
                          std::size_t bias_rows, float* gradients) const;

  // Takes one step of Adam against that gradient, without writing it.
  void adam(DenseScratch& scratch, std::size_t n, std::size_t bias_rows,
            const DenseAdamState& state,
            const AdamCoefficients& coefficients) const;

 private:
  std::size_t layers() const { return widths_.size() - 1; }
  DenseSize size(std::size_t layer, std::size_t n) const {
    return {n, widths_[layer], widths_[layer + 1]};
  }
  float slope(std::size_t layer) const;

  std::vector<std::size_t> widths_;
  std::vector<std::size_t> weights_, biases_;  // offsets, by layer
  std::size_t parameter_count_ = 0;
  bool linear_end_;
};

}  // namespace mdgan
