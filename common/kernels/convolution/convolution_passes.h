// The three passes of one convolution, by its fastest way with oneDNN, version
// 2 or 3: in which orders each wants and gives its numbers, and how it is run.
// No LibTorch. Only in builds with the oneDNN backend
// (common/cmake/Dependencies.cmake).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <dnnl.hpp>
#include <memory>
#include <new>

namespace mdgan {

const dnnl::engine& onednn_engine();
// Of this thread.
dnnl::stream& onednn_stream();

// float32, row by row, as a contiguous tensor has them.
dnnl::memory::desc row_major_layout(const dnnl::memory::dims& sides);
// The same with all channels of a pixel together: [n, height, width, c].
dnnl::memory::desc nhwc_layout(const dnnl::memory::dims& sides);
// The same numbers in another order.
void reorder(dnnl::memory from, dnnl::memory to);

// images [n, in, height, width], weights [out, in, kernel, kernel].
struct ConvolutionSize {
  std::int64_t n, in, height, width, out, kernel, stride, padding;
  auto operator<=>(const ConvolutionSize&) const = default;
};

// In which orders a pass takes and gives its numbers; of gradients where it is
// a backward pass.
struct PassLayouts {
  dnnl::memory::desc images, weights, results;
};

// Immutable: one serves all threads of a process that compute with the same
// number of threads of arithmetic (set_compute_threads), which oneDNN fixes
// when it makes a pass. Numbers are float32, in the pass's orders; those of the
// bias, [out], have only one.
class ConvolutionPasses {
 public:
  explicit ConvolutionPasses(const ConvolutionSize& size);
  virtual ~ConvolutionPasses() = default;
  ConvolutionPasses(const ConvolutionPasses&) = delete;
  ConvolutionPasses& operator=(const ConvolutionPasses&) = delete;

  const ConvolutionSize& size() const { return size_; }
  const dnnl::memory::dims& weight_dims() const { return weight_dims_; }
  const dnnl::memory::dims& result_dims() const { return result_dims_; }
  // In which to keep weights that are trained. From it to the passes' is
  // quicker than from plain.
  const dnnl::memory::desc& kept_weights() const { return kept_weights_; }

  const PassLayouts& forward_layouts() const { return forward_; }
  // Ends in LeakyReLU, which the others know nothing of.
  virtual void forward(const float* images, const float* weights,
                       const float* bias, float* results) const = 0;

  const PassLayouts& image_layouts() const { return by_images_; }
  virtual void image_gradient(const float* of_results, const float* weights,
                              float* of_images) const = 0;

  const PassLayouts& weight_layouts() const { return by_weights_; }
  virtual void weight_gradient(const float* images, const float* of_results,
                               float* of_weights, float* of_bias) const = 0;

 protected:
  ConvolutionSize size_;
  dnnl::memory::dims image_dims_, weight_dims_, result_dims_;
  dnnl::memory::desc kept_weights_;
  PassLayouts forward_, by_images_, by_weights_;
};

// With LeakyReLU of this slope. Made once in a process for each size, and kept:
// a run has few.
const ConvolutionPasses& convolution_passes(const ConvolutionSize& size,
                                            float slope);

// A matrix row by row, as a factor of a product.
struct Factor {
  const float* numbers;
  std::int64_t row;  // from one row to the next
  bool transposed = false;
};
// y = a b, or y += a b; y [rows, columns], y_row from one row to the next.
// Throws dnnl::error if memory is wanting.
void multiply(const Factor& a, const Factor& b, std::int64_t rows,
              std::int64_t columns, std::int64_t inner, bool add, float* y,
              std::int64_t y_row);

// Memory that a pass needs beside its arguments, as its alignment wants.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes)
      : memory_(::operator new(bytes, kAlignment)) {}
  void* get() const { return memory_.get(); }
  float* numbers() const { return static_cast<float*>(memory_.get()); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(void* memory) const {
      ::operator delete(memory, kAlignment);
    }
  };
  std::unique_ptr<void, Free> memory_;
};

}  // namespace mdgan
