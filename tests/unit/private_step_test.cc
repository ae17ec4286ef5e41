// A discriminator's step with differential privacy.
#include "common/train/discriminator/private_step.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/losses/adversarial.h"
#include "common/models/registry.h"
#include "common/privacy/ledger_book.h"
#include "common/tensor/flat_parameters.h"
#include "common/train/discriminator/trained_discriminator.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

constexpr double kClip = 0.5;

TrainingSpec spec_of(const std::string& model, Condition condition) {
  TrainerRun run;
  run.model = model;
  run.condition = condition;
  if (model != "mlp") run.image = {3, 32, 32, 3};
  TrainingSpec spec = run.discriminator();
  spec.loss = Loss::kHinge;
  return spec;
}

TrainedDiscriminator made(const TrainingSpec& spec) {
  auto model = make_discriminator(spec.model, spec.image, spec.condition);
  REQUIRE(model);
  TrainedDiscriminator d(spec, std::move(*model));
  Random random(7, Purpose::kDiscriminatorInit);
  d.initialise(random);
  return d;
}

LabelledImages images(const TrainingSpec& spec, std::int64_t count,
                      double scale = 1) {
  LabelledImages all;
  all.x = scale * torch::randn({count, spec.image.channels, spec.image.height,
                                spec.image.width});
  if (spec.condition != Condition::kNone)
    all.y = torch::randint(spec.image.classes, {count}, torch::kInt64);
  return all;
}

LabelledImages part(const LabelledImages& all, std::int64_t first,
                    std::int64_t count) {
  return {all.x.narrow(0, first, count),
          all.y.defined() ? all.y.narrow(0, first, count) : all.y};
}

double length(const torch::Tensor& values) {
  return values.to(torch::kFloat64).norm().item<double>();
}

torch::Tensor flat(const std::vector<torch::Tensor>& parts) {
  std::vector<torch::Tensor> all;
  for (const torch::Tensor& one : parts) all.push_back(one.flatten());
  return torch::cat(all);
}

// By LibTorch: the gradient of a half of D's hinge loss.
torch::Tensor autograd_gradient(TrainedDiscriminator& d,
                                const LabelledImages& images, bool real) {
  const auto output = d.model().forward(images.x, images.y);
  torch::Tensor loss =
      torch::relu(real ? 1 - output.logits : 1 + output.logits).mean();
  if (d.spec.condition == Condition::kAcgan)
    loss = loss + class_loss(output.class_logits, images.y);
  return flat(gradients_of(loss, {}, d.model().parameters()));
}

PrivacySpec privacy_of(double noise) {
  PrivacySpec privacy;
  privacy.mode = DpMode::kDiscriminator;
  privacy.clip = kClip;
  privacy.noise = noise;
  return privacy;
}

using Sum = torch::Tensor (*)(TrainedDiscriminator&, Half,
                              const LabelledImages&, double);

std::vector<Sum> ways(const TrainingSpec& spec) {
  if (spec.model == "mlp") return {clipped_sum_one_by_one, clipped_sum_dense};
  return {clipped_sum_one_by_one};
}

struct Case {
  std::string model;
  Condition condition;
};

Case some_case() {
  return GENERATE(Case{"mlp", Condition::kNone}, Case{"mlp", Condition::kAcgan},
                  Case{"mlp", Condition::kProjection},
                  Case{"dcgan", Condition::kAcgan});
}

std::unique_ptr<DiscriminatorTrainer> private_trainer(const TrainingSpec& spec,
                                                      const LedgerBook& book) {
  auto made =
      DiscriminatorTrainer::create(spec, random_images(spec.image, 20),
                                   first_indices(20), PeerId{0}, "cpu", &book);
  REQUIRE(made);
  (*made)->initialise();
  return std::move(*made);
}

}  // namespace

TEST_CASE("no image's gradient is longer than the clip", "[privacy]") {
  torch::manual_seed(1);
  const auto [model, condition] = some_case();
  const TrainingSpec spec = spec_of(model, condition);
  TrainedDiscriminator d = made(spec);
  CAPTURE(model, name_of(kConditionNames, condition));
  const Half half = GENERATE(Half::kReal, Half::kGenerated);
  for (const Sum sum : ways(spec))
    for (const double scale : {0.01, 1.0, 100.0}) {
      const LabelledImages all = images(spec, 3, scale);
      for (std::int64_t i = 0; i < 3; ++i) {
        const LabelledImages one = part(all, i, 1);
        const torch::Tensor whole =
            autograd_gradient(d, one, half == Half::kReal);
        const double long_by = std::max(1.0, length(whole) / kClip);
        const torch::Tensor clipped = sum(d, half, one, kClip);
        CHECK(length(clipped) <= kClip);
        CHECK(length(clipped * long_by - whole) <= 1e-4 * length(whole));
      }
    }
}

TEST_CASE("ghost norms give the sum that one pass an image gives",
          "[privacy]") {
  torch::manual_seed(2);
  const auto condition =
      GENERATE(Condition::kNone, Condition::kAcgan, Condition::kProjection);
  const TrainingSpec spec = spec_of("mlp", condition);
  TrainedDiscriminator d = made(spec);
  const Half half = GENERATE(Half::kReal, Half::kGenerated);
  LabelledImages all = images(spec, 9, 2);
  all.x.narrow(0, 0, 4).mul_(0.01);  // these are not clipped
  const torch::Tensor slow = clipped_sum_one_by_one(d, half, all, 1.0);
  CHECK(length(clipped_sum_dense(d, half, all, 1.0) - slow) <
        1e-5 * length(slow));
  CHECK(length(clipped_sum_dense(d, half, part(all, 0, 0), 1.0)) == 0);
}

TEST_CASE("an image whose gradient is not finite counts as none", "[privacy]") {
  torch::manual_seed(3);
  const TrainingSpec spec = spec_of("mlp", Condition::kNone);
  TrainedDiscriminator d = made(spec);
  const LabelledImages all = images(spec, 3);
  all.x[2].fill_(std::numeric_limits<float>::infinity());
  for (const Sum sum : ways(spec))
    CHECK(length(sum(d, Half::kReal, all, kClip) -
                 sum(d, Half::kReal, part(all, 0, 2), kClip)) < 1e-6);
}

TEST_CASE("a step's noise has the standard deviation asked for", "[privacy]") {
  torch::manual_seed(4);
  const auto [model, condition] = some_case();
  const TrainingSpec spec = spec_of(model, condition);
  TrainedDiscriminator d = made(spec);
  const LabelledImages generated = images(spec, spec.batch);
  const LabelledImages none = part(generated, 0, 0);
  const double noise = 1.7;
  SecretRandom random(SecretRandom::Key{});
  const auto got =
      private_gradient(d, privacy_of(noise), none, generated, random);
  const torch::Tensor rest =
      (got.values * static_cast<double>(spec.batch) -
       clipped_sum_one_by_one(d, Half::kGenerated, generated, kClip)) /
      (noise * kClip);
  const auto n = static_cast<double>(rest.numel());
  CHECK(rest.std().item<double>() == Approx(1).margin(5 / std::sqrt(2 * n)));
  CHECK(std::abs(rest.mean().item<double>()) < 5 / std::sqrt(n));
  std::int64_t at = 0;
  for (const torch::Tensor& parameter : d.model().parameters()) {
    const torch::Tensor own = rest.narrow(0, at, parameter.numel());
    at += parameter.numel();
    if (own.numel() >= 64)
      CHECK(own.std().item<double>() ==
            Approx(1).margin(
                6 / std::sqrt(2.0 * static_cast<double>(own.numel()))));
    else
      CHECK(own.abs().min().item<double>() > 1e-6);
  }
  const auto again =
      private_gradient(d, privacy_of(noise), none, generated, random);
  CHECK_FALSE(again.values.equal(got.values));
}

TEST_CASE("one image more changes a step by the clip at most", "[privacy]") {
  torch::manual_seed(5);
  const auto [model, condition] = some_case();
  const TrainingSpec spec = spec_of(model, condition);
  TrainedDiscriminator d = made(spec);
  const LabelledImages generated = images(spec, spec.batch);
  const LabelledImages real = images(spec, 7, 10);
  const auto gradient = [&](const LabelledImages& sample) {
    SecretRandom same(SecretRandom::Key{});
    return private_gradient(d, privacy_of(0.1), sample, generated, same);
  };
  const auto with = gradient(real);
  const auto without = gradient(part(real, 1, 6));
  const double change =
      length(with.values - without.values) * static_cast<double>(spec.batch);
  CHECK(change > 0);
  CHECK(change <= kClip * 1.0001);
  // The loss tells nothing of real images.
  CHECK(with.loss == without.loss);
  CHECK(with.loss == Approx(loss_on_generated(d, generated)));
}

TEST_CASE("a penalty on generated images is a part of a private step",
          "[privacy]") {
  torch::manual_seed(6);
  TrainingSpec spec = spec_of("mlp", Condition::kProjection);
  const LabelledImages generated = images(spec, spec.batch);
  const LabelledImages none = part(generated, 0, 0);
  std::vector<PrivateGradient> got;
  for (const double gamma : {0.0, 2.0}) {
    spec.r2_gamma = gamma;
    TrainedDiscriminator d = made(spec);
    SecretRandom same(SecretRandom::Key{});
    got.push_back(private_gradient(d, privacy_of(1), none, generated, same));
  }
  TrainedDiscriminator d = made(spec);
  const torch::Tensor x = generated.x.clone().requires_grad_(true);
  const torch::Tensor penalty =
      zero_centred_penalty(d.model().forward(x, generated.y).logits, x, 2.0);
  const torch::Tensor gradient =
      flat(gradients_of(penalty, {}, d.model().parameters()));
  CHECK(length(gradient) > 0);
  CHECK(length(got[1].values - got[0].values - gradient) <
        1e-4 * length(gradient));
  CHECK(got[1].loss - got[0].loss == Approx(penalty.item<double>()));
}

TEST_CASE("a discriminator whose budget is spent stays as it is", "[privacy]") {
  TrainingSpec spec = TrainerRun{}.discriminator();
  spec.local_steps = 3;
  spec.augment = GENERATE(Augment::kNone, Augment::kDiffAugment);
  spec.replay = GENERATE(false, true);
  const auto server = make_generator_trainer(TrainerRun{}.generator());
  std::uint64_t round = 0;
  const auto learn = [&](DiscriminatorTrainer& trainer) {
    const auto batch = server->generate(Round{++round}).front();
    trainer.learn(Round{round}, batch.images, batch.labels);
    const PeerFeedback answer = trainer.feedback(batch.images, batch.labels);
    CHECK(std::isfinite(answer.discriminator_loss));
    return answer;
  };
  const TemporaryDirectory folder;
  PrivacySpec privacy = privacy_of(3);
  privacy.delta = 1e-3;
  privacy.epsilon = 2;
  const LedgerBook book(privacy, folder.path(), *random_images(spec.image, 20),
                        {first_indices(20)});
  auto trainer = private_trainer(spec, book);
  const PeerState fresh = trainer->snapshot(true);
  learn(*trainer);
  CHECK(trainer->privacy()->steps == 3);
  CHECK(trainer->privacy()->refusal.empty());
  CHECK_FALSE(same(trainer->snapshot(true), fresh));
  trainer.reset();
  trainer = private_trainer(spec, book);  // another run on the same ledger
  CHECK(trainer->privacy()->steps == 3);
  while (trainer->privacy()->refusal.empty() && round < 200) learn(*trainer);
  REQUIRE_FALSE(trainer->privacy()->refusal.empty());
  CHECK(trainer->privacy()->epsilon <= 2);
  const PeerState before = trainer->snapshot(true);
  CHECK(std::isfinite(learn(*trainer).generator_loss));
  CHECK(same(trainer->snapshot(true), before));
}

TEST_CASE("two private runs of one seed differ", "[privacy]") {
  const TrainingSpec spec = TrainerRun{}.discriminator();
  const auto server = make_generator_trainer(TrainerRun{}.generator());
  const auto batch = server->generate(Round{1}).front();
  PrivacySpec privacy = privacy_of(1);
  privacy.delta = 1e-3;
  const TemporaryDirectory folder;
  const LedgerBook book(privacy, folder.path(), *random_images(spec.image, 20),
                        {first_indices(20)});
  std::vector<PeerState> states;
  for (int i = 0; i < 2; ++i) {
    const auto trainer = private_trainer(spec, book);
    trainer->learn(Round{1}, batch.images, batch.labels);
    states.push_back(trainer->snapshot(true));
  }
  CHECK_FALSE(same(states[0], states[1]));
}

TEST_CASE("a model that compares the images of a batch is refused",
          "[privacy]") {
  TrainerRun run;
  run.image = {1, 28, 28, 3};
  run.model = "mnist-cnn";
  run.condition = Condition::kAcgan;
  const TrainingSpec spec = run.discriminator();
  const auto data = random_images(spec.image, 20);
  const TemporaryDirectory folder;
  const LedgerBook book(privacy_of(1), folder.path(), *data,
                        {first_indices(20)});
  const auto trainer = DiscriminatorTrainer::create(
      spec, data, first_indices(20), PeerId{0}, "cpu", &book);
  REQUIRE_FALSE(trainer);
  CHECK(trainer.error().code == ExitCode::kConfiguration);
  CHECK(trainer.error().message.find("minibatch discrimination") !=
        std::string::npos);
}

}  // namespace mdgan::test
