// What a discriminator learns, and what it takes from others.
#include "common/train/discriminator/discriminator_trainer.h"

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/augment/diff_augment.h"
#include "common/losses/adversarial.h"
#include "tests/support/real_samples.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

double loss_of_learning(DiscriminatorTrainer& peer, Round round,
                        const GeneratedBatch& batch) {
  peer.learn(round, batch.images, batch.labels);
  return peer.feedback(batch.images, batch.labels).discriminator_loss;
}

TEST_CASE("the batch that was just learned gets the feedback of an equal one") {
  TrainerRun run;
  INFO("seed " << run.seed);
  run.condition = GENERATE(Condition::kNone, Condition::kProjection);
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  const GeneratedBatch batch = server->generate(Round{1}).front();
  const GeneratedBatch other = server->generate(Round{2}).front();
  const auto copy_of = [](const Blob& blob) {
    return blob.empty() ? Blob{} : copy_blob(blob.meta, blob.bytes);
  };
  peer->learn(Round{1}, batch.images, batch.labels);
  const PeerFeedback same_bytes = peer->feedback(batch.images, batch.labels);
  const PeerFeedback equal_bytes =
      peer->feedback(copy_of(batch.images), copy_of(batch.labels));
  CHECK(floats(same_bytes.feedback) == floats(equal_bytes.feedback));
  CHECK(same_bytes.discriminator_loss == equal_bytes.discriminator_loss);
  CHECK(same_bytes.discriminator_loss > 0);
  CHECK(floats(peer->feedback(other.images, other.labels).feedback) !=
        floats(same_bytes.feedback));
}

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
  spec.loss =
      GENERATE(Loss::kNonSaturating, Loss::kWassersteinGp, Loss::kRelativistic);
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

  CHECK(loss_of_learning(*peer, Round{4}, batch) ==
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

TEST_CASE("labels mean what their classes are named, whatever their numbers") {
  TrainerRun run;
  run.image = {1, 8, 8, 3};
  run.condition = Condition::kProjection;
  TrainingSpec spec = run.discriminator();
  spec.classes = {"cat", "dog", "fox"};
  const auto server = make_generator_trainer(run.generator());
  const GeneratedBatch batch = server->generate(Round{1}).front();
  const auto data = [&](const ClassNames& names) {
    auto images = std::make_shared<Dataset>(*random_images({1, 8, 8, 2}, 20));
    // A dog or a fox, whatever number that is here.
    for (std::int32_t& label : images->labels)
      label = static_cast<std::int32_t>(
          *place_of(label == 0 ? "dog" : "fox", names));
    images->shape.classes = static_cast<std::uint32_t>(names.size());
    images->class_names = names;
    return images;
  };
  std::vector<PeerState> learnt;
  for (const ClassNames& names : std::vector<ClassNames>{
           {"cat", "dog", "fox"}, {"dog", "fox"}, {"fox", "dog"}}) {
    auto peer = DiscriminatorTrainer::create(
        spec, data(names), first_indices(20), PeerId{0}, "cpu");
    REQUIRE(peer.ok());
    (*peer)->initialise();
    (*peer)->learn(Round{1}, batch.images, batch.labels);
    learnt.push_back((*peer)->snapshot(true));
  }
  CHECK(same(learnt[0], learnt[1]));
  CHECK(same(learnt[0], learnt[2]));
  // Names of the data that the run has not.
  auto others = data({"dog", "fox"});
  others->class_names[0] = "owl";
  auto empty = data({"dog", "fox"});
  empty->empty_classes = {"emu"};
  for (const auto& [images, says] :
       {std::pair(others, "'owl'"), std::pair(empty, "'emu'")}) {
    const auto peer = DiscriminatorTrainer::create(
        spec, images, first_indices(20), PeerId{0}, "cpu");
    REQUIRE_FALSE(peer.ok());
    CHECK(peer.error().message.find(says) != std::string::npos);
  }
}

TEST_CASE("the feedback of an augmented image is with respect to the image") {
  TrainerRun run;
  run.model = GENERATE(as<std::string>{}, "mlp", "mnist-cnn");
  run.image = {1, 8, 8, 3};
  INFO("seed " << run.seed << ", " << run.model);
  TrainingSpec spec = run.discriminator();
  const auto plain = make_discriminator_trainer(spec, 2);
  spec.augment = Augment::kDiffAugment;
  const auto peer = make_discriminator_trainer(spec, 2);
  const GeneratedBatch batch =
      make_generator_trainer(run.generator())->generate(Round{4}).front();
  peer->learn(Round{4}, batch.images, batch.labels);
  REQUIRE(plain->load(peer->snapshot(true)).ok());

  // D(T x) by a trainer that augments nothing, and back through T.
  Random random(run.seed, Purpose::kFeedbackAugmentation, 2, 4);
  const auto changes = draw_augmentations(run.batch, run.image, random);
  auto changed = floats(batch.images);
  augment(changes, run.image, changed);
  const PeerFeedback at_changed = plain->feedback(
      float_blob(batch.images.meta.dims, changed), batch.labels);
  auto expected = floats(at_changed.feedback);
  augment_adjoint(changes, run.image, expected);
  const PeerFeedback back = peer->feedback(batch.images, batch.labels);
  CHECK(floats(back.feedback) == expected);
  CHECK(floats(back.logits) == floats(at_changed.logits));
  CHECK(floats(back.feedback) !=
        floats(plain->feedback(batch.images, batch.labels).feedback));
}

TEST_CASE("each of the L steps sees the images changed anew") {
  TrainerRun run;
  run.image = {1, 8, 8, 3};
  TrainingSpec spec = run.discriminator();
  spec.augment = Augment::kDiffAugment;
  spec.local_steps = 2;
  spec.replay = GENERATE(false, true);
  const GeneratedBatch batch =
      make_generator_trainer(run.generator())->generate(Round{1}).front();
  const auto two = make_discriminator_trainer(spec, 0);
  const double of_two = loss_of_learning(*two, Round{1}, batch);
  spec.local_steps = 1;
  spec.replay = false;
  const auto one = make_discriminator_trainer(spec, 0);
  const double first = loss_of_learning(*one, Round{1}, batch);
  const double again = loss_of_learning(*one, Round{1}, batch);
  CHECK(of_two != Approx((first + again) / 2).epsilon(1e-6));
  // And the same again for who starts anew.
  const auto other = make_discriminator_trainer(spec, 0);
  CHECK(loss_of_learning(*other, Round{1}, batch) == first);
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
