// One convolution by oneDNN's own interface, version 2 or 3: in which orders it
// wants and gives its numbers, and its three passes. No LibTorch. Only in
// builds with MDGAN_ONEDNN (common/cmake/Dependencies.cmake).
#pragma once

#include <compare>
#include <cstdint>
#include <dnnl.hpp>
#include <unordered_map>

namespace mdgan {

using OneDnnArguments = std::unordered_map<int, dnnl::memory>;

const dnnl::engine& onednn_engine();
// Of this thread.
dnnl::stream& onednn_stream();

// float32, row by row, as a contiguous tensor has them.
dnnl::memory::desc plain_order(const dnnl::memory::dims& sides);
// The same with all channels of a pixel together: [n, height, width, c].
dnnl::memory::desc pixel_order(const dnnl::memory::dims& sides);
// The same numbers in another order.
void reorder(dnnl::memory from, dnnl::memory to);

// images [n, in, height, width], weights [out, in, kernel, kernel].
struct ConvolutionSize {
  std::int64_t n, in, height, width, out, kernel, stride, padding;
  auto operator<=>(const ConvolutionSize&) const = default;
};

// What to execute, and the orders of what it takes and gives; of gradients
// where it is a backward pass.
struct OneDnnPass {
  dnnl::primitive primitive;
  dnnl::memory::desc image, weights, result, scratchpad;
};

// Immutable: one serves all threads of a process that compute with the same
// number of threads of arithmetic (set_compute_threads), which oneDNN fixes
// when it makes a pass.
struct ConvolutionPasses {
  ConvolutionPasses(const ConvolutionSize& size, float slope);

  ConvolutionSize size;
  dnnl::memory::dims image_sides, weight_sides, bias_sides, result_sides;
  OneDnnPass forward;  // ends in LeakyReLU, which the others know nothing of
  OneDnnPass image;    // the gradient of the images
  OneDnnPass weights;  // the gradients of weights and bias
};

// The gradient of the weights as a product of matrices. oneDNN's own pass goes
// through all of the gradient once for every image, which is slow where that is
// more than a core's cache holds. images: plain; of_result: the result's
// gradient in pixel_order(); writes of_weights, plain.
void weight_gradient(const ConvolutionPasses& layer, const float* images,
                     const float* of_result, float* of_weights);
// Whether that is the faster way.
bool has_many_weights(const ConvolutionPasses& layer);

// Made once in a process for each size, and kept: a run has few.
const ConvolutionPasses& convolution_passes(ConvolutionSize size, float slope);

}  // namespace mdgan
