// The trainers on a GPU beside the processor's, and beside themselves.
// MDGAN_TEST_DEVICE names another device than cuda: with cpu it is seen whether
// the tests themselves are right.
#include <torch/torch.h>

#include <cstdlib>
#include <thread>

#include "common/tensor/device.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"
#include "peer/train/make_peer_trainer.h"
#include "tests/support/contains.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

// What float32 sums in another order differ by: relative to the norm of a whole
// batch after one round, and of losses after kRounds. A wrong kernel is wrong
// by far more.
constexpr double kOfOneRound = 1e-3;
constexpr double kOfLosses = 2e-2;
constexpr std::uint64_t kRounds = 5;
constexpr std::uint32_t kPeers = 2;
constexpr std::uint32_t kBatches = 2;  // k

std::string device_under_test() {
  const char* const named = std::getenv("MDGAN_TEST_DEVICE");
  return named == nullptr ? "cuda" : named;
}

struct Gan {
  std::unique_ptr<GeneratorTrainer> server;
  std::vector<std::unique_ptr<DiscriminatorTrainer>> peers;

  std::vector<PeerFeedback> train(Round round) {
    std::vector<DiscriminatorTrainer*> all;
    for (const auto& peer : peers) all.push_back(peer.get());
    return train_round(*server, all, kBatches, round);
  }
};

Gan make_gan(const TrainerRun& run, const TrainingSpec& spec,
             const std::string& device) {
  Gan gan;
  auto server = GeneratorTrainer::create(run.generator(), device);
  REQUIRE(server.ok());
  gan.server = std::move(*server);
  for (std::uint32_t n = 0; n < kPeers; ++n) {
    auto peer =
        DiscriminatorTrainer::create(spec, random_images(run.image, 20),
                                     first_indices(20), PeerId{n}, device);
    REQUIRE(peer.ok());
    (*peer)->initialise();
    gan.peers.push_back(std::move(*peer));
  }
  return gan;
}

double relative_difference(const Blob& have, const Blob& want) {
  const torch::Tensor a = to_tensor(have), b = to_tensor(want);
  return ((a - b).norm() / b.norm()).item<double>();
}

struct Subject {
  const char* model;
  ImageShape image;
  Condition condition = Condition::kNone;
  Loss loss = Loss::kNonSaturating;
  double r1 = 0;
  std::uint32_t local_steps = 1;
};

TrainerRun run_of(const Subject& subject) {
  TrainerRun run;
  run.model = subject.model;
  run.image = subject.image;
  run.condition = subject.condition;
  run.loss = subject.loss;
  run.k = kBatches;
  return run;
}

TrainingSpec spec_of(const Subject& subject) {
  TrainingSpec spec = run_of(subject).discriminator();
  spec.r1_gamma = subject.r1;
  spec.local_steps = subject.local_steps;
  return spec;
}

std::vector<Subject> subjects() {
  const ImageShape small{1, 4, 4, 3}, mnist{1, 28, 28, 10},
      cifar{3, 32, 32, 10};
  return {{"mlp", small},
          {"mlp", small, Condition::kProjection, Loss::kHinge},
          {"mlp", small, Condition::kAcgan, Loss::kSaturating, 0.1, 3},
          {"mlp", small, Condition::kNone, Loss::kWassersteinGp},
          {"mnist-cnn", mnist, Condition::kAcgan},
          {"dcgan", cifar, Condition::kProjection},
          {"resnet", cifar, Condition::kNone, Loss::kNonSaturating, 10}};
}

TEST_CASE("a GPU trains what the processor trains, but for rounding") {
  for (const Subject& subject : subjects()) {
    INFO(subject.model << ", condition " << static_cast<int>(subject.condition)
                       << ", loss " << static_cast<int>(subject.loss));
    const TrainerRun run = run_of(subject);
    Gan want = make_gan(run, spec_of(subject), "cpu");
    Gan have = make_gan(run, spec_of(subject), device_under_test());
    const auto expected = want.server->generate(Round{1});
    const auto drawn = have.server->generate(Round{1});
    for (std::uint32_t j = 0; j < kBatches; ++j) {
      CHECK(relative_difference(drawn[j].images, expected[j].images) <
            kOfOneRound);
      CHECK(same(drawn[j].labels, expected[j].labels));
    }
    for (Round round{1}; round.value <= kRounds; ++round.value) {
      const auto of_cpu = want.train(round);
      const auto of_gpu = have.train(round);
      for (std::uint32_t n = 0; n < kPeers; ++n) {
        INFO("round " << round.value << ", peer " << n);
        if (round.value == 1)
          CHECK(relative_difference(of_gpu[n].feedback, of_cpu[n].feedback) <
                kOfOneRound);
        CHECK(of_gpu[n].discriminator_loss ==
              Approx(of_cpu[n].discriminator_loss)
                  .epsilon(kOfLosses)
                  .margin(kOfLosses));
        CHECK(of_gpu[n].generator_loss == Approx(of_cpu[n].generator_loss)
                                              .epsilon(kOfLosses)
                                              .margin(kOfLosses));
      }
    }
  }
}

TEST_CASE("the same seed gives the same bits on the same GPU") {
  for (const Subject& subject : subjects()) {
    INFO(subject.model);
    const TrainerRun run = run_of(subject);
    Gan one = make_gan(run, spec_of(subject), device_under_test());
    Gan other = make_gan(run, spec_of(subject), device_under_test());
    for (Round round{1}; round.value <= kRounds; ++round.value) {
      const auto first = one.train(round);
      const auto second = other.train(round);
      for (std::uint32_t n = 0; n < kPeers; ++n)
        CHECK(same(first[n].feedback, second[n].feedback));
    }
    CHECK(same(one.server->snapshot(), other.server->snapshot()));
    CHECK(same(one.peers[0]->snapshot(true), other.peers[0]->snapshot(true)));
  }
}

TEST_CASE(
    "a generator moves from a GPU to the processor and back, bit for bit") {
  const Subject subject{"dcgan", {3, 32, 32, 10}};
  const TrainerRun run = run_of(subject);
  Gan gan = make_gan(run, spec_of(subject), device_under_test());
  gan.train(Round{1});
  const auto saved = gan.server->snapshot();
  const auto on_cpu = make_generator_trainer(run.generator());
  REQUIRE(on_cpu->load(saved).ok());
  CHECK(same(on_cpu->snapshot(), saved));
  Gan again = make_gan(run, spec_of(subject), device_under_test());
  REQUIRE(again.server->load(on_cpu->snapshot()).ok());
  const auto images = [](Gan& of) {
    return of.server->generate(Round{2}).front().images;
  };
  CHECK(same(images(again), images(gan)));
}

TEST_CASE("sessions that share a GPU give what they give one after the other") {
  const Subject subject{"dcgan", {3, 32, 32, 10}};
  const TrainerRun run = run_of(subject);
  const GeneratedBatch batch =
      make_generator_trainer(run.generator())->generate(Round{1}).front();
  const auto trained = [&](bool together) {
    std::vector<std::unique_ptr<PeerTrainer>> peers;
    for (std::uint32_t n = 0; n < 4; ++n) {
      auto made =
          make_peer_trainer(spec_of(subject), random_images(run.image, 20),
                            first_indices(20), PeerId{n}, device_under_test());
      REQUIRE(made.ok());
      (*made)->initialise();
      peers.push_back(std::move(*made));
    }
    std::vector<Blob> answers(peers.size());
    const auto train = [&](std::size_t n) {
      for (Round round{1}; round.value <= kRounds; ++round.value) {
        peers[n]->learn(round, 1, batch.images, batch.labels);
        answers[n] = peers[n]->feedback(batch.images, batch.labels).feedback;
      }
    };
    std::vector<std::thread> threads;
    for (std::size_t n = 0; n < peers.size(); ++n)
      if (together)
        threads.emplace_back([&, n] {
          set_compute_threads(1);
          train(n);
        });
      else
        train(n);
    for (std::thread& thread : threads) thread.join();
    return answers;
  };
  set_compute_threads(1);
  const auto alone = trained(false), together = trained(true);
  for (std::size_t n = 0; n < alone.size(); ++n)
    CHECK(same(alone[n], together[n]));
}

TEST_CASE("a GPU whose memory is full says which options to lower") {
  if (device_under_test() == "cpu") return;
  const auto where = parse_device(device_under_test());
  REQUIRE(where.ok());
  const auto filled = guarded("cannot", ExitCode::kBug, [&]() -> Result<void> {
    (void)torch::empty({std::int64_t{1} << 42}, torch::TensorOptions(*where));
    return {};
  });
  REQUIRE_FALSE(filled.ok());
  CHECK(filled.error().code == ExitCode::kConfiguration);
  CHECK(contains(filled.error().message, {"'batch'", "'sessions'"}));
}

}  // namespace
}  // namespace mdgan::test
