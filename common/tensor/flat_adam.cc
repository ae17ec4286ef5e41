#include "common/tensor/flat_adam.h"

#include <torch/torch.h>

#include <cmath>

#include "common/base/result.h"
#include "common/base/work_sharer.h"

namespace mdgan {
namespace {

// The number of floats in a cache line.
constexpr std::int64_t kLine = 16;
// A step on fewer values ends before a work sharer has begun.
constexpr std::int64_t kWorthSharing = std::int64_t{1} << 16;

float* floats(torch::Tensor& tensor) { return tensor.data_ptr<float>(); }

AdamCoefficients coefficients_of(const AdamSpec& spec, std::uint64_t steps,
                                 double decay) {
  const auto t = static_cast<double>(steps);
  const double correction1 = 1.0 - std::pow(spec.beta1, t);
  const double correction2 = 1.0 - std::pow(spec.beta2, t);
  return {.beta1 = static_cast<float>(spec.beta1),
          .one_minus_beta1 = static_cast<float>(1.0 - spec.beta1),
          .beta2 = static_cast<float>(spec.beta2),
          .one_minus_beta2 = static_cast<float>(1.0 - spec.beta2),
          .step_size = static_cast<float>(spec.learning_rate / correction1),
          .second_scale = static_cast<float>(1.0 / std::sqrt(correction2)),
          .epsilon = static_cast<float>(spec.epsilon),
          .decay = static_cast<float>(decay),
          .one_minus_decay = static_cast<float>(1.0 - decay)};
}

std::int64_t size_of(const std::vector<torch::Tensor>& parts) {
  std::int64_t size = 0;
  for (const torch::Tensor& part : parts) size += part.numel();
  return size;
}

torch::Tensor joined(const std::vector<torch::Tensor>& parts) {
  std::vector<torch::Tensor> flat;
  for (const torch::Tensor& part : parts) flat.push_back(part.flatten());
  return torch::cat(flat);
}

}  // namespace

void adam_step_on_device(torch::Tensor& values, const torch::Tensor& gradients,
                         torch::Tensor& first_moment,
                         torch::Tensor& second_moment, torch::Tensor* average,
                         const AdamCoefficients& c) {
  first_moment.mul_(c.beta1).add_(gradients, c.one_minus_beta1);
  second_moment.mul_(c.beta2).addcmul_(gradients, gradients, c.one_minus_beta2);
  const torch::Tensor denominator =
      second_moment.sqrt().mul_(c.second_scale).add_(c.epsilon);
  values.addcdiv_(first_moment, denominator, -c.step_size);
  if (average != nullptr)
    average->mul_(c.decay).add_(values, c.one_minus_decay);
}

FlatAdam::FlatAdam(const AdamSpec& spec, const torch::Tensor& values)
    : spec_(spec),
      first_(torch::zeros_like(values)),
      second_(torch::zeros_like(values)) {
  MDGAN_CHECK(values.dim() == 1 && values.is_contiguous());
}

void FlatAdam::step(torch::Tensor& values, const torch::Tensor& gradients) {
  apply(values, {gradients}, nullptr, 0.0);
}

void FlatAdam::step(torch::Tensor& values, const torch::Tensor& gradients,
                    torch::Tensor& average, double decay) {
  apply(values, {gradients}, &average, decay);
}

void FlatAdam::step(torch::Tensor& values,
                    const std::vector<torch::Tensor>& parts) {
  apply(values, parts, nullptr, 0.0);
}

void FlatAdam::step(torch::Tensor& values,
                    const std::vector<torch::Tensor>& parts,
                    torch::Tensor& average, double decay) {
  apply(values, parts, &average, decay);
}

void FlatAdam::apply(torch::Tensor& values,
                     const std::vector<torch::Tensor>& parts,
                     torch::Tensor* average, double decay) {
  MDGAN_CHECK(values.numel() == first_.numel());
  MDGAN_CHECK(size_of(parts) == first_.numel());
  const torch::NoGradGuard no_grad;
  const AdamCoefficients c = next_step(decay);
  if (!values.is_cpu()) {
    adam_step_on_device(values, joined(parts), first_, second_, average, c);
    return;
  }
  std::int64_t at = 0;
  for (const torch::Tensor& part : parts) {
    MDGAN_CHECK(part.is_contiguous());
    const auto step = [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t of = at + begin;
      adam_step(static_cast<std::size_t>(end - begin), floats(values) + of,
                part.data_ptr<float>() + begin, floats(first_) + of,
                floats(second_) + of,
                average == nullptr ? nullptr : floats(*average) + of, c);
    };
    const std::int64_t n = part.numel(), half = n / 2 / kLine * kLine;
    if (n < kWorthSharing || !has_work_sharer())
      step(0, n);
    else
      side_by_side([&] { step(half, n); }, [&] { step(0, half); });
    at += n;
  }
}

AdamCoefficients FlatAdam::next_step(double decay) {
  return coefficients_of(spec_, ++steps_, decay);
}

void FlatAdam::reset() {
  first_.zero_();
  second_.zero_();
  steps_ = 0;
}

void FlatAdam::restore(const torch::Tensor& first_moment,
                       const torch::Tensor& second_moment,
                       std::uint64_t steps) {
  first_.copy_(first_moment);
  second_.copy_(second_moment);
  steps_ = steps;
}

}  // namespace mdgan
