// The generator's weights and gradients as flat arrays: what travels in FL-GAN
// and data parallelism.

#include <cmath>

#include "common/tensor/guard.h"
#include "common/tensor/in_host_memory.h"
#include "common/train/generator/generator_trainer_impl.h"

namespace mdgan {
namespace {

std::vector<torch::Tensor> floating(std::vector<torch::Tensor> tensors) {
  std::erase_if(tensors, [](const torch::Tensor& tensor) {
    return !tensor.is_floating_point();
  });
  return tensors;
}

// Copies the parts, on any device, into `out`, one after the other.
void write_all(const std::vector<torch::Tensor>& parts, std::span<float> out) {
  for (const torch::Tensor& part : in_host_memory(parts)) {
    const auto count = static_cast<std::size_t>(part.numel());
    MDGAN_CHECK(count <= out.size());
    torch::from_blob(out.data(), part.sizes()).copy_(part);
    out = out.subspan(count);
  }
  MDGAN_CHECK(out.empty());
}

}  // namespace

// Views of flat weights: the parameters [P], then each buffer of floating point
// in its shape.
std::vector<torch::Tensor> GeneratorTrainer::Impl::parts_of(
    std::span<const float> weights) const {
  // from_blob takes no pointer to const; nothing here writes through it.
  const torch::Tensor all =
      torch::from_blob(const_cast<float*>(weights.data()),
                       {static_cast<std::int64_t>(weights.size())})
          .to(device);
  std::vector<torch::Tensor> parts{all.narrow(0, 0, values.numel())};
  std::int64_t at = values.numel();
  for (const torch::Tensor& buffer : floating(model->buffers())) {
    parts.push_back(all.narrow(0, at, buffer.numel()).view(buffer.sizes()));
    at += buffer.numel();
  }
  MDGAN_CHECK(at == all.numel());
  return parts;
}

std::size_t GeneratorTrainer::weight_count() const {
  const Impl& g = *impl_;
  std::int64_t count = g.values.numel();
  for (const torch::Tensor& buffer : floating(g.model->buffers()))
    count += buffer.numel();
  return static_cast<std::size_t>(count);
}

void GeneratorTrainer::copy_weights(std::span<float> out) const {
  plain_exceptions([&] {
    const Impl& g = *impl_;
    std::vector<torch::Tensor> parts{g.values};
    for (const torch::Tensor& buffer : floating(g.model->buffers()))
      parts.push_back(buffer);
    write_all(parts, out);
  });
}

void GeneratorTrainer::set_weights(std::span<const float> weights,
                                   std::uint64_t steps) {
  plain_exceptions([&] {
    Impl& g = *impl_;
    g.open.clear();
    const auto parts = g.parts_of(weights);
    g.values.copy_(parts.front());
    const std::vector<torch::Tensor> buffers(parts.begin() + 1, parts.end());
    assign(floating(g.model->buffers()), buffers);
    if (g.average == nullptr) return;
    const double kept = std::pow(g.spec.ema, static_cast<double>(steps));
    g.average_values.mul_(kept).add_(g.values, 1.0 - kept);
    assign(floating(g.average->buffers()), buffers);
  });
}

Result<void> GeneratorTrainer::gradient(
    Round round, std::span<const Contribution> contributions,
    std::span<float> out) {
  return guarded("cannot compute the generator's gradient", ExitCode::kBug,
                 [&]() -> Result<void> {
                   StepReport ignored;
                   auto back = impl_->gradient(round, contributions, ignored);
                   if (!back) return back.error();
                   std::vector<torch::Tensor> parts = std::move(back->parts);
                   const auto& passed = back->buffers.empty()
                                            ? impl_->model->buffers()
                                            : back->buffers;
                   for (const torch::Tensor& buffer : floating(passed))
                     parts.push_back(buffer);
                   write_all(parts, out);
                   return {};
                 });
}

Result<void> GeneratorTrainer::apply_gradient(Round round,
                                              std::span<const float> gradient) {
  return guarded("cannot step the generator", ExitCode::kBug,
                 [&]() -> Result<void> {
                   Impl& g = *impl_;
                   const auto parts = g.parts_of(gradient);
                   const std::vector<torch::Tensor> buffers(parts.begin() + 1,
                                                            parts.end());
                   if (!std::isfinite(norm_of({parts.front()})))
                     return diverged(round, "the generator's gradient");
                   assign(floating(g.model->buffers()), buffers);
                   g.apply({{parts.front()}, copies_of(g.model->buffers())});
                   return {};
                 });
}

}  // namespace mdgan
