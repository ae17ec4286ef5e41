#include "common/models/dcgan.h"

#include <string>
#include <vector>

#include "common/kernels/convolution/convolution.h"
#include "common/kernels/convolution/convolution_stack.h"
#include "common/models/conditional.h"

namespace mdgan {
namespace {

constexpr std::int64_t kWidth = 64;     // channels at half the image's size
constexpr std::uint32_t kSmallest = 4;  // side of the smallest feature map

class DcganGenerator final : public ConditionalGenerator {
 public:
  DcganGenerator(const ImageShape& image, Condition condition,
                 std::uint32_t latent) {
    std::int64_t out = kWidth * image.height / kSmallest / 2;
    add_deconvolution(latent, out, /*stride=*/1, /*padding=*/0);
    for (; out > kWidth; out /= 2) {
      add_norm(out);
      add_deconvolution(out, out / 2, /*stride=*/2, /*padding=*/1);
    }
    add_norm(kWidth);
    add_deconvolution(kWidth, image.channels, /*stride=*/2, /*padding=*/1);
    register_embedding(image, condition, latent);
  }

  InitialLaw initial_law() const override { return InitialLaw::kDcgan; }

 private:
  void add_deconvolution(std::int64_t in, std::int64_t out, std::int64_t stride,
                         std::int64_t padding) {
    deconvolutions_.push_back(register_module(
        "deconv" + std::to_string(deconvolutions_.size() + 1),
        torch::nn::ConvTranspose2d(
            torch::nn::ConvTranspose2dOptions(in, out, /*kernel_size=*/4)
                .stride(stride)
                .padding(padding)
                .bias(false))));
  }

  void add_norm(std::int64_t channels) {
    norms_.push_back(register_module("norm" + std::to_string(norms_.size() + 1),
                                     torch::nn::BatchNorm2d(channels)));
  }

  torch::Tensor draw(const torch::Tensor& latents) override {
    torch::Tensor x =
        deconvolve(deconvolutions_[0], latents.unsqueeze(2).unsqueeze(3));
    for (std::size_t i = 0; i < norms_.size(); ++i)
      x = deconvolve(deconvolutions_[i + 1], norms_[i]->forward(x).relu_());
    return torch::tanh(x);
  }

  std::vector<torch::nn::ConvTranspose2d> deconvolutions_;
  std::vector<torch::nn::BatchNorm2d> norms_;
};

class DcganDiscriminator final : public ConditionalDiscriminator {
 public:
  DcganDiscriminator(const ImageShape& image, Condition condition) {
    std::int64_t in = image.channels;
    std::int64_t out = kWidth;
    for (std::uint32_t side = image.height; side > kSmallest; side /= 2) {
      convolutions_.push_back(register_module(
          "conv" + std::to_string(convolutions_.size() + 1),
          torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, /*kernel_size=*/4)
                                .stride(2)
                                .padding(1))));
      in = out;
      out *= 2;
    }
    register_head("fc", in * kSmallest * kSmallest, image, condition);
  }

  InitialLaw initial_law() const override { return InitialLaw::kDcgan; }
  ConvolutionStack* convolutions() override { return &convolutions_; }

 private:
  torch::Tensor features(const torch::Tensor& images) override {
    return convolutions_.forward(images).flatten(1);
  }

  ConvolutionStack convolutions_;
};

}  // namespace

std::shared_ptr<Generator> make_dcgan_generator(const ImageShape& image,
                                                Condition condition,
                                                std::uint32_t latent) {
  return std::make_shared<DcganGenerator>(image, condition, latent);
}

std::shared_ptr<Discriminator> make_dcgan_discriminator(const ImageShape& image,
                                                        Condition condition) {
  return std::make_shared<DcganDiscriminator>(image, condition);
}

}  // namespace mdgan
