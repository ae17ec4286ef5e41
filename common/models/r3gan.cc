#include "common/models/r3gan.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/kernels/convolution/convolution.h"
#include "common/models/conditional.h"
#include "common/models/linear.h"
#include "common/models/zero_convolution.h"
#include "common/tensor/leaky.h"

namespace mdgan {
namespace {

constexpr std::int64_t kFewestChannels = 32;  // channels at the image's size
constexpr std::int64_t kMaxR3ganChannels = 256;
constexpr std::int64_t kBasisSide = 4;  // side of the smallest feature map
constexpr std::int64_t kExpansion = 2;  // channels within a block
constexpr std::int64_t kGroup = 16;     // channels of a group
constexpr int kBlocks = 2;              // of each size

// Channels of the feature map of `side` in images of `image_side`.
std::int64_t channels_of(std::int64_t side, std::int64_t image_side) {
  return std::min(kMaxR3ganChannels, kFewestChannels * image_side / side);
}

torch::nn::Conv2dOptions pointwise(std::int64_t in, std::int64_t out) {
  return {in, out, /*kernel_size=*/1};
}

class R3ganBlockImpl final : public torch::nn::Module {
 public:
  explicit R3ganBlockImpl(std::int64_t channels) {
    const std::int64_t between = kExpansion * channels;
    conv1_ = register_module("conv1",
                             torch::nn::Conv2d(pointwise(channels, between)));
    conv2_ = register_module(
        "conv2", torch::nn::Conv2d(torch::nn::Conv2dOptions(between, between, 3)
                                       .padding(1)
                                       .groups(between / kGroup)));
    conv3_ = register_module(
        "conv3", ZeroConvolution(pointwise(between, channels).bias(false)));
  }

  torch::Tensor forward(const torch::Tensor& x) {
    // Our own kernels have no groups.
    const torch::Tensor wide =
        leaky_(conv2_->forward(leaky_(convolve(conv1_, x))));
    return x + convolve(wide, conv3_->weight, /*bias=*/{}, {});
  }

 private:
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr};
  ZeroConvolution conv3_{nullptr};
};
TORCH_MODULE(R3ganBlock);

// Feature maps of one size.
struct Stage {
  torch::nn::Conv2d to{nullptr};  // from the size before; the first has none
  std::vector<R3ganBlock> blocks;

  torch::Tensor pass(torch::Tensor x) {
    for (R3ganBlock& block : blocks) x = block->forward(x);
    return x;
  }
};

// Registers the next stage's layers, toN and stageN_block1, ..., and adds it.
void add_stage(torch::nn::Module& model, std::vector<Stage>& stages,
               std::int64_t in, std::int64_t out) {
  const std::string number = std::to_string(stages.size());
  Stage stage;
  if (!stages.empty())
    stage.to = model.register_module(
        "to" + number, torch::nn::Conv2d(pointwise(in, out).bias(false)));
  for (int i = 1; i <= kBlocks; ++i)
    stage.blocks.push_back(model.register_module(
        "stage" + number + "_block" + std::to_string(i), R3ganBlock(out)));
  stages.push_back(std::move(stage));
}

class R3ganGenerator final : public ConditionalGenerator {
 public:
  R3ganGenerator(const ImageShape& image, Condition condition,
                 std::uint32_t latent) {
    std::int64_t in = channels_of(kBasisSide, image.height);
    fc_ = register_module("fc", torch::nn::Linear(latent, in));
    basis_ = register_module(
        "basis", torch::nn::ConvTranspose2d(
                     torch::nn::ConvTranspose2dOptions(in, in, kBasisSide)
                         .groups(in)
                         .bias(false)));
    for (std::int64_t side = kBasisSide; side <= image.height; side *= 2) {
      const std::int64_t out = channels_of(side, image.height);
      add_stage(*this, stages_, in, out);
      in = out;
    }
    conv_ = register_module("conv",
                            torch::nn::Conv2d(pointwise(in, image.channels)));
    register_embedding(image, condition, latent);
  }

 private:
  torch::Tensor draw(const torch::Tensor& latents) override {
    torch::Tensor x =
        basis_->forward(linear(fc_, latents).unsqueeze(2).unsqueeze(3));
    for (Stage& stage : stages_) {
      if (!stage.to.is_empty()) {
        x = convolve(stage.to, x);
        x = torch::upsample_bilinear2d(x, {x.size(2) * 2, x.size(3) * 2},
                                       /*align_corners=*/false);
      }
      x = stage.pass(x);
    }
    return torch::tanh(convolve(conv_, x));
  }

  torch::nn::Linear fc_{nullptr};
  torch::nn::ConvTranspose2d basis_{nullptr};
  std::vector<Stage> stages_;
  torch::nn::Conv2d conv_{nullptr};
};

class R3ganDiscriminator final : public ConditionalDiscriminator {
 public:
  R3ganDiscriminator(const ImageShape& image, Condition condition) {
    std::int64_t in = channels_of(image.height, image.height);
    conv_ = register_module("conv",
                            torch::nn::Conv2d(pointwise(image.channels, in)));
    for (std::int64_t side = image.height; side >= kBasisSide; side /= 2) {
      const std::int64_t out = channels_of(side, image.height);
      add_stage(*this, stages_, in, out);
      in = out;
    }
    basis_ = register_module(
        "basis", torch::nn::Conv2d(torch::nn::Conv2dOptions(in, in, kBasisSide)
                                       .groups(in)
                                       .bias(false)));
    register_head("fc", in, image, condition);
  }

 private:
  torch::Tensor features(const torch::Tensor& images) override {
    torch::Tensor x = convolve(conv_, images);
    for (Stage& stage : stages_) {
      if (!stage.to.is_empty())
        x = convolve(stage.to, torch::avg_pool2d(x, /*kernel_size=*/2));
      x = stage.pass(x);
    }
    return basis_->forward(x).flatten(1);
  }

  torch::nn::Conv2d conv_{nullptr};
  std::vector<Stage> stages_;
  torch::nn::Conv2d basis_{nullptr};
};

}  // namespace

std::shared_ptr<Generator> make_r3gan_generator(const ImageShape& image,
                                                Condition condition,
                                                std::uint32_t latent) {
  return std::make_shared<R3ganGenerator>(image, condition, latent);
}

std::shared_ptr<Discriminator> make_r3gan_discriminator(const ImageShape& image,
                                                        Condition condition) {
  return std::make_shared<R3ganDiscriminator>(image, condition);
}

}  // namespace mdgan
