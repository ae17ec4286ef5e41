#include "common/kernels/convolution/convolution_passes.h"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "common/kernels/convolution/halving_convolution.h"
#include "common/kernels/convolution/onednn_convolution.h"

namespace mdgan {

using dnnl::memory;

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& onednn_stream() {
  thread_local dnnl::stream stream(onednn_engine());
  return stream;
}

memory::desc row_major_layout(const memory::dims& dims) {
  memory::dims strides(dims.size(), 1);
  for (std::size_t i = dims.size() - 1; i > 0; --i)
    strides[i - 1] = strides[i] * dims[i];
  return {dims, memory::data_type::f32, strides};
}

memory::desc nhwc_layout(const memory::dims& dims) {
  return {dims, memory::data_type::f32, memory::format_tag::nhwc};
}

void reorder(memory from, memory to) {
  dnnl::reorder(from, to).execute(onednn_stream(), from, to);
}

void multiply(const Factor& a, const Factor& b, std::int64_t rows,
              std::int64_t columns, std::int64_t inner, bool add, float* y,
              std::int64_t y_stride) {
  const dnnl::status status = dnnl::sgemm(
      a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', rows, columns, inner,
      /*alpha=*/1, a.data, a.stride, b.data, b.stride, add ? 1.0F : 0.0F, y,
      y_stride);
  dnnl::error::wrap_c_api(static_cast<dnnl_status_t>(status),
                          "could not multiply matrices");
}

ConvolutionPasses::ConvolutionPasses(const ConvolutionSize& s)
    : size_(s),
      image_dims_{s.n, s.in, s.height, s.width},
      weight_dims_{s.out, s.in, s.kernel, s.kernel} {
  const auto side = [&](std::int64_t of) {
    return (of + 2 * s.padding - s.kernel) / s.stride + 1;
  };
  result_dims_ = {s.n, s.out, side(s.height), side(s.width)};
}

const ConvolutionPasses& convolution_passes(const ConvolutionSize& size,
                                            float slope) {
  onednn_engine();  // made before the passes, it outlives them
  static std::mutex mutex;
  static std::map<std::pair<ConvolutionSize, float>,
                  std::unique_ptr<const ConvolutionPasses>>
      made;
  const std::lock_guard lock(mutex);
  auto& found = made[{size, slope}];
  if (!found)
    found = is_halving(size) ? make_halving_convolution(size, slope)
                             : make_onednn_convolution(size, slope);
  return *found;
}

}  // namespace mdgan
