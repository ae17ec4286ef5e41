// What a discriminator learns, and what it takes from others.
#include "common/train/discriminator/discriminator_trainer.h"

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/losses/adversarial.h"
#include "tests/support/real_samples.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

TEST_CASE("swapping identical discriminators changes nothing") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  const auto a = make_discriminator_trainer(run.discriminator(), 0);
  const auto b = make_discriminator_trainer(run.discriminator(), 1);
  train_round(*server, {a.get(), b.get()}, 1, Round{1});
  REQUIRE(b->load(a->snapshot(true)).ok());
  const auto before = a->snapshot(true);
  const auto from_a = a->snapshot(true), from_b = b->snapshot(true);
  REQUIRE(a->load(from_b).ok());
  REQUIRE(b->load(from_a).ok());
  CHECK(same(a->snapshot(true), before));
  CHECK(same(b->snapshot(true), before));
}

TEST_CASE("N swaps along one cycle bring every discriminator home") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  std::vector<std::unique_ptr<DiscriminatorTrainer>> peers;
  std::vector<DiscriminatorTrainer*> all;
  for (std::uint32_t n = 0; n < 3; ++n) {
    peers.push_back(make_discriminator_trainer(run.discriminator(), n));
    all.push_back(peers.back().get());
  }
  train_round(*server, all, 1, Round{1});
  const auto snapshots = [&] {
    std::vector<PeerState> states;
    for (const auto& peer : peers) states.push_back(peer->snapshot(true));
    return states;
  };
  const auto home = snapshots();
  for (std::size_t swap = 1; swap <= 3; ++swap) {
    const auto leaving = snapshots();
    for (std::size_t n = 0; n < 3; ++n)
      REQUIRE(peers[(n + 1) % 3]->load(leaving[n]).ok());
    for (std::size_t n = 0; n < 3; ++n)
      CHECK(same(peers[n]->snapshot(true), home[(n + 3 - swap) % 3]));
  }
}

TEST_CASE("a discriminator learns from its loss and its penalties") {
  TrainerRun run;
  run.model = GENERATE(as<std::string>{}, "mlp",
                       "mnist-cnn");  // the second mixes its samples
  run.image = {1, 8, 8, 3};
  TrainingSpec spec = run.discriminator();
  spec.loss = GENERATE(Loss::kNonSaturating, Loss::kWassersteinGp);
  spec.r1_gamma = GENERATE(0.0, 2.0);
  spec.r2_gamma = 1.5 * spec.r1_gamma;
  constexpr std::uint32_t kPeer = 2;
  INFO("seed " << run.seed << ", " << run.model << ", "
               << name_of(kLossNames, spec.loss) << ", R1 " << spec.r1_gamma);
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(spec, kPeer);
  const auto d = copy_of(*peer, run);  // as it is before the step
  const GeneratedBatch batch = server->generate(Round{4}).front();

  Random real_samples(run.seed, Purpose::kRealSamples, kPeer, 4);
  const torch::Tensor real =
      draw_real(run, real_samples).images.requires_grad_(true);
  const torch::Tensor generated =
      to_tensor(batch.images).clone().requires_grad_(true);
  const torch::Tensor y_real = d->forward(real, {}).logits;
  const torch::Tensor y_generated = d->forward(generated, {}).logits;
  torch::Tensor expected = discriminator_loss(spec.loss, y_real, y_generated);
  if (spec.r1_gamma > 0)
    expected = expected + zero_centred_penalty(y_real, real, spec.r1_gamma) +
               zero_centred_penalty(y_generated, generated, spec.r2_gamma);
  Random random(run.seed, Purpose::kPenalty, kPeer, 4);
  const Critic critic = [&](const torch::Tensor& x) {
    return d->forward(x, {}).logits;
  };
  if (spec.loss == Loss::kWassersteinGp)
    expected = expected + wasserstein_penalty(critic, real, generated,
                                              spec.gradient_penalty, random);

  CHECK(peer->learn(Round{4}, batch.images, batch.labels) ==
        Approx(expected.item<double>()).epsilon(1e-4));
  // Adam's first moment shows the gradient of all of it.
  std::vector<torch::Tensor> gradients;
  for (const auto& gradient :
       torch::autograd::grad({expected}, d->parameters(), {}, {}, false, true))
    gradients.push_back(gradient.flatten());
  const torch::Tensor moment = to_tensor(peer->snapshot(true).first_moment);
  CHECK(relative_error(moment / (1 - run.adam.beta1), torch::cat(gradients)) <
        1e-4);
}

TEST_CASE("a discriminator refuses a batch that is not of its kind") {
  TrainerRun run;
  run.condition = Condition::kAcgan;
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  const GeneratedBatch good =
      make_generator_trainer(run.generator())->generate(Round{1}).front();
  TrainerRun larger = run;
  larger.image = {1, 8, 8, 3};
  const GeneratedBatch other =
      make_generator_trainer(larger.generator())->generate(Round{1}).front();
  CHECK_THROWS_AS(peer->learn(Round{1}, other.images, good.labels),
                  std::runtime_error);
  CHECK_THROWS_AS(peer->feedback(other.images, good.labels),
                  std::runtime_error);
  const Blob no_such_class =
      to_blob(torch::full({run.batch}, 3, torch::kInt32));
  CHECK_THROWS_AS(peer->learn(Round{1}, good.images, no_such_class),
                  std::runtime_error);
  CHECK_THROWS_AS(peer->feedback(good.images, Blob{}), std::runtime_error);
}

}  // namespace
}  // namespace mdgan::test
