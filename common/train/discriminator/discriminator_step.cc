#include "common/train/discriminator/discriminator_step.h"

#include <torch/torch.h>

#include <algorithm>
#include <utility>

#include "common/losses/adversarial.h"
#include "common/tensor/in_host_memory.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/discriminator/trained_discriminator.h"

namespace mdgan {
namespace {

class AutogradStep final : public DiscriminatorStep {
 public:
  explicit AutogradStep(TrainedDiscriminator& d) : d_(d) {}

  DiscriminatorReport step(const torch::Tensor& x, const torch::Tensor& y,
                           Random& random) override {
    const auto [loss, real_logits] = d_.step(x, y, random);
    torch::Tensor report = loss.view(1);
    if (d_.spec.augment == Augment::kAda)
      report = torch::stack(
          {loss, torch::where(real_logits.isnan(), real_logits,
                              real_logits.sign())  // sign(NaN) is 0
                     .sum()});
    DiscriminatorReport made;
    if (report.is_cpu())
      read(report, made);
    else
      made.on_device = report;
    return made;
  }

  PeerFeedback feedback(const torch::Tensor& images,
                        const torch::Tensor& labels,
                        DiscriminatorReports& reports) override {
    torch::Tensor x = images.detach(), y = labels, real_logits;
    if (pairs_images(d_.spec.loss)) {
      real_logits = logits_alone(half(x, 0), half(y, 0));
      x = half(x, 1);
      y = half(y, 1);
    }
    x.requires_grad_(true);
    const DiscriminatorOutput output = d_.forward(x, y);
    const torch::Tensor loss = generator_loss(d_.spec, output, real_logits, y);
    // Unlike backward(), grad() does not compute D's own gradients.
    const auto gradient = torch::autograd::grad({loss}, {x}).front();
    std::vector<torch::Tensor> answer = std::exchange(reports.on_device, {});
    answer.insert(answer.end(), {gradient, output.logits, loss});
    answer = in_host_memory(answer);
    const auto end = answer.end();
    std::for_each(answer.begin(), end - 3, [&](const torch::Tensor& of_step) {
      read(of_step, reports);
    });
    return {to_blob(end[-3]), to_blob(end[-2]), end[-1].item<double>(),
            reports.mean_loss()};
  }

 private:
  // Adds what a step has reported, on the CPU.
  template <typename Report>
  static void read(const torch::Tensor& of_step, Report& to) {
    to.loss += of_step[0].item<double>();
    if (of_step.size(0) > 1) to.real_signs += of_step[1].item<double>();
  }

  torch::Tensor logits_alone(const torch::Tensor& x,
                             const torch::Tensor& y) const {
    const torch::NoGradGuard no_gradients;
    return d_.forward(x, y).logits;
  }

  TrainedDiscriminator& d_;
};

}  // namespace

void DiscriminatorReports::add(const DiscriminatorReport& report) {
  ++steps;
  loss += report.loss;
  real_signs += report.real_signs;
  if (report.on_device.defined()) on_device.push_back(report.on_device);
}

torch::Tensor half(const torch::Tensor& both, std::int64_t which) {
  if (!both.defined()) return both;
  const std::int64_t n = both.size(0) / 2;
  return both.narrow(0, which * n, n);
}

torch::Tensor discriminator_loss(const TrainingSpec& spec,
                                 const DiscriminatorOutput& real,
                                 const DiscriminatorOutput& generated,
                                 const torch::Tensor& y) {
  torch::Tensor loss =
      discriminator_loss(spec.loss, real.logits, generated.logits);
  if (spec.condition != Condition::kAcgan) return loss;
  return loss + class_loss(real.class_logits, half(y, 0)) +
         class_loss(generated.class_logits, half(y, 1));
}

torch::Tensor generator_loss(const TrainingSpec& spec,
                             const DiscriminatorOutput& generated,
                             const torch::Tensor& real_logits,
                             const torch::Tensor& y) {
  torch::Tensor loss = generator_loss(spec.loss, generated.logits, real_logits);
  if (spec.condition != Condition::kAcgan) return loss;
  return loss + class_loss(generated.class_logits, y);
}

std::unique_ptr<DiscriminatorStep> make_autograd_step(TrainedDiscriminator& d) {
  return std::make_unique<AutogradStep>(d);
}

}  // namespace mdgan
