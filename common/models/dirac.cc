#include "common/models/dirac.h"

namespace mdgan {
namespace {

class DiracGenerator final : public Generator {
 public:
  DiracGenerator() { theta_ = register_parameter("theta", torch::ones({1})); }

  torch::Tensor forward(const torch::Tensor& latents,
                        const torch::Tensor& /*labels*/) override {
    return theta_.view({1, 1, 1, 1}).repeat({latents.size(0), 1, 1, 1});
  }
  torch::Tensor embed(const torch::Tensor& latents,
                      const torch::Tensor& /*labels*/) override {
    return latents;
  }

 private:
  torch::Tensor theta_;
};

class DiracDiscriminator final : public Discriminator {
 public:
  DiracDiscriminator() { psi_ = register_parameter("psi", torch::ones({1})); }

  torch::Tensor features(const torch::Tensor& images) override {
    return images.flatten(1);
  }
  DiscriminatorOutput head(const torch::Tensor& features,
                           const torch::Tensor& /*labels*/) override {
    return {(features * psi_).squeeze(1), {}};
  }

 private:
  torch::Tensor psi_;
};

}  // namespace

std::shared_ptr<Generator> make_dirac_generator(const ImageShape&, Condition,
                                                std::uint32_t) {
  return std::make_shared<DiracGenerator>();
}

std::shared_ptr<Discriminator> make_dirac_discriminator(const ImageShape&,
                                                        Condition) {
  return std::make_shared<DiracDiscriminator>();
}

}  // namespace mdgan
