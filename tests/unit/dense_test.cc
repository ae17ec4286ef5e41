#include <cmath>
#include <latch>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/random.h"
#include "common/base/work_sharer.h"
#include "common/kernels/dense/dense_kernel.h"
#include "common/kernels/dense/dense_parts.h"
#include "common/kernels/dense/dense_stack.h"
#include "common/tensor/device.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

using Floats = std::vector<float>;
constexpr std::uint64_t kSeed = 11;
constexpr float kSlope = 0.2F;

// A layer with random values, and what its products should be, in float64.
struct Layer {
  explicit Layer(const DenseSize& its_size)
      : size(its_size),
        x(draw(size.n * size.in)),
        w(draw(size.in * size.out)),
        b(draw(size.out)),
        dy(draw(size.n * size.out)) {}

  Floats draw(std::size_t n) {
    Floats values(n);
    random.fill_normal(values);
    return values;
  }
  double forward(std::size_t s, std::size_t o) const {
    double sum = b[o];
    for (std::size_t i = 0; i < size.in; ++i)
      sum += double{x[s * size.in + i]} * double{w[o * size.in + i]};
    return sum > 0 ? sum : sum * double{kSlope};
  }
  double input_gradient(std::size_t s, std::size_t i) const {
    double sum = 0;
    for (std::size_t o = 0; o < size.out; ++o)
      sum += double{dy[s * size.out + o]} * double{w[o * size.in + i]};
    return sum;
  }
  double weight_gradient(std::size_t o, std::size_t i) const {
    double sum = 0;
    for (std::size_t s = 0; s < size.n; ++s)
      sum += double{dy[s * size.out + o]} * double{x[s * size.in + i]};
    return sum;
  }
  double bias_gradient(std::size_t o, std::size_t rows) const {
    double sum = 0;
    for (std::size_t s = 0; s < rows; ++s) sum += double{dy[s * size.out + o]};
    return sum;
  }

  DenseSize size;
  Random random{kSeed, Purpose::kSimulation};
  Floats x, w, b, dy;
};

// The largest difference of `have` [rows, columns] from want(row, column).
template <typename Want>
double worst(const Floats& have, std::size_t columns, const Want& want) {
  double result = 0;
  for (std::size_t at = 0; at < have.size(); ++at)
    result = std::max(
        result, std::abs(double{have[at]} - want(at / columns, at % columns)));
  return result;
}

// Sizes that are, and are not, whole vectors, tiles and panels.
DenseSize some_size() {
  return GENERATE(DenseSize{20, 784, 512}, DenseSize{7, 101, 37},
                  DenseSize{1, 3, 2}, DenseSize{100, 64, 65},
                  DenseSize{3, 19, 1}, DenseSize{130, 37, 21});
}

}  // namespace

TEST_CASE("every set of dense kernels computes the products of a layer") {
  const auto which = GENERATE(0, 1, 2);
  const DenseKernels* kernels = which == 0   ? dense_kernels_baseline()
                                : which == 1 ? dense_kernels_avx2()
                                             : dense_kernels_avx512();
  if (kernels == nullptr) {
    WARN("skipped: this processor has not got kernels " << which);
    return;
  }
  const DenseSize size = some_size();
  INFO(std::string(kernels->name) << ", seed " << kSeed << ": " << size.n
                                  << " x " << size.in << " -> " << size.out);
  const Layer layer(size);
  const DenseRange units{0, size.out}, inputs{0, size.in};
  const double tolerance =
      1e-6 * static_cast<double>(size.in + size.out + size.n);

  Floats y(size.n * size.out, NAN);
  kernels->forward(size, units, layer.x.data(), layer.w.data(), layer.b.data(),
                   kSlope, y.data());
  CHECK(worst(y, size.out, [&](std::size_t s, std::size_t o) {
          return layer.forward(s, o);
        }) < tolerance);

  Floats dx(size.n * size.in, NAN);
  kernels->input_gradient(size, inputs, layer.dy.data(), layer.w.data(),
                          dx.data());
  CHECK(worst(dx, size.in, [&](std::size_t s, std::size_t i) {
          return layer.input_gradient(s, i);
        }) < tolerance);

  Floats dw(size.in * size.out, NAN), db(size.out, NAN);
  const std::size_t bias_rows = (size.n + 1) / 2;
  kernels->weight_gradient(size, units, layer.dy.data(), layer.x.data(),
                           bias_rows, dw.data(), db.data());
  CHECK(worst(dw, size.in, [&](std::size_t o, std::size_t i) {
          return layer.weight_gradient(o, i);
        }) < tolerance);
  CHECK(worst(db, size.out, [&](std::size_t, std::size_t o) {
          return layer.bias_gradient(o, bias_rows);
        }) < tolerance);
}

TEST_CASE("a dense layer's Adam is Adam against its gradient") {
  const DenseSize size = some_size();
  INFO("seed " << kSeed << ": " << size.n << " x " << size.in << " -> "
               << size.out);
  Layer layer(size);
  const DenseKernels& kernels = dense_kernels();
  const DenseRange units{0, size.out};
  const AdamCoefficients c{.beta1 = 0.5F,
                           .one_minus_beta1 = 0.5F,
                           .beta2 = 0.9F,
                           .one_minus_beta2 = 0.1F,
                           .step_size = 0.01F,
                           .second_scale = 3.0F,
                           .epsilon = 1e-3F};
  Floats dw(layer.w.size()), db(layer.b.size());
  kernels.weight_gradient(size, units, layer.dy.data(), layer.x.data(), size.n,
                          dw.data(), db.data());
  const auto squares = [&](std::size_t n) {
    Floats values = layer.draw(n);
    for (float& value : values) value *= value;
    return values;
  };
  const auto check = [&](Floats gradient, Floats values, auto&& step) {
    Floats first = layer.draw(values.size()), second = squares(values.size());
    Floats stepped = values, m = first, v = second;
    step(DenseAdamState{stepped.data(), m.data(), v.data()});
    adam_step(values.size(), values.data(), gradient.data(), first.data(),
              second.data(), nullptr, c);
    const auto near = [](const Floats& have, const Floats& want) {
      return worst(have, 1, [&](std::size_t row, std::size_t) {
        return double{want[row]};
      });
    };
    CHECK(near(stepped, values) < 1e-5);
    CHECK(near(m, first) < 1e-4);
    CHECK(near(v, second) < 1e-3);
  };
  Floats other_values(layer.b.size()), other_m(layer.b.size()),
      other_v(layer.b.size());
  const DenseAdamState scrap{other_values.data(), other_m.data(),
                             other_v.data()};
  check(dw, layer.w, [&](const DenseAdamState& state) {
    kernels.adam(size, units, layer.dy.data(), layer.x.data(), size.n, state,
                 scrap, c);
  });
  Floats weights(layer.w.size()), weights_m(layer.w.size()),
      weights_v(layer.w.size());
  const DenseAdamState heap{weights.data(), weights_m.data(), weights_v.data()};
  check(db, layer.b, [&](const DenseAdamState& state) {
    kernels.adam(size, units, layer.dy.data(), layer.x.data(), size.n, heap,
                 state, c);
  });
}

TEST_CASE("parts are shared out among as many threads as were asked for") {
  constexpr std::size_t kSize = 7 * kDenseGrain + 1;
  for (const int threads : {1, 3}) {
    set_compute_threads(threads);
    std::mutex mutex;
    std::set<std::thread::id> ids;
    std::vector<int> visits(kSize);
    in_parts(kSize, [&](DenseRange range) {
      const std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
      for (std::size_t i = range.begin; i < range.end; ++i) ++visits[i];
    });
    CHECK(ids.size() == static_cast<std::size_t>(threads));
    CHECK(visits == std::vector<int>(kSize, 1));
  }
  set_compute_threads(1);
}

TEST_CASE("a work sharer is given its part") {
  std::vector<DenseRange> parts(2);
  std::latch begun(2);  // each part waits for the other
  WorkSharer sharer([] {});
  std::thread([&] {
    sharer.serve_this_thread();
    in_parts(1000, [&](DenseRange part) {
      parts[part.begin == 0 ? 0 : 1] = part;
      begun.arrive_and_wait();
    });
  }).join();
  CHECK(parts[0].begin == 0);
  CHECK(parts[0].end == parts[1].begin);
  CHECK(parts[1].begin > 0);
  CHECK(parts[1].end == 1000);
}

TEST_CASE("a stack of dense layers gives the same bits on any threads") {
  INFO("seed " << kSeed);
  const DenseStack stack({70, 200, 130}, /*linear_end=*/false);
  Random random(kSeed, Purpose::kSimulation);
  Floats parameters(stack.parameter_count());
  random.fill_normal(parameters);
  constexpr std::size_t kRows = 9;
  Floats x(kRows * 70), dy(kRows * 130);
  random.fill_normal(x);
  random.fill_normal(dy);

  const auto pass = [&](int threads) {
    set_compute_threads(threads);
    DenseScratch scratch;
    stack.prepare(scratch, kRows);
    std::copy(x.begin(), x.end(), scratch.input(0));
    stack.forward(parameters.data(), scratch, 0, kRows);
    std::copy(dy.begin(), dy.end(), scratch.output_gradient(0));
    stack.backward(parameters.data(), scratch, 0, kRows, 0, true);
    Floats result(stack.parameter_count());
    stack.parameter_gradient(scratch, kRows, kRows, result.data());
    const float* dx = scratch.input_gradient(0);
    result.insert(result.end(), dx, dx + kRows * 70);
    return result;
  };
  const Floats one = pass(1);
  const Floats three = pass(3);
  set_compute_threads(1);
  CHECK(one == three);
}

}  // namespace mdgan::test
