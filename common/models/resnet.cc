#include "common/models/resnet.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/kernels/convolution/convolution.h"
#include "common/models/conditional.h"
#include "common/models/linear.h"
#include "common/tensor/leaky.h"

namespace mdgan {
namespace {

constexpr std::int64_t kWidth = 64;  // channels at the image's size
constexpr std::int64_t kMostChannels = 512;
constexpr std::int64_t kSmallest = 4;  // side of the smallest feature map

torch::nn::Conv2d convolution(std::int64_t in, std::int64_t out) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, /*kernel_size=*/3).padding(1));
}

// Channels of the feature map of `side` in images of `image_side`.
std::int64_t channels_at(std::int64_t side, std::int64_t image_side) {
  return std::min(kMostChannels, kWidth * image_side / side);
}

class ResidualBlockImpl final : public torch::nn::Module {
 public:
  ResidualBlockImpl(std::int64_t in, std::int64_t out) {
    const std::int64_t between = std::min(in, out);
    conv0_ = register_module("conv0", convolution(in, between));
    conv1_ = register_module("conv1", convolution(between, out));
    if (in != out)
      shortcut_ = register_module(
          "shortcut",
          torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, /*kernel_size=*/1)
                                .bias(false)));
  }

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor change =
        convolve(conv1_, leaky_(convolve(conv0_, leaky(x))));
    return (shortcut_.is_empty() ? x : convolve(shortcut_, x)) + 0.1 * change;
  }

 private:
  torch::nn::Conv2d conv0_{nullptr}, conv1_{nullptr}, shortcut_{nullptr};
};
TORCH_MODULE(ResidualBlock);

class ResnetGenerator final : public ConditionalGenerator {
 public:
  ResnetGenerator(const ImageShape& image, Condition condition,
                  std::uint32_t latent)
      : channels_(channels_at(kSmallest, image.height)) {
    fc_ = register_module(
        "fc", torch::nn::Linear(latent, channels_ * kSmallest * kSmallest));
    std::int64_t in = channels_;
    for (std::int64_t side = kSmallest; side <= image.height; side *= 2) {
      const std::int64_t out = channels_at(side, image.height);
      blocks_.push_back(
          register_module("block" + std::to_string(blocks_.size() + 1),
                          ResidualBlock(in, out)));
      in = out;
    }
    conv_ = register_module("conv", convolution(in, image.channels));
    register_embedding(image, condition, latent);
  }

 private:
  torch::Tensor draw(const torch::Tensor& latents) override {
    torch::Tensor x =
        linear(fc_, latents).view({-1, channels_, kSmallest, kSmallest});
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (i > 0)
        x = torch::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2});
      x = blocks_[i]->forward(x);
    }
    return torch::tanh(convolve(conv_, leaky(x)));
  }

  std::int64_t channels_;
  torch::nn::Linear fc_{nullptr};
  std::vector<ResidualBlock> blocks_;
  torch::nn::Conv2d conv_{nullptr};
};

class ResnetDiscriminator final : public ConditionalDiscriminator {
 public:
  ResnetDiscriminator(const ImageShape& image, Condition condition) {
    conv_ = register_module("conv", convolution(image.channels, kWidth));
    std::int64_t in = kWidth;
    for (std::int64_t side = image.height; side >= kSmallest; side /= 2) {
      const std::int64_t out = channels_at(side, image.height);
      blocks_.push_back(
          register_module("block" + std::to_string(blocks_.size() + 1),
                          ResidualBlock(in, out)));
      in = out;
    }
    register_head("fc", in * kSmallest * kSmallest, image, condition);
  }

 private:
  torch::Tensor features(const torch::Tensor& images) override {
    torch::Tensor x = convolve(conv_, images);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (i > 0) x = torch::avg_pool2d(x, /*kernel_size=*/2);
      x = blocks_[i]->forward(x);
    }
    return leaky(x).flatten(1);
  }

  torch::nn::Conv2d conv_{nullptr};
  std::vector<ResidualBlock> blocks_;
};

}  // namespace

std::shared_ptr<Generator> make_resnet_generator(const ImageShape& image,
                                                 Condition condition,
                                                 std::uint32_t latent) {
  return std::make_shared<ResnetGenerator>(image, condition, latent);
}

std::shared_ptr<Discriminator> make_resnet_discriminator(
    const ImageShape& image, Condition condition) {
  return std::make_shared<ResnetDiscriminator>(image, condition);
}

}  // namespace mdgan
