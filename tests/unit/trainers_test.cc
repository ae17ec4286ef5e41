// The identities of MD-GAN: what its distributed arithmetic must equal.
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "common/base/work_sharer.h"
#include "common/losses/adversarial.h"
#include "common/models/initialise.h"
#include "common/models/registry.h"
#include "common/tensor/device.h"
#include "common/tensor/flat_adam.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/quantise.h"
#include "common/tensor/tensor_blob.h"
#include "tests/support/real_samples.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

using torch::softplus;
using torch::nn::functional::cross_entropy;

// A GAN in one process, on one graph, with the non-saturating loss: what N = 1,
// k = 1 must equal.
class PlainGan {
 public:
  explicit PlainGan(const TrainerRun& run)
      : run_(run),
        g_(*make_generator(run.model, run.image, run.condition, 6)),
        d_(*make_discriminator(run.model, run.image, run.condition)) {
    Random g_random(run.seed, Purpose::kGeneratorInit);
    Random d_random(run.seed, Purpose::kDiscriminatorInit, 0);
    initialise(*g_, g_random);
    initialise(*d_, d_random);
    g_values = flatten_parameters(*g_);
    d_values = flatten_parameters(*d_);
    g_adam_ = std::make_unique<FlatAdam>(run.adam, g_values);
    d_adam_ = std::make_unique<FlatAdam>(run.adam, d_values);
  }

  // Replays the last `local_steps` rounds, if there were as many.
  void train(Round round, std::uint32_t local_steps, bool replay) {
    torch::Tensor z = torch::empty({run_.batch, 6});
    Random(run_.seed, Purpose::kLatents, 0, round.value)
        .fill_normal({z.data_ptr<float>(), run_.batch * std::size_t{6}});
    torch::Tensor y = torch::empty({run_.batch}, torch::kInt64);
    Random random(run_.seed, Purpose::kLabels, 0, round.value);
    for (std::int64_t i = 0; i < y.numel(); ++i)
      y[i] = static_cast<std::int64_t>(random.below(run_.image.classes));
    const torch::Tensor generated = g_->forward(z, y);
    generated_.push_back({generated.detach(), y});
    Random real_samples(run_.seed, Purpose::kRealSamples, 0, round.value);
    Sample real = draw_real(run_, real_samples);

    for (std::uint32_t step = 0; step < local_steps; ++step) {
      const std::size_t age = replay ? local_steps - 1 - step : 0;
      const std::size_t newest = generated_.size() - 1;
      const Sample& fake = generated_[newest - std::min(age, newest)];
      const torch::Tensor loss =
          discriminator_loss(real, fake.images, fake.labels);
      d_adam_->step(d_values, gradients_of(loss, {}, d_->parameters()));
      if (replay) real = draw_real(run_, real_samples);
    }
    const DiscriminatorOutput out = d_->forward(generated, y);
    torch::Tensor loss = softplus(-out.logits).mean();
    if (run_.condition == Condition::kAcgan)
      loss = loss + cross_entropy(out.class_logits, y);
    g_adam_->step(g_values, gradients_of(loss, {}, g_->parameters()));
  }

  torch::Tensor g_values, d_values;

 private:
  torch::Tensor discriminator_loss(const Sample& real,
                                   const torch::Tensor& generated,
                                   const torch::Tensor& y) {
    const std::int64_t b = run_.batch;
    const DiscriminatorOutput out = d_->forward(
        torch::cat({real.images, generated}), torch::cat({real.labels, y}));
    torch::Tensor loss = softplus(-out.logits.slice(0, 0, b)).mean() +
                         softplus(out.logits.slice(0, b)).mean();
    if (run_.condition == Condition::kAcgan)
      loss = loss +
             cross_entropy(out.class_logits.slice(0, 0, b), real.labels) +
             cross_entropy(out.class_logits.slice(0, b), y);
    return loss;
  }

  TrainerRun run_;
  std::shared_ptr<Generator> g_;
  std::shared_ptr<Discriminator> d_;
  std::unique_ptr<FlatAdam> g_adam_, d_adam_;
  std::vector<Sample> generated_;  // of every round
};

// "generator.*" in the order of the snapshot, which is that of the parameters;
// without what batch normalisation counts beside them.
torch::Tensor generator_weights(const GeneratorTrainer& server) {
  std::vector<torch::Tensor> parts;
  for (const NamedBlob& item : server.snapshot())
    if (item.name.starts_with("generator.") &&
        item.name.find(".running_") == std::string::npos &&
        item.name.find(".num_batches") == std::string::npos)
      parts.push_back(to_tensor(item.blob).flatten());
  return torch::cat(parts);
}

}  // namespace

TEST_CASE("one peer and one batch are a single-process GAN, bit for bit") {
  // Dense layers are the exception: the trainers sum in another order.
  TrainerRun run;
  run.model = GENERATE(as<std::string>{}, "mlp", "resnet", "dcgan");
  const bool exact = run.model != "mlp";
  if (exact) run.image = {1, 32, 32, 3};
  run.condition =
      GENERATE(Condition::kNone, Condition::kAcgan, Condition::kProjection);
  const auto [local_steps, replay] =
      GENERATE(table<std::uint32_t, bool>({{1, false}, {2, false}, {3, true}}));
  INFO("seed " << run.seed << ", " << name_of(kConditionNames, run.condition)
               << ", " << local_steps << " local steps, replay " << replay);
  torch::set_num_threads(1);
  PlainGan plain(run);
  const auto server = make_generator_trainer(run.generator());
  TrainingSpec spec = run.discriminator();
  spec.local_steps = local_steps;
  spec.replay = replay;
  const auto peer = make_discriminator_trainer(spec, 0);
  REQUIRE(generator_weights(*server).equal(plain.g_values));
  for (std::uint64_t i = 1; i <= (exact ? 3 : 20); ++i) {
    plain.train(Round{i}, local_steps, replay);
    train_round(*server, {peer.get()}, 1, Round{i});
    // In between, the state takes the form in which it travels, and back.
    if (i == 1) peer->snapshot(true);
  }
  const auto d_values = to_tensor(peer->snapshot(false).parameters);
  const double tolerance = exact ? 0.0 : 1e-4;
  CHECK(relative_error(d_values, plain.d_values) <= tolerance);
  CHECK(relative_error(generator_weights(*server), plain.g_values) <=
        tolerance);
}

TEST_CASE("the merged update is the gradient of the peers' mean loss") {
  // Loss = 1/N sum_n Loss_G(D_n, G(Z_(n mod k))), on one graph.
  TrainerRun run;
  run.condition = Condition::kAcgan;
  run.loss = GENERATE(Loss::kNonSaturating, Loss::kSaturating, Loss::kHinge);
  run.k = 2;
  constexpr int kPeers = 3;
  INFO("seed " << run.seed << ", " << name_of(kLossNames, run.loss));
  const auto server = make_generator_trainer(run.generator());
  auto g = *make_generator(run.model, run.image, run.condition, 6);
  Random random(run.seed, Purpose::kGeneratorInit);
  initialise(*g, random);

  std::vector<std::unique_ptr<DiscriminatorTrainer>> peers;
  std::vector<DiscriminatorTrainer*> all;
  for (std::uint32_t n = 0; n < std::uint32_t{kPeers}; ++n) {
    peers.push_back(make_discriminator_trainer(run.discriminator(), n));
    all.push_back(peers.back().get());
  }
  const auto labels_of = [](const GeneratedBatch& batch) {
    return to_tensor(batch.labels).to(torch::kInt64);
  };
  const auto batches = server->generate(Round{1});
  train_round(*server, all, run.k, Round{1});

  torch::Tensor loss = torch::zeros({});
  for (std::uint32_t n = 0; n < std::uint32_t{kPeers}; ++n) {
    torch::Tensor z = torch::empty({run.batch, 6});
    Random(run.seed, Purpose::kLatents, n % 2, 1)
        .fill_normal({z.data_ptr<float>(), run.batch * std::size_t{6}});
    const torch::Tensor y = labels_of(batches[n % 2]);
    const auto d = copy_of(*peers[n], run);  // as it was for the feedback
    const DiscriminatorOutput out = d->forward(g->forward(z, y), y);
    loss = loss + (generator_loss(run.loss, out.logits) +
                   cross_entropy(out.class_logits, y)) /
                      kPeers;
  }
  std::vector<torch::Tensor> expected;
  for (const auto& gradient : torch::autograd::grad({loss}, g->parameters()))
    expected.push_back(gradient.flatten());
  // After one step from zero the first moment is (1 - beta1) * gradient.
  const auto state = server->snapshot();
  const torch::Tensor gradient =
      to_tensor(find(state, "adam.first_moment")) / (1 - run.adam.beta1);
  CHECK(relative_error(gradient, torch::cat(expected)) < 1e-5);
}

TEST_CASE("identical peers teach the generator what one of them does") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto gradient_of = [&](std::uint32_t count) {
    const auto server = make_generator_trainer(run.generator());
    std::vector<std::unique_ptr<DiscriminatorTrainer>> peers;
    std::vector<DiscriminatorTrainer*> all;
    for (std::uint32_t n = 0; n < count; ++n) {
      peers.push_back(make_discriminator_trainer(run.discriminator(), 0));
      all.push_back(peers.back().get());
    }
    for (std::uint64_t i = 1; i <= 3; ++i)
      train_round(*server, all, 1, Round{i});
    return to_tensor(find(server->snapshot(), "adam.first_moment")).clone();
  };
  const torch::Tensor one = gradient_of(1);
  CHECK(gradient_of(2).equal(one));  // (F + F) / 2 rounds nothing
  CHECK(relative_error(gradient_of(5), one) < 1e-4);
}

TEST_CASE("a work sharer changes no bit of a generator's rounds") {
  TrainerRun run;
  run.model = GENERATE("mlp", "dcgan");
  run.image = {3, 32, 32, 3};
  run.condition = Condition::kAcgan;
  run.k = 2;
  const auto trained = [&] {
    set_compute_threads(1);
    auto server = make_generator_trainer(run.generator());
    auto peer = make_discriminator_trainer(run.discriminator(), 0);
    auto other = make_discriminator_trainer(run.discriminator(), 1);
    for (std::uint64_t round = 1; round <= 3; ++round)
      train_round(*server, {peer.get(), other.get()}, run.k, {round});
    return server->snapshot();
  };
  const auto alone = trained();
  std::vector<NamedBlob> helped;
  WorkSharer sharer([] { set_compute_threads(1); });
  std::thread([&] {
    sharer.serve_this_thread();
    helped = trained();
  }).join();
  REQUIRE(helped.size() == alone.size());
  for (std::size_t i = 0; i < alone.size(); ++i) {
    INFO(run.model << ": " << alone[i].name);
    CHECK(same(helped[i].blob, alone[i].blob));
  }
}

TEST_CASE("a batch that no peer answered for moves nothing") {
  TrainerRun run;
  run.k = 2;
  INFO("seed " << run.seed);
  TrainerRun single = run;
  single.k = 1;  // its one batch has the same latents as the first of two
  const auto two = make_generator_trainer(run.generator());
  const auto one = make_generator_trainer(single.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  const auto batch = two->generate(Round{1}).front();
  REQUIRE(same(batch.images, one->generate(Round{1}).front().images));
  const Contribution contribution{
      PeerId{0}, 0, peer->feedback(batch.images, batch.labels).feedback};
  const auto report = two->step(Round{1}, {&contribution, 1});
  REQUIRE(report.ok());
  CHECK(report->feedback_norm ==
        Approx(to_tensor(contribution.feedback).norm().item<float>()));
  REQUIRE(one->step(Round{1}, {&contribution, 1}).ok());
  const auto gradient = [](const GeneratorTrainer& server) {
    return to_tensor(find(server.snapshot(), "adam.first_moment")).clone();
  };
  CHECK(relative_error(gradient(*two), gradient(*one)) < 1e-5);
}

TEST_CASE("feedback in a small form counts as what it stands for") {
  const TrainerRun run{.k = 2};
  const auto made = make_generator_trainer(run.generator());
  const auto twin = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const Round round{i};
    const auto batches = made->generate(round);
    (void)twin->generate(round);
    peer->learn(round, batches[0].images, batches[0].labels);
    std::vector<Contribution> small;
    std::vector<Contribution> plain;
    for (std::uint32_t n = 0; n < 6; ++n) {
      const Blob feedback = peer->feedback(batches[n % 2].images, {}).feedback;
      if (n < 3) {
        const ScaledInt8 packed = to_int8(feedback, 10 * i + n);
        small.push_back({PeerId{n}, n % 2, packed.values, packed.scales});
      } else {
        small.push_back({PeerId{n}, n % 2, to_bfloat16(feedback)});
      }
      std::vector<float> decoded(feedback.bytes.size() / sizeof(float));
      add_to(decoded, small.back().feedback, small.back().scales);
      plain.push_back(
          {PeerId{n}, n % 2, float_blob(feedback.meta.dims, decoded)});
    }
    REQUIRE(made->step(round, small).ok());
    REQUIRE(twin->step(round, plain).ok());
  }
  CHECK(same(made->snapshot(), twin->snapshot()));
}

}  // namespace mdgan::test
