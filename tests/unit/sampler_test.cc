// What a generator draws: a round's batches, and samples.
#include "common/train/generator/sampler.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

TEST_CASE("the moving average follows the generator") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  const auto initial = floats(find(server->snapshot(), "generator.fc3.bias"));
  CHECK((floats(find(server->snapshot(), "ema.fc3.bias")) == initial));
  server->generate(Round{1});
  REQUIRE(server->step(Round{1}, constant_feedback(run, 0.1F)).ok());
  const auto state = server->snapshot();
  const auto live = floats(find(state, "generator.fc3.bias"));
  const auto average = floats(find(state, "ema.fc3.bias"));
  CHECK(live[0] != initial[0]);
  CHECK(average[0] == Approx(0.9 * initial[0] + 0.1 * live[0]));

  run.ema = 0;
  const auto without = make_generator_trainer(run.generator());
  for (const NamedBlob& item : without->snapshot())
    CHECK(item.name.rfind("ema.", 0) != 0);
  CHECK_FALSE(same(without->sample(2, {}, 1), without->sample(2, {}, 2)));
}

TEST_CASE("samples depend on their seed and their classes alone") {
  TrainerRun run;
  run.condition = Condition::kAcgan;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  constexpr std::uint32_t kCount = 70;  // more than one pass
  const Blob images = server->sample(kCount, {}, 3);
  CHECK((images.meta.dims == std::vector<std::uint64_t>{kCount, 1, 4, 4}));
  for (const float x : floats(images)) {
    REQUIRE(x >= -1.0F);
    REQUIRE(x <= 1.0F);
  }
  CHECK(same(server->sample(kCount, {}, 3), images));
  CHECK_FALSE(same(server->sample(kCount, {}, 4), images));
  std::vector<std::int32_t> classes(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i)
    classes[i] = static_cast<std::int32_t>(i % 3);
  CHECK(same(server->sample(kCount, classes, 3), images));
  classes[69] = 1;
  const auto changed = floats(server->sample(kCount, classes, 3));
  const auto all = floats(images);
  CHECK(std::equal(all.begin(), all.end() - 16, changed.begin()));
  CHECK_FALSE(std::equal(all.end() - 16, all.end(), changed.end() - 16));
  classes[69] = 3;
  CHECK_THROWS_AS(server->sample(kCount, classes, 3), std::runtime_error);
  CHECK(server->sample(0, {}, 3).empty());
}

TEST_CASE("a round's batches are distinct, labelled and drawn again alike") {
  TrainerRun run;
  run.condition = Condition::kAcgan;
  run.k = 3;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  const auto batches = server->generate(Round{1});
  REQUIRE(batches.size() == 3);
  CHECK_FALSE(same(batches[0].images, batches[1].images));
  CHECK_FALSE(same(batches[1].images, batches[2].images));
  std::vector<std::int32_t> labels(run.batch);
  for (const auto& batch : batches) {
    CHECK((batch.labels.meta.dtype == protocol::DType::kInt32));
    REQUIRE(batch.labels.bytes.size() == run.batch * 4);
    std::memcpy(labels.data(), batch.labels.bytes.data(), run.batch * 4);
    for (const auto label : labels) CHECK((label >= 0 && label < 3));
  }
  const auto first = floats(batches[0].images);
  server->generate(Round{2});  // while the first round's are still on their way
  CHECK((floats(batches[0].images) == first));
  const auto again = server->generate(Round{1});
  for (std::size_t j = 0; j < 3; ++j) {
    CHECK(same(again[j].images, batches[j].images));
    CHECK(same(again[j].labels, batches[j].labels));
  }
}

TEST_CASE("a sampler draws what the generator drew when it was copied") {
  TrainerRun run;
  run.k = 1;
  SECTION("from the moving average") { run.condition = Condition::kAcgan; }
  SECTION("from the generator itself") { run.ema = 0; }
  SECTION("with batch normalisation") {
    run.model = "dcgan";
    run.image = {1, 32, 32, 3};
    run.batch = 2;
  }
  INFO("seed " << run.seed << ", " << run.model);
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  train_round(*server, {peer.get()}, run.k, Round{1});
  const Blob first = server->sample(3, {}, 1);
  auto sampler = server->sampler();
  train_round(*server, {peer.get()}, run.k, Round{2});
  const Blob second = server->sample(3, {}, 1);
  CHECK_FALSE(same(second, first));
  CHECK(same(sampler->sample(3, {}, 1), first));
  const Sampler* reused = sampler.get();
  sampler = server->sampler(std::move(sampler));
  CHECK(sampler.get() == reused);
  CHECK(same(sampler->sample(3, {}, 1), second));
}

}  // namespace
}  // namespace mdgan::test
