#include "common/models/onednn_convolution.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>

namespace mdgan {
namespace {

using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;
using dnnl::memory;

constexpr auto kDirect = dnnl::algorithm::convolution_direct;
constexpr std::int64_t kManyWeights = std::int64_t{1} << 20;
// Numbers in what filters meet: 16 MiB a thread, whatever the batch.
constexpr std::int64_t kMostMet = std::int64_t{1} << 22;

// Whichever order is fastest.
memory::desc any_order(const memory::dims& sides) {
  return {sides, memory::data_type::f32, memory::format_tag::any};
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr result;
  // Else oneDNN keeps one for each thread.
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

// Described as for training, a pass takes and gives the orders that the
// backward passes want. As for inference it does not, but with oneDNN 2.6 and
// AVX-512 it takes two thirds of the time where a kernel is wide and the result
// has few columns, unless it has many weights.
bool goes_as_for_inference(const ConvolutionSize& s, std::int64_t columns) {
  return s.kernel > 3 && columns <= 4 && weights_of(s) < kManyWeights;
}

// What each weight of a filter meets at each pixel of the result of `count`
// images: [count * height * width of the result, in * kernel * kernel].
void meet_filter(const ConvolutionPasses& layer, const float* images,
                 std::int64_t count, float* out) {
  const ConvolutionSize& s = layer.size;
  const std::int64_t rows = layer.result_sides[2];
  const std::int64_t columns = layer.result_sides[3];
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

}  // namespace

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& onednn_stream() {
  thread_local dnnl::stream stream(onednn_engine());
  return stream;
}

memory::desc plain_order(const memory::dims& sides) {
  memory::dims strides(sides.size(), 1);
  for (std::size_t i = sides.size() - 1; i > 0; --i)
    strides[i - 1] = strides[i] * sides[i];
  return {sides, memory::data_type::f32, strides};
}

memory::desc pixel_order(const memory::dims& sides) {
  return {sides, memory::data_type::f32, memory::format_tag::nhwc};
}

void reorder(memory from, memory to) {
  dnnl::reorder(from, to).execute(onednn_stream(), from, to);
}

ConvolutionPasses::ConvolutionPasses(const ConvolutionSize& s, float slope)
    : size(s),
      image_sides{s.n, s.in, s.height, s.width},
      weight_sides{s.out, s.in, s.kernel, s.kernel},
      bias_sides{s.out} {
  const auto side = [&](std::int64_t of) {
    return (of + 2 * s.padding - s.kernel) / s.stride + 1;
  };
  result_sides = {s.n, s.out, side(s.height), side(s.width)};
  const memory::desc x = any_order(image_sides), w = any_order(weight_sides),
                     b = any_order(bias_sides), y = any_order(result_sides);
  const memory::dims stride{s.stride, s.stride}, pad{s.padding, s.padding};
  const auto described = [&](dnnl::prop_kind kind) {
    return description<convolution_forward>(with_leaky(slope), std::tuple(),
                                            kind, kDirect, x, w, b, y, stride,
                                            pad, pad);
  };
  const auto training = described(dnnl::prop_kind::forward_training);
  const auto ahead = goes_as_for_inference(s, result_sides[3])
                         ? described(dnnl::prop_kind::forward_inference)
                         : training;
  const auto by_image = description<convolution_backward_data>(
      attributes(), std::tuple(training), kDirect, x, w, y, stride, pad, pad);
  const auto by_weights = description<convolution_backward_weights>(
      attributes(), std::tuple(training), kDirect, x, w, b, y, stride, pad,
      pad);
  forward = {convolution_forward(ahead), ahead.src_desc(), ahead.weights_desc(),
             ahead.dst_desc(), ahead.scratchpad_desc()};
  image = {convolution_backward_data(by_image), by_image.diff_src_desc(),
           by_image.weights_desc(), by_image.diff_dst_desc(),
           by_image.scratchpad_desc()};
  weights = {convolution_backward_weights(by_weights), by_weights.src_desc(),
             by_weights.diff_weights_desc(), by_weights.diff_dst_desc(),
             by_weights.scratchpad_desc()};
}

void weight_gradient(const ConvolutionPasses& layer, const float* images,
                     const float* of_result, float* of_weights) {
  const ConvolutionSize& s = layer.size;
  const std::int64_t pixels = layer.result_sides[2] * layer.result_sides[3];
  const std::int64_t filter = s.in * s.kernel * s.kernel;
  const std::int64_t at_once =
      std::clamp<std::int64_t>(kMostMet / (pixels * filter), 1, s.n);
  const auto met = std::make_unique_for_overwrite<float[]>(
      static_cast<std::size_t>(at_once * pixels * filter));
  for (std::int64_t i = 0; i < s.n; i += at_once) {
    const std::int64_t count = std::min(at_once, s.n - i);
    meet_filter(layer, images + i * s.in * s.height * s.width, count,
                met.get());
    const float add_to = i == 0 ? 0.0F : 1.0F;
    const dnnl::status status =
        dnnl::sgemm('T', 'N', s.out, filter, count * pixels, /*alpha=*/1,
                    of_result + i * pixels * s.out, s.out, met.get(), filter,
                    add_to, of_weights, filter);
    dnnl::error::wrap_c_api(static_cast<dnnl_status_t>(status),
                            "could not multiply matrices");
  }
}

bool has_many_weights(const ConvolutionPasses& layer) {
  return weights_of(layer.size) >= kManyWeights;
}

const ConvolutionPasses& convolution_passes(ConvolutionSize size, float slope) {
  onednn_engine();  // made first, it outlives them
  static std::mutex mutex;
  static std::map<std::pair<ConvolutionSize, float>,
                  std::unique_ptr<ConvolutionPasses>>
      made;
  const std::lock_guard lock(mutex);
  auto& found = made[{size, slope}];
  if (!found) found = std::make_unique<ConvolutionPasses>(size, slope);
  return *found;
}

}  // namespace mdgan
