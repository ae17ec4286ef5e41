#include "common/train/discriminator/private_step.h"
#include "common/tensor/precision.h"

#include <torch/torch.h>

#include <span>
#include <utility>
#include <vector>

#include "common/kernels/convolution/convolution_stack.h"
#include "common/losses/adversarial.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/leaky_slope.h"
#include "common/train/discriminator/trained_discriminator.h"

namespace mdgan {
namespace {

// By so much of its length rounding may make a clipped gradient longer: that of
// float32 sums, or TF32's, which has 10 bits of the factors of products.
double rounding() { return precision() == Precision::kTf32 ? 2e-3 : 1e-5; }

// The logit, but for its sign, of an image of which D is so sure that the loss
// on it is exactly 0. So one function gives either half of D's loss.
constexpr float kSure = 1e4F;

torch::Tensor sure(const torch::Tensor& like, float logit) {
  return torch::full({1}, logit, like.options().requires_grad(false));
}

// The mean loss on images of one half alone.
torch::Tensor half_loss(const TrainingSpec& spec, Half half,
                        const DiscriminatorOutput& output,
                        const torch::Tensor& y) {
  const torch::Tensor& logits = output.logits;
  torch::Tensor loss =
      half == Half::kReal
          ? discriminator_loss(spec.loss, logits, sure(logits, -kSure))
          : discriminator_loss(spec.loss, sure(logits, kSure), logits);
  if (spec.condition == Condition::kAcgan)
    loss = loss + class_loss(output.class_logits, y);
  return loss;
}

// R2, on generated images. REQUIRES: r2_gamma > 0.
torch::Tensor penalty(const TrainingSpec& spec, Discriminator& model,
                      const LabelledImages& generated) {
  const torch::AutoGradMode with_gradients(true);
  const LayerByLayerGuard guard;  // its layers can be differentiated twice
  const torch::Tensor x = generated.x.detach().requires_grad_(true);
  return zero_centred_penalty(model.forward(x, generated.y).logits, x,
                              spec.r2_gamma);
}

// By what each gradient is multiplied, [n], given the squares of their lengths.
torch::Tensor factors(const torch::Tensor& squares, double clip) {
  const torch::Tensor norm = squares.sqrt() * (1 + rounding());
  const torch::Tensor factor = torch::clamp_max(clip / norm, 1.0);
  return torch::where(torch::isfinite(squares), factor,
                      torch::zeros_like(factor));
}

torch::Tensor squared_rows(const torch::Tensor& rows) {
  return rows.to(torch::kFloat64).square().sum(1);
}

// A dense layer's part of the flat buffer.
struct DenseLayer {
  torch::Tensor weight;  // [out, in]
  torch::Tensor bias;    // [out]; undefined: it has none
};

// Cuts layers off the front of `flat` [P], in the order of the parameters.
class DenseLayers {
 public:
  explicit DenseLayers(torch::Tensor flat) : flat_(std::move(flat)) {}
  DenseLayer next(std::int64_t out, std::int64_t in, bool has_bias = true) {
    DenseLayer layer;
    layer.weight = cut(out * in).view({out, in});
    if (has_bias) layer.bias = cut(out);
    return layer;
  }
  std::int64_t left() const { return flat_.numel() - at_; }

 private:
  torch::Tensor cut(std::int64_t count) {
    at_ += count;
    return flat_.narrow(0, at_ - count, count);
  }
  torch::Tensor flat_;
  std::int64_t at_ = 0;
};

// What a dense layer was given, and the gradients by what it gave: [n, in] and
// [n, out].
struct Pass {
  torch::Tensor input;
  torch::Tensor gradient;

  torch::Tensor squares(bool has_bias) const {
    return squared_rows(gradient) * (squared_rows(input) + (has_bias ? 1 : 0));
  }
  void sum_into(const DenseLayer& out, const torch::Tensor& factor) const {
    const torch::Tensor shortened = gradient * factor.unsqueeze(1);
    out.weight.copy_(torch::mm(shortened.t(), input));
    if (out.bias.defined()) out.bias.copy_(shortened.sum(0));
  }
};

// Of the last layer: its outputs' gradients, and those of its input.
std::pair<torch::Tensor, torch::Tensor> through_head(
    const TrainingSpec& spec, Half half, Discriminator& model,
    const torch::Tensor& features, const torch::Tensor& y) {
  const torch::AutoGradMode with_gradients(true);
  const torch::Tensor f = features.detach().requires_grad_(true);
  const DiscriminatorOutput output = model.head(f, y);
  std::vector<torch::Tensor> by{f, output.logits};
  if (output.class_logits.defined()) by.push_back(output.class_logits);
  const torch::Tensor sum =
      half_loss(spec, half, output, y) * static_cast<double>(features.size(0));
  std::vector<torch::Tensor> gradients = torch::autograd::grad({sum}, by);
  torch::Tensor outputs = gradients[1].unsqueeze(1);
  if (gradients.size() > 2) outputs = torch::cat({outputs, gradients[2]}, 1);
  return {outputs, gradients[0]};
}

}  // namespace

torch::Tensor clipped_sum_one_by_one(TrainedDiscriminator& d, Half half,
                                     const LabelledImages& images,
                                     double clip) {
  Discriminator& model = d.model();
  const std::vector<torch::Tensor> parameters = model.parameters();
  torch::Tensor sum = torch::zeros_like(d.values());
  for (std::int64_t i = 0; i < images.x.size(0); ++i) {
    const torch::Tensor y =
        images.y.defined() ? images.y.narrow(0, i, 1) : images.y;
    const torch::Tensor loss =
        half_loss(d.spec, half, model.forward(images.x.narrow(0, i, 1), y), y);
    std::vector<torch::Tensor> parts = gradients_of(loss, {}, parameters);
    for (torch::Tensor& part : parts) part = part.flatten();
    const torch::Tensor gradient = torch::cat(parts);
    const torch::Tensor factor =
        factors(squared_rows(gradient.unsqueeze(0)), clip);
    // A gradient that is not finite times 0 would not be 0.
    if (factor.item<double>() > 0) sum.add_(gradient, factor.item<double>());
  }
  return sum;
}

torch::Tensor clipped_sum_dense(TrainedDiscriminator& d, Half half,
                                const LabelledImages& images, double clip) {
  const torch::NoGradGuard no_gradients;
  Discriminator& model = d.model();
  torch::Tensor sum = torch::zeros_like(d.values());
  if (images.x.size(0) == 0) return sum;
  std::vector<std::int64_t> widths;
  for (const std::size_t width : model.dense_widths())
    widths.push_back(static_cast<std::int64_t>(width));

  DenseLayers all(d.values());
  std::vector<DenseLayer> layers;
  std::vector<Pass> passes;
  torch::Tensor x = images.x.flatten(1);
  for (std::size_t i = 1; i < widths.size(); ++i) {
    layers.push_back(all.next(widths[i], widths[i - 1]));
    passes.push_back({x, {}});
    x = torch::leaky_relu(
        torch::addmm(layers[i - 1].bias, x, layers[i - 1].weight.t()),
        kLeakySlope);
  }
  const torch::Tensor features = x;
  auto [head, by] = through_head(d.spec, half, model, features, images.y);
  passes.push_back({features, head});
  for (std::size_t i = layers.size(); i-- > 0;) {
    const torch::Tensor& output = passes[i + 1].input;
    passes[i].gradient = torch::where(output > 0, by, by * kLeakySlope);
    if (i > 0) by = torch::mm(passes[i].gradient, layers[i].weight);
  }

  const bool projects = d.spec.condition == Condition::kProjection;
  torch::Tensor squares = torch::zeros(
      {images.x.size(0)}, d.values().options().dtype(torch::kFloat64));
  for (const Pass& pass : passes) squares += pass.squares(/*has_bias=*/true);
  if (projects) squares += passes.back().squares(/*has_bias=*/false);
  // What is not finite times 0 would not be 0.
  const torch::Tensor finite = torch::isfinite(squares).unsqueeze(1);
  const torch::Tensor factor = factors(squares, clip).to(torch::kFloat32);
  for (Pass& pass : passes) {
    pass.gradient =
        torch::where(finite, pass.gradient, torch::zeros_like(pass.gradient));
    pass.input =
        torch::where(finite, pass.input, torch::zeros_like(pass.input));
  }
  DenseLayers out(sum);
  for (const Pass& pass : passes)
    pass.sum_into(out.next(pass.gradient.size(1), pass.input.size(1)), factor);
  if (projects) {
    const Pass& last = passes.back();
    DenseLayer embedding =
        out.next(out.left() / features.size(1), features.size(1), false);
    embedding.weight.index_add_(
        0, images.y, last.input * last.gradient * factor.unsqueeze(1));
  }
  MDGAN_CHECK(out.left() == 0);
  return sum;
}

namespace {

torch::Tensor clipped_sum(TrainedDiscriminator& d, Half half,
                          const LabelledImages& images, double clip) {
  return d.model().dense_widths().empty()
             ? clipped_sum_one_by_one(d, half, images, clip)
             : clipped_sum_dense(d, half, images, clip);
}

}  // namespace

PrivateGradient private_gradient(TrainedDiscriminator& d,
                                 const PrivacySpec& privacy,
                                 const LabelledImages& real,
                                 const LabelledImages& generated,
                                 SecretRandom& random) {
  torch::Tensor gradient = clipped_sum(d, Half::kReal, real, privacy.clip);
  const torch::Tensor noise = torch::empty({d.size()}, torch::kFloat32);
  random.fill_normal(std::span(noise.data_ptr<float>(),
                               static_cast<std::size_t>(noise.numel())));
  gradient.add_(noise.to(gradient.device()), privacy.noise * privacy.clip);
  gradient.add_(clipped_sum(d, Half::kGenerated, generated, privacy.clip));
  gradient.div_(static_cast<double>(d.spec.batch));
  if (d.spec.r2_gamma > 0) {
    std::int64_t at = 0;
    for (const torch::Tensor& part :
         gradients_of(penalty(d.spec, d.model(), generated), {},
                      d.model().parameters())) {
      gradient.narrow(0, at, part.numel()).add_(part.flatten());
      at += part.numel();
    }
  }
  return {gradient, loss_on_generated(d, generated)};
}

double loss_on_generated(TrainedDiscriminator& d,
                         const LabelledImages& generated) {
  const torch::NoGradGuard no_gradients;
  torch::Tensor loss =
      half_loss(d.spec, Half::kGenerated,
                d.model().forward(generated.x, generated.y), generated.y);
  if (d.spec.r2_gamma > 0)
    loss = loss + penalty(d.spec, d.model(), generated).detach();
  return loss.item<double>();
}

bool mixes_samples(TrainedDiscriminator& d) {
  const torch::NoGradGuard no_gradients;
  const ImageShape& image = d.spec.image;
  const torch::Tensor features = d.model().features(torch::zeros(
      {2, image.channels, image.height, image.width}, d.values().options()));
  // A model that adds nothing returns what it was given.
  return !d.model().mix(features, /*batches=*/1).is_same(features);
}

}  // namespace mdgan
