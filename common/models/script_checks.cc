#include "common/models/script_checks.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/tensor/flat_parameters.h"

namespace mdgan {
namespace {

using torch::Tensor;

// Sums are made in another order for another number of images.
constexpr float kRounding = 1e-3F;

void check_parameters(const torch::nn::Module& model, const char* part) {
  const auto parameters = model.named_parameters();
  if (parameters.is_empty()) refuse("its {} has no parameters", part);
  std::vector<const void*> memory;
  for (const auto& item : parameters) {
    const Tensor& value = item.value();
    if (value.scalar_type() != torch::kFloat32)
      refuse("the parameter {} of its {} is {}, where Float was expected",
             item.key(), part, type_and_dims(value));
    if (!value.requires_grad())
      refuse(
          "the parameter {} of its {} takes no gradient, and all are trained: "
          "make it a plain tensor",
          item.key(), part);
    if (std::ranges::find(memory, value.data_ptr()) != memory.end())
      refuse("the parameter {} of its {} shares its memory with another",
             item.key(), part);
    memory.push_back(value.data_ptr());
  }
}

void check_repeats(const Tensor& once, const Tensor& again, const char* part) {
  if (!once.equal(again))
    refuse(
        "its {} gives other values for the same inputs the second time: it "
        "draws random numbers, which no run could repeat, or changes itself",
        part);
}

// Inputs of about the size of training's, all different.
Tensor inputs(torch::IntArrayRef dims) {
  const std::int64_t count = c10::multiply_integers(dims);
  return torch::sin(torch::arange(1, count + 1, torch::kFloat32)).view(dims);
}

Tensor images_of(std::int64_t n, const ImageShape& image) {
  return inputs({n, image.channels, image.height, image.width});
}

Tensor labels_of(std::int64_t n, const ImageShape& image) {
  return torch::arange(n, torch::kInt64)
      .remainder(std::max<std::int64_t>(1, image.classes));
}

}  // namespace

std::string type_and_dims(const Tensor& tensor) {
  return fmt::format("{} [{}]", c10::toString(tensor.scalar_type()),
                     fmt::join(tensor.sizes(), ", "));
}

void check_network(Generator& model, const ImageShape& image,
                   std::uint32_t latent) {
  constexpr const char* kPart = "generator";
  check_parameters(model, kPart);
  const torch::AutoGradMode with_gradients(true);
  const auto images = [&](std::int64_t n) {
    return model.forward(inputs({n, latent}), labels_of(n, image));
  };
  const Tensor once = images(2);
  if (!once.requires_grad())
    refuse("no gradient reaches the parameters of its {}", kPart);
  gradients_of(once.sum(), {}, model.parameters());
  check_repeats(once, images(2), kPart);
  images(3);
  model.eval();  // as pictures are drawn
  images(2);
  model.train();
}

void check_network(Discriminator& model, const ImageShape& image) {
  constexpr const char* kPart = "discriminator";
  check_parameters(model, kPart);
  if (!model.buffers().empty())
    refuse(
        "its {} has the buffer {}, and running statistics do not survive a "
        "swap: use a layer without any, such as GroupNorm, or a plain tensor "
        "for a constant",
        kPart, model.named_buffers().begin()->key());
  const torch::AutoGradMode with_gradients(true);
  const Tensor x = images_of(2, image).requires_grad_(true);
  const Tensor y = labels_of(2, image);
  const DiscriminatorOutput once = model.forward(x, y);
  if (!once.logits.requires_grad())
    refuse("no gradient comes back through its {}", kPart);
  std::vector<Tensor> by = model.parameters();
  by.push_back(x);
  const auto gradients =
      torch::autograd::grad({once.logits.sum()}, by, {}, /*retain_graph=*/false,
                            /*create_graph=*/false, /*allow_unused=*/true);
  if (!gradients.back().defined())
    refuse("no gradient reaches the images through its {}", kPart);
  const DiscriminatorOutput again = model.forward(x, y);
  check_repeats(once.logits, again.logits, kPart);
  if (once.class_logits.defined())
    check_repeats(once.class_logits, again.class_logits, kPart);
  // Training gives it real and generated images in one batch.
  const Tensor images = images_of(3, image), labels = labels_of(3, image);
  const auto logits = [&](std::int64_t first, std::int64_t n) {
    return model.forward(images.narrow(0, first, n), labels.narrow(0, first, n))
        .logits;
  };
  const Tensor together = logits(0, 3);
  const Tensor change = together - torch::cat({logits(0, 1), logits(1, 2)});
  if (change.abs().max().item<float>() >
      kRounding * together.abs().max().item<float>())
    refuse(
        "its {} compares the images of a batch with each other, and real and "
        "generated ones come in one: let a logit depend on its own image alone",
        kPart);
}

void differentiate_twice(Discriminator& model, const ImageShape& image) {
  const torch::AutoGradMode with_gradients(true);
  const Tensor x = images_of(2, image).requires_grad_(true);
  const Tensor logits = model.forward(x, labels_of(2, image)).logits;
  const Tensor first =
      torch::autograd::grad({logits.sum()}, {x}, {}, /*retain_graph=*/true,
                            /*create_graph=*/true)
          .front();
  if (!first.requires_grad())
    refuse(
        "its discriminator's gradient by the images does not depend on "
        "its parameters");
  gradients_of(first.square().sum(), {}, model.parameters());
}

}  // namespace mdgan
