#include "common/models/mlp.h"

#include "common/models/conditional.h"
#include "common/models/linear.h"
#include "common/tensor/leaky.h"

namespace mdgan {
namespace {

constexpr std::int64_t kHidden = 512;

std::int64_t value_count(const ImageShape& image) {
  return static_cast<std::int64_t>(image.values());
}

class MlpGenerator final : public ConditionalGenerator {
 public:
  MlpGenerator(const ImageShape& image, Condition condition,
               std::uint32_t latent)
      : image_(image) {
    fc1_ = register_module("fc1", torch::nn::Linear(latent, kHidden));
    fc2_ = register_module("fc2", torch::nn::Linear(kHidden, kHidden));
    fc3_ =
        register_module("fc3", torch::nn::Linear(kHidden, value_count(image)));
    register_embedding(image, condition, latent);
    widths_ = {latent, kHidden, kHidden, image.values()};
  }

  std::vector<std::size_t> dense_widths() const override { return widths_; }

 private:
  torch::Tensor draw(const torch::Tensor& latents) override {
    torch::Tensor x = leaky(linear(fc1_, latents));
    x = leaky(linear(fc2_, x));
    x = torch::tanh(linear(fc3_, x));
    return x.view({-1, image_.channels, image_.height, image_.width});
  }

  ImageShape image_;
  std::vector<std::size_t> widths_;
  torch::nn::Linear fc1_{nullptr}, fc2_{nullptr}, fc3_{nullptr};
};

class MlpDiscriminator final : public ConditionalDiscriminator {
 public:
  MlpDiscriminator(const ImageShape& image, Condition condition) {
    fc1_ =
        register_module("fc1", torch::nn::Linear(value_count(image), kHidden));
    fc2_ = register_module("fc2", torch::nn::Linear(kHidden, kHidden));
    register_head("fc3", kHidden, image, condition);
    widths_ = {image.values(), kHidden, kHidden};
  }

  std::vector<std::size_t> dense_widths() const override { return widths_; }

 private:
  torch::Tensor features(const torch::Tensor& images) override {
    const torch::Tensor x = leaky(linear(fc1_, images.flatten(1)));
    return leaky(linear(fc2_, x));
  }

  std::vector<std::size_t> widths_;
  torch::nn::Linear fc1_{nullptr}, fc2_{nullptr};
};

}  // namespace

std::shared_ptr<Generator> make_mlp_generator(const ImageShape& image,
                                              Condition condition,
                                              std::uint32_t latent) {
  return std::make_shared<MlpGenerator>(image, condition, latent);
}

std::shared_ptr<Discriminator> make_mlp_discriminator(const ImageShape& image,
                                                      Condition condition) {
  return std::make_shared<MlpDiscriminator>(image, condition);
}

}  // namespace mdgan
