#include "common/train/discriminator/dense_discriminator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/result.h"
#include "common/losses/loss_gradients.h"

namespace mdgan {
namespace {

DenseAdamState shifted(const DenseAdamState& state, std::size_t by) {
  return {state.values + by, state.first_moment + by, state.second_moment + by};
}

float dot(const float* a, const float* b, std::size_t n) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// y += factor * x
void add(std::size_t n, float factor, const float* x, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

// NaN for a NaN among them.
double sum_of_signs(std::span<const float> values) {
  double sum = 0;
  for (const float value : values)
    sum += value > 0 ? 1 : value < 0 ? -1 : double{value};
  return sum;
}

// Row s is d_logits[s], then row s of d_class_logits.
void join(std::span<const float> d_logits,
          std::span<const float> d_class_logits, float* rows) {
  const std::size_t classes = d_class_logits.size() / d_logits.size();
  for (std::size_t s = 0; s < d_logits.size(); ++s) {
    *rows++ = d_logits[s];
    rows = std::copy_n(d_class_logits.data() + s * classes, classes, rows);
  }
}

}  // namespace

// The activations and their gradients. Each thread that computes has one,
// however many discriminators it serves. The last layer's outputs are split
// into logits and class logits, as the losses want them.
struct DenseDiscriminator::Work {
  DenseScratch layers, last;
  std::vector<float> logits, d_logits;              // [samples]
  std::vector<float> class_logits, d_class_logits;  // [samples, classes]
};

DenseDiscriminator::Work& DenseDiscriminator::work() {
  thread_local Work mine;
  return mine;
}

DenseDiscriminator::DenseDiscriminator(const TrainingSpec& spec,
                                       std::vector<std::size_t> widths)
    : spec_(spec),
      widths_(std::move(widths)),
      layers_(widths_, /*linear_end=*/false),
      last_({features(), outputs()}, /*linear_end=*/true) {
  if (spec.condition == Condition::kProjection)
    embedding_gradient_.resize(spec.image.classes * features());
}

std::size_t DenseDiscriminator::parameter_count() const {
  return layers_.parameter_count() + last_.parameter_count() +
         embedding_gradient_.size();
}

// The number of the last layer's outputs: real/fake, and with ACGAN the
// classes.
std::size_t DenseDiscriminator::outputs() const {
  return spec_.condition == Condition::kAcgan ? 1 + spec_.image.classes : 1;
}

const float* DenseDiscriminator::embedding_of(const float* parameters,
                                              std::int64_t label) const {
  return parameters + layers_.parameter_count() + last_.parameter_count() +
         static_cast<std::size_t>(label) * features();
}

void DenseDiscriminator::add_to_embedding(std::int64_t label, float factor,
                                          const float* features_of_sample) {
  add(features(), factor, features_of_sample,
      embedding_gradient_.data() +
          static_cast<std::size_t>(label) * features());
}

void DenseDiscriminator::prepare(std::size_t samples, std::size_t rows,
                                 Work& w) const {
  layers_.prepare(w.layers, rows);
  last_.prepare(w.last, rows);
  w.logits.resize(samples);
  w.d_logits.resize(samples);
  w.class_logits.resize(samples * (outputs() - 1));
  w.d_class_logits.resize(samples * (outputs() - 1));
}

// layers.input -> logits and class_logits of all samples.
void DenseDiscriminator::forward(const float* parameters, Labels labels,
                                 Work& w) const {
  const std::size_t n = w.logits.size();
  layers_.forward(parameters, w.layers, 0, n);
  std::copy_n(w.layers.output(0), n * features(), w.last.input(0));
  last_.forward(parameters + layers_.parameter_count(), w.last, 0, n);
  for (std::size_t s = 0; s < n; ++s) {
    const float* out = w.last.output(s);
    w.logits[s] = out[0];
    std::copy_n(out + 1, outputs() - 1,
                w.class_logits.data() + s * (outputs() - 1));
    if (!embedding_gradient_.empty())
      w.logits[s] +=
          dot(embedding_of(parameters, labels[s]), w.last.input(s), features());
  }
}

// D's loss, and its gradient in d_logits and d_class_logits.
double DenseDiscriminator::differentiate(Labels labels, Work& w) const {
  const std::size_t b = spec_.batch;
  const std::span<const float> logits(w.logits);
  const std::span<float> d_logits(w.d_logits);
  double loss = discriminator_loss(spec_.loss, logits.first(b), logits.last(b),
                                   d_logits.first(b), d_logits.last(b));
  if (spec_.condition != Condition::kAcgan) return loss;
  const std::size_t half = w.class_logits.size() / 2;
  const std::span<const float> class_logits(w.class_logits);
  const std::span<float> d_class_logits(w.d_class_logits);
  loss += class_loss(class_logits.first(half), labels.first(b),
                     d_class_logits.first(half));
  loss += class_loss(class_logits.last(half), labels.last(b),
                     d_class_logits.last(half));
  return loss;
}

// Goes back through the last layer: last.output_gradient ->
// layers.output_gradient, for rows [row, row + n), whose labels these are.
void DenseDiscriminator::through_last(const float* parameters, std::size_t row,
                                      std::size_t n, Labels labels,
                                      Work& w) const {
  last_.backward(parameters + layers_.parameter_count(), w.last, row, n, row,
                 /*to_input=*/true);
  std::copy_n(w.last.input_gradient(row), n * features(),
              w.layers.output_gradient(row));
  if (embedding_gradient_.empty()) return;
  for (std::size_t s = 0; s < n; ++s)
    add(features(), *w.last.output_gradient(row + s),
        embedding_of(parameters, labels[s]), w.layers.output_gradient(row + s));
}

DenseDiscriminator::Report DenseDiscriminator::step(
    std::span<const float> images, Labels labels, const DenseAdamState& state,
    const AdamCoefficients& coefficients) {
  Work& w = work();
  const std::size_t b = spec_.batch, n = 2 * b;
  const std::array<double, 2> gammas{spec_.r1_gamma, spec_.r2_gamma};
  const auto penalties = static_cast<std::size_t>(std::count_if(
      gammas.begin(), gammas.end(), [](double g) { return g > 0; }));
  const std::size_t rows = n + penalties * b;
  prepare(n, rows, w);
  std::copy(images.begin(), images.end(), w.layers.input(0));
  forward(state.values, labels, w);
  Report report{.loss = differentiate(labels, w)};
  if (spec_.augment == Augment::kAda)
    report.real_signs = sum_of_signs(std::span(w.logits).first(b));

  std::fill(embedding_gradient_.begin(), embedding_gradient_.end(), 0.0F);
  if (!embedding_gradient_.empty())
    for (std::size_t s = 0; s < n; ++s)
      add_to_embedding(labels[s], w.d_logits[s], w.last.input(s));
  join(w.d_logits, w.d_class_logits, w.last.output_gradient(0));
  through_last(state.values, 0, n, labels, w);
  layers_.backward(state.values, w.layers, 0, n, 0, /*to_input=*/false);
  std::size_t row = n;
  for (std::size_t half = 0; half < 2; ++half) {
    if (gammas[half] <= 0) continue;
    report.loss += penalise(state.values, gammas[half], half, row, labels, w);
    row += b;
  }

  const std::size_t at = layers_.parameter_count();
  layers_.adam(w.layers, rows, n, state, coefficients);
  last_.adam(w.last, rows, n, shifted(state, at), coefficients);
  const auto embedding = shifted(state, at + last_.parameter_count());
  adam_step(embedding_gradient_.size(), embedding.values,
            embedding_gradient_.data(), embedding.first_moment,
            embedding.second_moment, nullptr, coefficients);
  return report;
}

// gamma/2 E|g|^2 of a half, g = d logits / d images, worked out in rows
// [row, row + b). Its derivative by any parameter is <gamma/b g, dg>. g is a
// backward pass from 1 at the logits, linear in each layer's weights, so that
// derivative is the backward pass's gradients times the tangent of gamma/b g
// through the layers: these rows join the samples' in the products of adam().
// LeakyReLU's second derivative is zero, and biases have no part in g.
double DenseDiscriminator::penalise(const float* parameters, double gamma,
                                    std::size_t half, std::size_t row,
                                    Labels labels, Work& w) {
  const std::size_t b = spec_.batch, of = half * b;
  const Labels own = labels.empty() ? labels : labels.subspan(of, b);
  float* output = w.last.output_gradient(row);
  std::fill_n(output, b * outputs(), 0.0F);
  for (std::size_t s = 0; s < b; ++s) output[s * outputs()] = 1;
  through_last(parameters, row, b, own, w);
  layers_.backward(parameters, w.layers, row, b, of, /*to_input=*/true);

  const double scale = gamma / static_cast<double>(b);
  const float* gradient = w.layers.input_gradient(row);
  float* direction = w.layers.input(row);
  double squares = 0;
  for (std::size_t i = 0; i < b * widths_.front(); ++i) {
    squares += double{gradient[i]} * double{gradient[i]};
    direction[i] = static_cast<float>(scale) * gradient[i];
  }
  layers_.tangent(parameters, w.layers, row, b, of);
  std::copy_n(w.layers.output(row), b * features(), w.last.input(row));
  if (!embedding_gradient_.empty())
    for (std::size_t s = 0; s < b; ++s)
      add_to_embedding(own[s], 1, w.last.input(row + s));
  return squares * scale / 2;
}

double DenseDiscriminator::feedback(const float* parameters,
                                    std::span<const float> images,
                                    Labels labels, std::span<float> gradient,
                                    std::span<float> logits) const {
  Work& w = work();
  const std::size_t b = logits.size(), n = images.size() / widths_.front();
  const std::size_t first = n - b;  // of the generated ones: 0, or b
  MDGAN_CHECK(first == (pairs_images(spec_.loss) ? b : 0));
  prepare(n, n, w);
  std::copy(images.begin(), images.end(), w.layers.input(0));
  forward(parameters, labels, w);
  const Labels own = labels.empty() ? labels : labels.last(b);
  const std::span<float> d_logits = std::span(w.d_logits).last(b);
  const std::span<const float> y(w.logits);
  double loss = generator_loss(spec_.loss, y.last(b), d_logits, y.first(first));
  const std::span<float> d_class_logits =
      std::span(w.d_class_logits).last(b * (outputs() - 1));
  if (spec_.condition == Condition::kAcgan)
    loss += class_loss(std::span(w.class_logits).last(d_class_logits.size()),
                       own, d_class_logits);
  join(d_logits, d_class_logits, w.last.output_gradient(first));
  through_last(parameters, first, b, own, w);
  layers_.backward(parameters, w.layers, first, b, first, /*to_input=*/true);
  std::copy_n(w.layers.input_gradient(first), gradient.size(),
              gradient.begin());
  std::ranges::copy(y.last(b), logits.begin());
  return loss;
}

}  // namespace mdgan
