#include "common/kernels/dense/dense_stack.h"

#include <algorithm>
#include <utility>

#include "common/base/result.h"
#include "common/kernels/dense/dense_parts.h"
#include "common/tensor/leaky_slope.h"

namespace mdgan {
namespace {

constexpr auto kSlope = static_cast<float>(kLeakySlope);

DenseAdamState shifted(const DenseAdamState& state, std::size_t by) {
  return {state.values + by, state.first_moment + by, state.second_moment + by};
}

}  // namespace

DenseStack::DenseStack(std::vector<std::size_t> widths, bool linear_end)
    : widths_(std::move(widths)), linear_end_(linear_end) {
  MDGAN_CHECK(widths_.size() >= 2);
  for (std::size_t i = 0; i < layers(); ++i) {
    MDGAN_CHECK(widths_[i] > 0 && widths_[i + 1] > 0);
    weights_.push_back(parameter_count_);
    parameter_count_ += widths_[i] * widths_[i + 1];
    biases_.push_back(parameter_count_);
    parameter_count_ += widths_[i + 1];
  }
}

float DenseStack::slope(std::size_t layer) const {
  return linear_end_ && layer + 1 == layers() ? 1.0F : kSlope;
}

void DenseStack::prepare(DenseScratch& scratch, std::size_t rows) const {
  scratch.widths_ = widths_;
  scratch.values_.resize(widths_.size());
  scratch.gradients_.resize(widths_.size());
  for (std::size_t i = 0; i < widths_.size(); ++i)
    for (auto* rows_of : {&scratch.values_[i], &scratch.gradients_[i]})
      rows_of->resize(std::max(rows_of->size(), rows * widths_[i]));
}

void DenseStack::forward(const float* parameters, DenseScratch& scratch,
                         std::size_t row, std::size_t n) const {
  for (std::size_t i = 0; i < layers(); ++i) {
    const float* x = scratch.at(scratch.values_[i], row, i);
    float* y = scratch.at(scratch.values_[i + 1], row, i + 1);
    in_parts(widths_[i + 1], [&](DenseRange units) {
      dense_kernels().forward(size(i, n), units, x, parameters + weights_[i],
                              parameters + biases_[i], slope(i), y);
    });
  }
}

void DenseStack::backward(const float* parameters, DenseScratch& scratch,
                          std::size_t row, std::size_t n, std::size_t activated,
                          bool to_input) const {
  for (std::size_t i = layers(); i-- > 0;) {
    float* dy = scratch.at(scratch.gradients_[i + 1], row, i + 1);
    if (slope(i) != 1.0F)
      dense_kernels().through_leaky(
          n * widths_[i + 1],
          scratch.at(scratch.values_[i + 1], activated, i + 1), slope(i), dy);
    if (i == 0 && !to_input) return;
    float* dx = scratch.at(scratch.gradients_[i], row, i);
    in_parts(widths_[i], [&](DenseRange inputs) {
      dense_kernels().input_gradient(size(i, n), inputs, dy,
                                     parameters + weights_[i], dx);
    });
  }
}

void DenseStack::tangent(const float* parameters, DenseScratch& scratch,
                         std::size_t row, std::size_t n,
                         std::size_t activated) const {
  for (std::size_t i = 0; i < layers(); ++i) {
    const float* x = scratch.at(scratch.values_[i], row, i);
    float* y = scratch.at(scratch.values_[i + 1], row, i + 1);
    in_parts(widths_[i + 1], [&](DenseRange units) {
      dense_kernels().forward(size(i, n), units, x, parameters + weights_[i],
                              nullptr, 1.0F, y);
    });
    if (slope(i) != 1.0F)
      dense_kernels().through_leaky(
          n * widths_[i + 1],
          scratch.at(scratch.values_[i + 1], activated, i + 1), slope(i), y);
  }
}

void DenseStack::parameter_gradient(DenseScratch& scratch, std::size_t n,
                                    std::size_t bias_rows,
                                    float* gradients) const {
  for (std::size_t i = 0; i < layers(); ++i)
    in_parts(widths_[i + 1], [&](DenseRange units) {
      dense_kernels().weight_gradient(
          size(i, n), units, scratch.gradients_[i + 1].data(),
          scratch.values_[i].data(), bias_rows, gradients + weights_[i],
          gradients + biases_[i]);
    });
}

void DenseStack::adam(DenseScratch& scratch, std::size_t n,
                      std::size_t bias_rows, const DenseAdamState& state,
                      const AdamCoefficients& coefficients) const {
  for (std::size_t i = 0; i < layers(); ++i)
    in_parts(widths_[i + 1], [&](DenseRange units) {
      dense_kernels().adam(size(i, n), units, scratch.gradients_[i + 1].data(),
                           scratch.values_[i].data(), bias_rows,
                           shifted(state, weights_[i]),
                           shifted(state, biases_[i]), coefficients);
    });
}

}  // namespace mdgan
