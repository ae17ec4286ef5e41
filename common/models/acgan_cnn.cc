#include "common/models/acgan_cnn.h"

#include <array>
#include <string>
#include <vector>

#include "common/kernels/convolution/convolution.h"
#include "common/kernels/convolution/convolution_stack.h"
#include "common/models/conditional.h"
#include "common/models/linear.h"
#include "common/tensor/leaky.h"

namespace mdgan {
namespace {

constexpr std::int64_t kKernels = 16;
constexpr std::int64_t kKernelSize = 4;

// A transposed convolution that doubles height and width.
torch::nn::ConvTranspose2d deconvolution(std::int64_t in, std::int64_t out) {
  return torch::nn::ConvTranspose2d(
      torch::nn::ConvTranspose2dOptions(in, out, /*kernel_size=*/5)
          .stride(2)
          .padding(2)
          .output_padding(1));
}

class AcganCnnGenerator final : public ConditionalGenerator {
 public:
  // `widths`: the channels before each transposed convolution.
  AcganCnnGenerator(const std::vector<std::int64_t>& widths,
                    const ImageShape& image, Condition condition,
                    std::uint32_t latent)
      : channels_(widths.front()),
        height_(image.height >> widths.size()),
        width_(image.width >> widths.size()) {
    fc_ = register_module(
        "fc", torch::nn::Linear(latent, channels_ * height_ * width_));
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const bool last = i + 1 == widths.size();
      deconvolutions_.push_back(register_module(
          "deconv" + std::to_string(i + 1),
          deconvolution(widths[i], last ? image.channels : widths[i + 1])));
    }
    register_embedding(image, condition, latent);
  }

 private:
  torch::Tensor draw(const torch::Tensor& latents) override {
    torch::Tensor x =
        linear(fc_, latents).view({-1, channels_, height_, width_});
    for (auto& deconvolution : deconvolutions_)
      x = deconvolve(deconvolution, leaky(x));
    return torch::tanh(x);
  }

  std::int64_t channels_, height_, width_;
  torch::nn::Linear fc_{nullptr};
  std::vector<torch::nn::ConvTranspose2d> deconvolutions_;
};

class AcganCnnDiscriminator final : public ConditionalDiscriminator {
 public:
  AcganCnnDiscriminator(const ImageShape& image, Condition condition) {
    constexpr std::array<std::int64_t, 6> kWidths{16, 32, 64, 128, 256, 512};
    std::int64_t in = image.channels;
    std::int64_t height = image.height;
    std::int64_t width = image.width;
    for (std::size_t i = 0; i < kWidths.size(); ++i) {
      const std::int64_t stride = i % 2 == 0 ? 2 : 1;
      convolutions_.push_back(register_module(
          "conv" + std::to_string(i + 1),
          torch::nn::Conv2d(
              torch::nn::Conv2dOptions(in, kWidths[i], /*kernel_size=*/3)
                  .stride(stride)
                  .padding(1))));
      in = kWidths[i];
      height = (height + stride - 1) / stride;
      width = (width + stride - 1) / stride;
    }
    const std::int64_t flat = in * height * width;
    minibatch_ = register_module(
        "minibatch",
        torch::nn::Linear(torch::nn::LinearOptions(flat, kKernels * kKernelSize)
                              .bias(false)));
    register_head("fc", flat + kKernels, image, condition);
  }

  ConvolutionStack* convolutions() override { return &convolutions_; }

 private:
  torch::Tensor features(const torch::Tensor& images) override {
    return convolutions_.forward(images).flatten(1);
  }

  torch::Tensor mix(const torch::Tensor& x, std::int64_t batches) override {
    return torch::cat({x, likenesses(x, batches)}, 1);
  }

  // [n, flat] -> [n, kKernels]: for each kernel, how much a sample is like
  // those of its batch, itself included: the sum of exp(-L1 distance).
  torch::Tensor likenesses(const torch::Tensor& x, std::int64_t batches) {
    const torch::Tensor points =
        linear(minibatch_, x).view({batches, -1, kKernels, kKernelSize});
    const torch::Tensor distances =
        (points.unsqueeze(1) - points.unsqueeze(2)).abs().sum(4);
    return torch::exp(-distances).sum(2).view({-1, kKernels});
  }

  ConvolutionStack convolutions_;
  torch::nn::Linear minibatch_{nullptr};
};

}  // namespace

std::shared_ptr<Generator> make_mnist_cnn_generator(const ImageShape& image,
                                                    Condition condition,
                                                    std::uint32_t latent) {
  return std::make_shared<AcganCnnGenerator>(std::vector<std::int64_t>{128, 32},
                                             image, condition, latent);
}

std::shared_ptr<Generator> make_cifar10_cnn_generator(const ImageShape& image,
                                                      Condition condition,
                                                      std::uint32_t latent) {
  return std::make_shared<AcganCnnGenerator>(
      std::vector<std::int64_t>{384, 192, 96}, image, condition, latent);
}

std::shared_ptr<Discriminator> make_acgan_cnn_discriminator(
    const ImageShape& image, Condition condition) {
  return std::make_shared<AcganCnnDiscriminator>(image, condition);
}

}  // namespace mdgan
