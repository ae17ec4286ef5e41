// DiscriminatorStep for dense layers on the CPU: the layers by
// common/dense/dense_stack.h, only the last, small one and the loss by
// autograd.

#include <torch/torch.h>

#include <algorithm>
#include <span>
#include <vector>

#include "common/dense/dense_stack.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/tensor_blob.h"
#include "peer/train/discriminator_step.h"

namespace mdgan {
namespace {

// One for each thread that computes, however many discriminators it serves.
DenseScratch& scratch() {
  thread_local DenseScratch mine;
  return mine;
}

void copy(std::span<const float> from, float* to) {
  std::copy(from.begin(), from.end(), to);
}

std::span<const float> floats(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

class DenseStep final : public DiscriminatorStep {
 public:
  explicit DenseStep(TrainedDiscriminator& d);

  torch::Tensor step(const torch::Tensor& x, const torch::Tensor& y,
                     Random& random) override;
  PeerFeedback feedback(const torch::Tensor& x,
                        const torch::Tensor& y) override;

 private:
  // One half's penalty gamma/2 E|d logits / d images|^2, worked out in rows
  // [row, row + b) from the activations in rows [of, of + b).
  struct Penalty {
    double gamma;
    std::int64_t which;  // half: 0 real, 1 generated
    std::size_t row, of;
  };

  torch::Tensor features(std::size_t row, std::size_t n) const;
  void penalise(const Penalty& penalty, const torch::Tensor& logits,
                const torch::Tensor& seen, torch::Tensor& value,
                torch::Tensor& loss);

  TrainedDiscriminator& d_;
  const DenseStack stack_;
  const std::size_t batch_;
  torch::Tensor
      head_gradients_;  // [P - the stack's], what the last layer views
};

std::vector<torch::Tensor> head_parameters(const TrainedDiscriminator& d) {
  const std::size_t layers = d.model->dense_widths().size() - 1;
  std::vector<torch::Tensor> parameters = d.model->parameters();
  parameters.erase(
      parameters.begin(),
      parameters.begin() + static_cast<std::ptrdiff_t>(2 * layers));
  return parameters;
}

DenseStep::DenseStep(TrainedDiscriminator& d)
    : d_(d),
      stack_(d.model->dense_widths(), /*linear_end=*/false),
      batch_(d.spec.batch),
      head_gradients_(flatten_gradients(head_parameters(d))) {
  MDGAN_CHECK(stack_.parameter_count() +
                  static_cast<std::size_t>(head_gradients_.numel()) ==
              static_cast<std::size_t>(d.values.numel()));
  // Their gradients are never materialised.
  for (const torch::Tensor& parameter : d.model->parameters())
    if (!parameter.grad().defined()) parameter.set_requires_grad(false);
}

// The last layer's input, a leaf of its graph.
torch::Tensor DenseStep::features(std::size_t row, std::size_t n) const {
  const auto width = static_cast<std::int64_t>(d_.model->dense_widths().back());
  return torch::from_blob(scratch().output(row),
                          {static_cast<std::int64_t>(n), width})
      .requires_grad_(true);
}

torch::Tensor DenseStep::step(const torch::Tensor& x, const torch::Tensor& y,
                              Random&) {
  const std::size_t n = 2 * batch_;
  std::vector<Penalty> penalties;
  std::size_t rows = n;
  for (const std::int64_t which : {0, 1}) {
    const double gamma = which == 0 ? d_.spec.r1_gamma : d_.spec.r2_gamma;
    if (gamma <= 0) continue;
    const std::size_t of = static_cast<std::size_t>(which) * batch_;
    penalties.push_back({gamma, which, rows, of});
    rows += batch_;
  }
  DenseScratch& s = scratch();
  stack_.prepare(s, rows);
  auto* const values = d_.values.data_ptr<float>();
  copy(floats(x), s.input(0));
  stack_.forward(values, s, 0, n);

  const torch::Tensor seen = features(0, n);
  const auto [logits, class_logits] = d_.model->head(seen, y);
  torch::Tensor loss =
      discriminator_loss(d_.spec, {half(logits, 0), half(class_logits, 0)},
                         {half(logits, 1), half(class_logits, 1)}, y);
  torch::Tensor value = loss.detach();
  for (const Penalty& penalty : penalties)
    penalise(penalty, logits, seen, value, loss);
  head_gradients_.zero_();
  loss.backward();
  copy(floats(seen.grad()), s.output_gradient(0));
  stack_.backward(values, s, 0, n, 0, /*to_input=*/false);

  const AdamCoefficients step = d_.adam.next_step();
  const DenseAdamState state{values, d_.adam.first_moment().data_ptr<float>(),
                             d_.adam.second_moment().data_ptr<float>()};
  stack_.adam(s, rows, n, state, step);
  const std::size_t at = stack_.parameter_count();
  adam_step(static_cast<std::size_t>(head_gradients_.numel()), values + at,
            head_gradients_.data_ptr<float>(), state.first_moment + at,
            state.second_moment + at, nullptr, step);
  return value;
}

// With g = d logits / d images, the penalty's derivative by any parameter is
// <gamma/b g, dg>. g is a backward pass from e = d logits / d features, linear
// in each layer's weights, so that derivative is the backward pass's gradients
// times the tangent of gamma/b g through the layers: the rows that this fills
// join the samples' in the products of DenseStack::adam. By e it is <e, the
// tangent at the features>. LeakyReLU's second derivative is zero, and biases
// have no part in g.
void DenseStep::penalise(const Penalty& penalty, const torch::Tensor& logits,
                         const torch::Tensor& seen, torch::Tensor& value,
                         torch::Tensor& loss) {
  DenseScratch& s = scratch();
  const auto* const values = d_.values.data_ptr<float>();
  const torch::Tensor e =
      half(torch::autograd::grad({half(logits, penalty.which).sum()}, {seen},
                                 /*grad_outputs=*/{}, /*retain_graph=*/true,
                                 /*create_graph=*/true)
               .front(),
           penalty.which);
  copy(floats(e.detach().contiguous()), s.output_gradient(penalty.row));
  stack_.backward(values, s, penalty.row, batch_, penalty.of,
                  /*to_input=*/true);

  const auto size =
      static_cast<std::int64_t>(batch_ * d_.model->dense_widths().front());
  const torch::Tensor gradient =
      torch::from_blob(s.input_gradient(penalty.row), {size});
  const double scale = penalty.gamma / static_cast<double>(batch_);
  torch::Tensor direction = torch::from_blob(s.input(penalty.row), {size});
  torch::mul_out(direction, gradient, torch::scalar_tensor(scale));
  stack_.tangent(values, s, penalty.row, batch_, penalty.of);
  value = value + gradient.square().sum() * (scale / 2);
  loss = loss + (e * features(penalty.row, batch_).detach()).sum();
}

PeerFeedback DenseStep::feedback(const torch::Tensor& x,
                                 const torch::Tensor& y) {
  DenseScratch& s = scratch();
  const auto n = static_cast<std::size_t>(x.size(0));
  stack_.prepare(s, n);
  const auto* const values = d_.values.data_ptr<float>();
  copy(floats(x), s.input(0));
  stack_.forward(values, s, 0, n);
  const torch::Tensor seen = features(0, n);
  const DiscriminatorOutput output = d_.model->head(seen, y);
  const torch::Tensor loss = generator_loss(d_.spec, output, y);
  const auto gradient = torch::autograd::grad({loss}, {seen}).front();
  copy(floats(gradient), s.output_gradient(0));
  stack_.backward(values, s, 0, n, 0, /*to_input=*/true);
  torch::Tensor feedback = torch::empty(x.sizes());
  copy({s.input_gradient(0), static_cast<std::size_t>(feedback.numel())},
       feedback.data_ptr<float>());
  return {to_blob(feedback), to_blob(output.logits), loss.item<double>()};
}

}  // namespace

std::unique_ptr<DiscriminatorStep> make_dense_step(TrainedDiscriminator& d) {
  if (d.model->dense_widths().empty() || !d.values.is_cpu() ||
      d.spec.loss == Loss::kWassersteinGp)
    return nullptr;
  return std::make_unique<DenseStep>(d);
}

}  // namespace mdgan
