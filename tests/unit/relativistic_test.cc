// The loss of R3GAN at a peer: its feedback needs the peer's real images.
#include <torch/torch.h>

#include <string>
#include <vector>

#include "common/augment/diff_augment.h"
#include "common/losses/adversarial.h"
#include "tests/support/real_samples.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

constexpr std::uint32_t kPeer = 2;

TEST_CASE("relativistic feedback sets each image against a new real one") {
  TrainerRun run;
  // By hand; with samples that see each other; in the layouts of oneDNN.
  run.model = GENERATE(as<std::string>{}, "mlp", "mnist-cnn", "dcgan");
  run.image = {1, 8, 8, 3};
  if (run.model == "dcgan") run.image = {3, 32, 32, 3};
  run.loss = Loss::kRelativistic;
  run.condition = run.model == "mnist-cnn"
                      ? Condition::kAcgan
                      : GENERATE(Condition::kNone, Condition::kAcgan,
                                 Condition::kProjection);
  TrainingSpec spec = run.discriminator();
  spec.augment = GENERATE(Augment::kNone, Augment::kDiffAugment);
  INFO("seed " << run.seed << ", " << run.model << ", "
               << name_of(kConditionNames, run.condition) << ", "
               << name_of(kAugmentNames, spec.augment));
  const auto peer = make_discriminator_trainer(spec, kPeer);
  const GeneratedBatch batch =
      make_generator_trainer(run.generator())->generate(Round{4}).front();
  peer->learn(Round{4}, batch.images, batch.labels);
  const auto d = copy_of(*peer, run);

  Random random(run.seed, Purpose::kFeedbackAugmentation, kPeer, 4);
  Random real_samples(run.seed, Purpose::kFeedbackRealSamples, kPeer, 4);
  const Sample real = draw_real(run, real_samples);
  torch::Tensor x = to_tensor(batch.images).clone();
  torch::Tensor real_images = real.images.contiguous().clone();
  std::vector<Augmentation> changes(run.batch);
  if (spec.augment == Augment::kDiffAugment) {
    changes = draw_augmentations(run.batch, run.image, random);
    augment(changes, run.image, floats_of(x));
    augment(draw_augmentations(run.batch, run.image, random), run.image,
            floats_of(real_images));
  }
  x.requires_grad_(true);
  const bool conditional = run.condition != Condition::kNone;
  const torch::Tensor y =
      conditional ? to_tensor(batch.labels).to(torch::kInt64) : torch::Tensor{};
  const DiscriminatorOutput out = d->forward(x, y);
  const torch::Tensor y_real =
      d->forward(real_images, conditional ? real.labels : torch::Tensor{})
          .logits;
  torch::Tensor loss = torch::softplus(y_real.detach() - out.logits).mean();
  if (run.condition == Condition::kAcgan)
    loss = loss + class_loss(out.class_logits, y);
  const torch::Tensor expected =
      torch::autograd::grad({loss}, {x}).front().clone();
  augment_adjoint(changes, run.image, floats_of(expected));

  const PeerFeedback back = peer->feedback(batch.images, batch.labels);
  CHECK(relative_error(to_tensor(back.feedback), expected) < 1e-4);
  CHECK(relative_error(to_tensor(back.logits), out.logits.detach()) < 1e-4);
  CHECK(back.generator_loss == Approx(loss.item<double>()).epsilon(1e-4));
  // The same again: nothing of it changes D, or what is drawn.
  CHECK(
      same(peer->feedback(batch.images, batch.labels).feedback, back.feedback));
}

TEST_CASE(
    "a relativistic discriminator is not told how real images are alone") {
  // What is added to all logits changes neither D's step nor the feedback.
  TrainerRun run;
  run.loss = Loss::kRelativistic;
  const GeneratedBatch batch =
      make_generator_trainer(run.generator())->generate(Round{1}).front();
  const auto plain = make_discriminator_trainer(run.discriminator(), 0);
  const auto shifted = make_discriminator_trainer(run.discriminator(), 0);
  PeerState state = plain->snapshot(true);
  auto values = floats(state.parameters);
  values.back() += 8;  // the last layer's bias
  state.parameters = float_blob({values.size()}, values);
  REQUIRE(shifted->load(state).ok());
  const auto feedback_of = [&](DiscriminatorTrainer& peer) {
    peer.learn(Round{1}, batch.images, batch.labels);
    return peer.feedback(batch.images, batch.labels);
  };
  const PeerFeedback a = feedback_of(*plain), b = feedback_of(*shifted);
  CHECK(relative_error(to_tensor(b.feedback), to_tensor(a.feedback)) < 1e-4);
  CHECK(b.discriminator_loss == Approx(a.discriminator_loss).epsilon(1e-4));
  CHECK(floats(b.logits)[0] == Approx(floats(a.logits)[0] + 8).epsilon(1e-3));
}

}  // namespace
}  // namespace mdgan::test
