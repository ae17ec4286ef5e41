#include "common/kernels/convolution/halving_convolution.h"

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/kernels/convolution/winograd.h"

namespace mdgan {
namespace {

// With fewer tiles, the transform of the weights costs more than is gained.
constexpr std::int64_t kFewestTiles = 16;
// So many values are in the Winograd domain at once, unless a single image or
// filter has more: 2 MiB of images for each thread, which a core's caches
// partly hold, and 16 MiB of filters. Where filters come in parts, each part is
// transformed anew for every part of the images: then these have 16 MiB, too.
constexpr std::int64_t kMaxImageValues = std::int64_t{1} << 19;
constexpr std::int64_t kMaxFilterValues = std::int64_t{1} << 22;

// A range of the images, or of the filters.
struct Part {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

// All images, or all filters, in parts of about the same size.
class Parts {
 public:
  // `all` images or filters of `values` values each, cut so that no part has
  // more than `most` values.
  Parts(std::int64_t all, std::int64_t values, std::int64_t most) : all_(all) {
    const std::int64_t at_once = std::max<std::int64_t>(most / values, 1);
    parts_ = (all + at_once - 1) / at_once;
  }

  bool is_one() const { return parts_ == 1; }
  std::int64_t largest() const { return (all_ + parts_ - 1) / parts_; }

  template <typename Use>
  void each(const Use& use) const {
    for (std::int64_t i = 0; i < parts_; ++i)
      use(Part{all_ * i / parts_, all_ * (i + 1) / parts_});
  }

 private:
  std::int64_t all_, parts_;
};

// Calls use(i) for 0 <= i < the part's size, on as many threads as the caller
// has set (set_compute_threads).
template <typename Use>
void each_of(const Part& part, const Use& use) {
#pragma omp parallel for
  for (std::int64_t i = 0; i < part.size(); ++i) use(i);
}

template <typename Use>
void each_point(const Use& use) {
  for (std::int64_t i = 0; i < kWinogradPoints; ++i) use(i);
}

class HalvingConvolution final : public ConvolutionPasses {
 public:
  HalvingConvolution(const ConvolutionSize& s, float slope)
      : ConvolutionPasses(s),
        size_{s.n, s.in, s.height, s.width, s.out},
        slope_(slope),
        filters_(s.out, kWinogradPoints * columns(), kMaxFilterValues),
        images_(s.n, kWinogradPoints * size_.tiles_of_image() * columns(),
                filters_.is_one() ? kMaxImageValues * omp_get_max_threads()
                                  : kMaxFilterValues) {
    kept_weights_ = nhwc_layout(weight_dims_);
    forward_ = by_images_ = by_weights_ = {
        nhwc_layout(image_dims_), kept_weights_, nhwc_layout(result_dims_)};
  }

  void forward(const float* images, const float* weights, const float* bias,
               float* results) const override {
    const Room room(*this);
    images_.each([&](const Part& part) {
      const AtPoints x = room.images(part), y = room.results(part);
      images_to_points(part, images, x);
      filters_.each([&](const Part& filters) {
        const AtPoints w = room.filters(filters);
        if (part.begin == 0 || !filters_.is_one())
          filters_to_points(filters, weights, w);
        each_point([&](std::int64_t i) {
          multiply({x.point(i), columns()},
                   {w.point(i), columns(), /*transposed=*/true}, x.rows, w.rows,
                   columns(), /*add=*/false, y.point(i) + filters.begin,
                   y.columns);
        });
      });
      float* to = results + part.begin * size_.result();
      each_of(part, [&](std::int64_t i) {
        points_to_result(size_, i, y, bias, slope_, to);
      });
    });
  }

  void image_gradient(const float* of_results, const float* weights,
                      float* of_images) const override {
    const Room room(*this);
    images_.each([&](const Part& part) {
      const AtPoints x = room.images(part), y = room.results(part);
      results_to_points(part, of_results, y);
      filters_.each([&](const Part& filters) {
        const AtPoints w = room.filters(filters);
        if (part.begin == 0 || !filters_.is_one())
          filters_to_points(filters, weights, w);
        each_point([&](std::int64_t i) {
          multiply({y.point(i) + filters.begin, y.columns},
                   {w.point(i), columns()}, x.rows, columns(), w.rows,
                   /*add=*/filters.begin > 0, x.point(i), columns());
        });
      });
      float* to = of_images + part.begin * size_.image();
      each_of(part, [&](std::int64_t i) { points_to_image(size_, i, x, to); });
    });
  }

  void weight_gradient(const float* images, const float* of_results,
                       float* of_weights, float* of_bias) const override {
    const Room room(*this);
    filters_.each([&](const Part& filters) {
      const AtPoints w = room.filters(filters);
      images_.each([&](const Part& part) {
        const AtPoints x = room.images(part), y = room.results(part);
        images_to_points(part, images, x);
        results_to_points(part, of_results, y);
        each_point([&](std::int64_t i) {
          multiply({y.point(i) + filters.begin, y.columns, /*transposed=*/true},
                   {x.point(i), columns()}, w.rows, columns(), x.rows,
                   /*add=*/part.begin > 0, w.point(i), columns());
        });
      });
      float* to = of_weights + filters.begin * size_.filter();
      each_of(filters,
              [&](std::int64_t o) { points_to_filter(size_, o, w, to); });
    });
    sum_results(size_, of_results, of_bias);
  }

 private:
  // Memory for one part of each in the Winograd domain.
  class Room {
   public:
    explicit Room(const HalvingConvolution& of)
        : of_(of),
          images_(bytes(of.images(of.images_.largest(), nullptr))),
          filters_(bytes(of.filters(of.filters_.largest(), nullptr))),
          results_(bytes(of.results(of.images_.largest(), nullptr))) {}

    AtPoints images(const Part& part) const {
      return of_.images(part.size(), images_.data());
    }
    AtPoints filters(const Part& part) const {
      return of_.filters(part.size(), filters_.data());
    }
    AtPoints results(const Part& part) const {
      return of_.results(part.size(), results_.data());
    }

   private:
    static std::size_t bytes(const AtPoints& points) {
      return static_cast<std::size_t>(points.size()) * sizeof(float);
    }

    const HalvingConvolution& of_;
    const Scratch images_, filters_, results_;
  };

  // The columns of images' and filters' matrices at each point.
  std::int64_t columns() const { return kWinogradPhases * size_.in; }

  AtPoints images(std::int64_t count, float* data) const {
    return {data, count * size_.tiles_of_image(), columns()};
  }
  AtPoints filters(std::int64_t count, float* data) const {
    return {data, count, columns()};
  }
  AtPoints results(std::int64_t count, float* data) const {
    return {data, count * size_.tiles_of_image(), size_.out};
  }

  void images_to_points(const Part& part, const float* images,
                        const AtPoints& to) const {
    const float* from = images + part.begin * size_.image();
    each_of(part, [&](std::int64_t i) { image_to_points(size_, i, from, to); });
  }
  void filters_to_points(const Part& part, const float* weights,
                         const AtPoints& to) const {
    const float* from = weights + part.begin * size_.filter();
    each_of(part,
            [&](std::int64_t o) { filter_to_points(size_, o, from, to); });
  }
  void results_to_points(const Part& part, const float* results,
                         const AtPoints& to) const {
    const float* from = results + part.begin * size_.result();
    each_of(part,
            [&](std::int64_t i) { result_to_points(size_, i, from, to); });
  }

  const HalvingSize size_;
  const float slope_;
  const Parts filters_, images_;
};

}  // namespace

bool is_halving(const ConvolutionSize& s) {
  const HalvingSize size{s.n, s.in, s.height, s.width, s.out};
  return s.in > 0 && s.out > 0 && s.kernel == kWinogradKernel &&
         s.stride == 2 && s.padding == 1 && s.height % kWinogradTile == 0 &&
         s.width % kWinogradTile == 0 && s.in % kWinogradChannels == 0 &&
         s.out % kWinogradChannels == 0 &&
         s.n * size.tiles_of_image() >= kFewestTiles;
}

std::unique_ptr<const ConvolutionPasses> make_halving_convolution(
    const ConvolutionSize& size, float slope) {
  return std::make_unique<HalvingConvolution>(size, slope);
}

}  // namespace mdgan
