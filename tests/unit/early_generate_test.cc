// Rounds of a generator that are open together: generated before an older one
// is stepped.
#include <algorithm>

#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

std::vector<Contribution> answer(const TrainerRun& run, std::uint64_t seed) {
  std::vector<float> values(run.batch * run.image.values());
  Random(seed, Purpose::kSimulation).fill_normal(values);
  return {{PeerId{0}, 0,
           float_blob({run.batch, run.image.channels, run.image.height,
                       run.image.width},
                      values)}};
}

bool same_batches(const std::vector<GeneratedBatch>& a,
                  const std::vector<GeneratedBatch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const GeneratedBatch& x, const GeneratedBatch& y) {
                      return same(x.images, y.images) &&
                             same(x.labels, y.labels);
                    });
}

std::vector<TrainerRun> runs() {
  return {{.k = 2},
          {.condition = Condition::kAcgan},
          {.condition = Condition::kProjection},
          {.model = "mnist-cnn",
           .image = {1, 28, 28, 3},
           .condition = Condition::kAcgan},
          {.model = "dcgan", .image = {3, 32, 32, 3}}};
}

}  // namespace

TEST_CASE("a round may be generated while an older one is open",
          "[early-generate]") {
  for (const TrainerRun& run : runs()) {
    INFO(run.model << " " << name_of(kConditionNames, run.condition));
    const auto plain = make_generator_trainer(run.generator());
    const auto early = make_generator_trainer(run.generator());
    const auto fresh = make_generator_trainer(run.generator());
    const auto first = plain->generate(Round{1});
    CHECK(same_batches(early->generate(Round{1}), first));
    // The second comes from the weights of before the first's step.
    CHECK(same_batches(early->generate(Round{2}), fresh->generate(Round{2})));
    REQUIRE(plain->step(Round{1}, answer(run, 1)).ok());
    REQUIRE(early->step(Round{1}, answer(run, 1)).ok());
    const auto stepped = early->snapshot();
    CHECK(same(stepped, plain->snapshot()));
    REQUIRE(early->step(Round{2}, answer(run, 2)).ok());
    CHECK_FALSE(same(stepped, early->snapshot()));
    // From here on both are closed.
    REQUIRE(early->load(stepped).ok());
    CHECK(same_batches(early->generate(Round{3}), plain->generate(Round{3})));
    REQUIRE(plain->step(Round{3}, answer(run, 3)).ok());
    REQUIRE(early->step(Round{3}, answer(run, 3)).ok());
    CHECK(same(early->snapshot(), plain->snapshot()));
  }
}

TEST_CASE("feedback on images of older weights is taken for the newest ones",
          "[early-generate]") {
  for (const TrainerRun& run : runs()) {
    INFO(run.model << " " << name_of(kConditionNames, run.condition));
    const auto early = make_generator_trainer(run.generator());
    const auto plain = make_generator_trainer(run.generator());
    for (const std::uint64_t i : {1U, 2U, 3U}) (void)early->generate(Round{i});
    for (const std::uint64_t i : {1U, 2U, 3U}) {
      (void)plain->generate(Round{i});
      REQUIRE(plain->step(Round{i}, answer(run, i)).ok());
      REQUIRE(early->step(Round{i}, answer(run, i)).ok());
      CHECK(same(early->snapshot(), plain->snapshot()));
    }
  }
}

TEST_CASE("a round that is generated again while others are open counts once",
          "[early-generate]") {
  for (const TrainerRun& run : runs()) {
    INFO(run.model << " " << name_of(kConditionNames, run.condition));
    const auto plain = make_generator_trainer(run.generator());
    const auto again = make_generator_trainer(run.generator());
    const auto first = plain->generate(Round{1});
    (void)again->generate(Round{1});
    (void)again->generate(Round{2});
    CHECK(same_batches(again->generate(Round{1}), first));
    REQUIRE(plain->step(Round{1}, answer(run, 1)).ok());
    REQUIRE(again->step(Round{1}, answer(run, 1)).ok());
    CHECK(same(again->snapshot(), plain->snapshot()));
  }
}

TEST_CASE("a round that is never stepped leaves no trace in a later one",
          "[early-generate]") {
  for (const TrainerRun& run : runs()) {
    INFO(run.model << " " << name_of(kConditionNames, run.condition));
    const auto plain = make_generator_trainer(run.generator());
    const auto skips = make_generator_trainer(run.generator());
    (void)skips->generate(Round{1});
    CHECK(same_batches(skips->generate(Round{2}), plain->generate(Round{2})));
    REQUIRE(plain->step(Round{2}, answer(run, 1)).ok());
    REQUIRE(skips->step(Round{2}, answer(run, 1)).ok());
    CHECK(same(skips->snapshot(), plain->snapshot()));
  }
}

}  // namespace mdgan::test
