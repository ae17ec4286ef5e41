#include "common/kernels/convolution/onednn_convolution.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <unordered_map>

namespace mdgan {
namespace {

using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;
using dnnl::memory;

constexpr auto kDirect = dnnl::algorithm::convolution_direct;
constexpr std::int64_t kManyWeights = std::int64_t{1} << 20;
// The most values that im2col makes at once: 16 MiB a thread, whatever the
// batch.
constexpr std::int64_t kMaxIm2col = std::int64_t{1} << 22;

// oneDNN chooses the fastest layout.
memory::desc any_layout(const memory::dims& dims) {
  return {dims, memory::data_type::f32, memory::format_tag::any};
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr result;
  // Otherwise oneDNN keeps a scratchpad for each thread.
  result.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return result;
}

dnnl::primitive_attr with_leaky(float slope) {
  dnnl::post_ops activation;
#if DNNL_VERSION_MAJOR < 3
  constexpr float kScale = 1;
  activation.append_eltwise(kScale, dnnl::algorithm::eltwise_relu, slope, 0);
#else
  activation.append_eltwise(dnnl::algorithm::eltwise_relu, slope, 0);
#endif
  dnnl::primitive_attr result = attributes();
  result.set_post_ops(activation);
  return result;
}

// Version 2 describes an operation first, version 3 does both at once.
template <typename Pass, typename... Hint, typename... Operation>
typename Pass::primitive_desc description(const dnnl::primitive_attr& attribute,
                                          const std::tuple<Hint...>& hint,
                                          const Operation&... operation) {
  return std::apply(
      [&](const Hint&... of) {
#if DNNL_VERSION_MAJOR < 3
        return typename Pass::primitive_desc(typename Pass::desc(operation...),
                                             attribute, onednn_engine(), of...);
#else
        return typename Pass::primitive_desc(onednn_engine(), operation...,
                                             of..., attribute);
#endif
      },
      hint);
}

std::int64_t weights_of(const ConvolutionSize& s) {
  return s.out * s.in * s.kernel * s.kernel;
}

bool has_many_weights(const ConvolutionSize& s) {
  return weights_of(s) >= kManyWeights;
}

// A forward pass described for training takes and gives the layouts of the
// backward passes; described for inference it need not. But with oneDNN 2.6 and
// AVX-512 the latter takes two thirds of the time where the kernel is wide and
// the result has few columns, unless there are many weights.
bool is_faster_as_inference(const ConvolutionSize& s, std::int64_t columns) {
  return s.kernel > 3 && columns <= 4 && !has_many_weights(s);
}

class OneDnnConvolution final : public ConvolutionPasses {
 public:
  OneDnnConvolution(const ConvolutionSize& s, float slope)
      : ConvolutionPasses(s) {
    const memory::desc x = any_layout(image_dims_),
                       w = any_layout(weight_dims_), b = any_layout({s.out}),
                       y = any_layout(result_dims_);
    const memory::dims stride{s.stride, s.stride}, pad{s.padding, s.padding};
    const auto described = [&](dnnl::prop_kind kind) {
      return description<convolution_forward>(with_leaky(slope), std::tuple(),
                                              kind, kDirect, x, w, b, y, stride,
                                              pad, pad);
    };
    const auto training = described(dnnl::prop_kind::forward_training);
    const auto ahead = is_faster_as_inference(s, result_dims_[3])
                           ? described(dnnl::prop_kind::forward_inference)
                           : training;
    const auto by_images = description<convolution_backward_data>(
        attributes(), std::tuple(training), kDirect, x, w, y, stride, pad, pad);
    const auto by_weights = description<convolution_backward_weights>(
        attributes(), std::tuple(training), kDirect, x, w, b, y, stride, pad,
        pad);
    forward_ = {ahead.src_desc(), ahead.weights_desc(), ahead.dst_desc()};
    by_images_ = {by_images.diff_src_desc(), by_images.weights_desc(),
                  by_images.diff_dst_desc()};
    by_weights_ = {by_weights.src_desc(), by_weights.diff_weights_desc(),
                   by_weights.diff_dst_desc()};
    kept_weights_ = by_weights_.weights;
    if (has_many_weights(s))
      by_weights_ = {row_major_layout(image_dims_),
                     row_major_layout(weight_dims_), nhwc_layout(result_dims_)};
    bias_ = row_major_layout({s.out});
    forward_pass_ = {convolution_forward(ahead), ahead.scratchpad_desc()};
    image_pass_ = {convolution_backward_data(by_images),
                   by_images.scratchpad_desc()};
    weight_pass_ = {convolution_backward_weights(by_weights),
                    by_weights.scratchpad_desc()};
  }

  void forward(const float* images, const float* weights, const float* bias,
               float* results) const override {
    run(forward_pass_, {{DNNL_ARG_SRC, in(forward_.images, images)},
                        {DNNL_ARG_WEIGHTS, in(forward_.weights, weights)},
                        {DNNL_ARG_BIAS, in(bias_, bias)},
                        {DNNL_ARG_DST, in(forward_.results, results)}});
  }

  void image_gradient(const float* of_results, const float* weights,
                      float* of_images) const override {
    run(image_pass_, {{DNNL_ARG_DIFF_DST, in(by_images_.results, of_results)},
                      {DNNL_ARG_WEIGHTS, in(by_images_.weights, weights)},
                      {DNNL_ARG_DIFF_SRC, in(by_images_.images, of_images)}});
  }

  void weight_gradient(const float* images, const float* of_results,
                       float* of_weights, float* of_bias) const override {
    if (has_many_weights(size_))
      return weight_gradient_by_im2col(images, of_results, of_weights, of_bias);
    run(weight_pass_,
        {{DNNL_ARG_SRC, in(by_weights_.images, images)},
         {DNNL_ARG_DIFF_DST, in(by_weights_.results, of_results)},
         {DNNL_ARG_DIFF_WEIGHTS, in(by_weights_.weights, of_weights)},
         {DNNL_ARG_DIFF_BIAS, in(bias_, of_bias)}});
  }

 private:
  struct Pass {
    dnnl::primitive primitive;
    memory::desc scratchpad;
  };

  static memory in(const memory::desc& layout, const float* data) {
    // oneDNN only reads what a pass takes.
    return {layout, onednn_engine(), const_cast<float*>(data)};
  }

  static void run(const Pass& pass, std::unordered_map<int, memory> arguments) {
    const Scratch scratch(pass.scratchpad.get_size());
    arguments.emplace(DNNL_ARG_SCRATCHPAD,
                      memory(pass.scratchpad, onednn_engine(), scratch.get()));
    pass.primitive.execute(onednn_stream(), arguments);
  }

  // The gradient of the weights by im2col and GEMM. oneDNN's own pass goes
  // through all of the gradient once for every image, which is slow where that
  // is more than a core's cache holds.
  void weight_gradient_by_im2col(const float* images, const float* of_results,
                                 float* of_weights, float* of_bias) const {
    const ConvolutionSize& s = size_;
    const std::int64_t pixels = result_dims_[2] * result_dims_[3];
    const std::int64_t filter = s.in * s.kernel * s.kernel;
    const std::int64_t at_once =
        std::clamp<std::int64_t>(kMaxIm2col / (pixels * filter), 1, s.n);
    const Scratch patches(static_cast<std::size_t>(at_once * pixels * filter) *
                          sizeof(float));
    for (std::int64_t i = 0; i < s.n; i += at_once) {
      const std::int64_t count = std::min(at_once, s.n - i);
      im2col(images + i * s.in * s.height * s.width, count, patches.data());
      multiply({of_results + i * pixels * s.out, s.out, /*transposed=*/true},
               {patches.data(), filter}, s.out, filter, count * pixels,
               /*add=*/i > 0, of_weights, filter);
    }
    std::fill_n(of_bias, s.out, 0.0F);
    for (std::int64_t i = 0; i < s.n * pixels; ++i)
      for (std::int64_t o = 0; o < s.out; ++o)
        of_bias[o] += of_results[i * s.out + o];
  }

  // Unfolds patches into rows: each row has the values of `count` images that
  // the filters are multiplied with at one pixel of the result,
  // [count * height * width of the result, in * kernel * kernel].
  void im2col(const float* images, std::int64_t count, float* out) const {
    const ConvolutionSize& s = size_;
    const std::int64_t rows = result_dims_[2];
    const std::int64_t columns = result_dims_[3];
    for (std::int64_t i = 0; i < count * rows * columns; ++i) {
      const std::int64_t top = i / columns % rows * s.stride - s.padding;
      const std::int64_t left = i % columns * s.stride - s.padding;
      const float* image =
          images + i / (rows * columns) * s.in * s.height * s.width;
      for (std::int64_t c = 0; c < s.in; ++c, image += s.height * s.width) {
        for (std::int64_t y = top; y < top + s.kernel; ++y) {
          for (std::int64_t x = left; x < left + s.kernel; ++x, ++out) {
            const bool inside = y >= 0 && y < s.height && x >= 0 && x < s.width;
            *out = inside ? image[y * s.width + x] : 0.0F;
          }
        }
      }
    }
  }

  memory::desc bias_;
  Pass forward_pass_, image_pass_, weight_pass_;
};

}  // namespace

std::unique_ptr<const ConvolutionPasses> make_onednn_convolution(
    const ConvolutionSize& size, float slope) {
  return std::make_unique<OneDnnConvolution>(size, slope);
}

}  // namespace mdgan
