// The three passes of one convolution, by its fastest way with oneDNN, version
// 2 or 3: the layouts in which each takes and gives tensors, and how it is run.
// No LibTorch. Only builds with the oneDNN backend have it
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
// The calling thread's own stream.
dnnl::stream& onednn_stream();

// float32, row-major, as a contiguous tensor of these dims is: NCHW for images.
dnnl::memory::desc row_major_layout(const dnnl::memory::dims& dims);
// float32 images of dims [n, c, height, width] in NHWC.
dnnl::memory::desc nhwc_layout(const dnnl::memory::dims& dims);
// Copies a tensor into one of another layout.
void reorder(dnnl::memory from, dnnl::memory to);

// images [n, in, height, width], weights [out, in, kernel, kernel].
struct ConvolutionSize {
  std::int64_t n, in, height, width, out, kernel, stride, padding;
  auto operator<=>(const ConvolutionSize&) const = default;
};

// The layouts in which a pass takes and gives tensors. Where a backward pass
// takes or gives a gradient, the layout is the gradient's.
struct PassLayouts {
  dnnl::memory::desc images, weights, results;
};

// Immutable: one object serves all threads of a process that compute with the
// same number of threads of arithmetic (set_compute_threads), which oneDNN
// fixes when it makes a pass. Tensors are float32, in the pass's layouts; a
// bias is [out]. The passes throw dnnl::error or std::bad_alloc if memory is
// wanting.
class ConvolutionPasses {
 public:
  explicit ConvolutionPasses(const ConvolutionSize& size);
  virtual ~ConvolutionPasses() = default;
  ConvolutionPasses(const ConvolutionPasses&) = delete;
  ConvolutionPasses& operator=(const ConvolutionPasses&) = delete;

  const ConvolutionSize& size() const { return size_; }
  const dnnl::memory::dims& weight_dims() const { return weight_dims_; }
  const dnnl::memory::dims& result_dims() const { return result_dims_; }
  // The layout in which to keep weights while they are trained: a pass's layout
  // is made of it more quickly than of the row-major one.
  const dnnl::memory::desc& kept_weights() const { return kept_weights_; }

  const PassLayouts& forward_layouts() const { return forward_; }
  // The convolution and LeakyReLU. The gradients below are those of the
  // convolution alone.
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

// The passes for this size, with LeakyReLU of this slope. A process makes them
// once for each size and keeps them, as a run has few sizes.
const ConvolutionPasses& convolution_passes(const ConvolutionSize& size,
                                            float slope);

// A row-major matrix as a factor of a product.
struct Factor {
  const float* data;
  std::int64_t stride;  // from one row to the next
  bool transposed = false;
};
// y = a b, or y += a b, by GEMM; y is [rows, columns], with `y_stride` from one
// row to the next. Throws dnnl::error if memory is wanting.
void multiply(const Factor& a, const Factor& b, std::int64_t rows,
              std::int64_t columns, std::int64_t inner, bool add, float* y,
              std::int64_t y_stride);

// Memory that a pass needs beside its arguments, aligned to a cache line.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes)
      : memory_(::operator new(bytes, kAlignment)) {}
  void* get() const { return memory_.get(); }
  float* data() const { return static_cast<float*>(memory_.get()); }

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
