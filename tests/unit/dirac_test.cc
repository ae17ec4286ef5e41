// The Dirac-GAN through the trainers, as a run uses them: the game that shows
// whether training converges (Mescheder, Geiger, Nowozin 2018).
#include <algorithm>
#include <cmath>

#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

constexpr std::uint64_t kRounds = 2000;

// Greys of 127 and 128, which mean -1/255 and 1/255: 0 in the mean.
std::shared_ptr<const Dataset> zeros() {
  auto data = std::make_shared<Dataset>();
  data->shape = {1, 1, 1, 0};
  for (int i = 0; i < 20; ++i)
    data->pixels.push_back(static_cast<std::uint8_t>(127 + i % 2));
  return data;
}

struct Distances {
  double start = 0;
  double end = 0;  // the largest of the last quarter of the rounds
};

// The distance of (theta, psi) from the equilibrium (0, 0).
Distances train(double r1, double r2) {
  TrainerRun run;
  run.model = "dirac";
  run.image = {1, 1, 1, 0};
  run.ema = 0;
  run.adam.learning_rate = 0.01;
  TrainingSpec spec = run.discriminator();
  spec.r1_gamma = r1;
  spec.r2_gamma = r2;
  const auto server = make_generator_trainer(run.generator());
  auto made = DiscriminatorTrainer::create(spec, zeros(), first_indices(20),
                                           PeerId{0}, "cpu");
  REQUIRE(made.ok());
  DiscriminatorTrainer& peer = **made;
  peer.initialise();
  const auto distance = [&] {
    const auto psi = floats(peer.snapshot(false).parameters);
    const auto theta = floats(find(server->snapshot(), "generator.theta"));
    REQUIRE(psi.size() == 1);
    REQUIRE(theta.size() == 1);
    return std::hypot(static_cast<double>(psi[0]),
                      static_cast<double>(theta[0]));
  };
  Distances distances{distance()};
  for (std::uint64_t i = 1; i <= kRounds; ++i) {
    train_round(*server, {&peer}, 1, Round{i});
    if (i > kRounds - kRounds / 4)
      distances.end = std::max(distances.end, distance());
  }
  return distances;
}

TEST_CASE("the Dirac-GAN circles its equilibrium without a penalty",
          "[dirac]") {
  const Distances distances = train(0, 0);
  CHECK(distances.start == Approx(std::sqrt(2.0)));
  CHECK(distances.end > 0.3);
}

TEST_CASE("the Dirac-GAN converges with R1 or R2", "[dirac]") {
  CHECK(train(1, 0).end < 0.02);
  CHECK(train(10, 0).end < 0.05);
  CHECK(train(0, 1).end < 0.02);
}

TEST_CASE("the Dirac-GAN draws the same value from every latent", "[dirac]") {
  TrainerRun run;
  run.model = "dirac";
  run.image = {1, 1, 1, 0};
  const auto server = make_generator_trainer(run.generator());
  for (const GeneratedBatch& batch : server->generate(Round{1}))
    CHECK((floats(batch.images) == std::vector<float>(run.batch, 1)));
}

}  // namespace
}  // namespace mdgan::test
