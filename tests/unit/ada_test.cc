// ADA at a peer: a probability that belongs to its images.
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "common/augment/adaptive_probability.h"
#include "common/augment/diff_augment.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

using Counts = AdaptiveProbability::State;  // level, steps, images, signs

std::vector<NamedBlob> ada_state(const Counts& counts) {
  return {{"ada.state", copy_blob({protocol::DType::kInt32, {counts.size()}},
                                  std::as_bytes(std::span(counts)))}};
}

Counts counts_of(const DiscriminatorTrainer& peer) {
  Counts counts{};
  const auto history = peer.history();
  const Blob blob = find(history, "ada.state");
  REQUIRE(blob.bytes.size() == sizeof counts);
  std::memcpy(counts.data(), blob.bytes.data(), sizeof counts);
  return counts;
}

TrainingSpec with_ada(const TrainerRun& run) {
  TrainingSpec spec = run.discriminator();
  spec.augment = Augment::kAda;
  return spec;
}

// D gives this logit to every image.
void make_sure(DiscriminatorTrainer& peer, float logit) {
  PeerState state = peer.snapshot(true);
  std::vector<float> values(peer.parameter_count());
  values.back() = logit;  // the last layer's bias
  state.parameters = float_blob({values.size()}, values);
  REQUIRE(peer.load(state).ok());
}

void train(DiscriminatorTrainer& peer, const GeneratedBatch& batch,
           std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t i = first; i <= last; ++i) {
    peer.learn(Round{i}, batch.images, batch.labels);
    (void)peer.feedback(batch.images, batch.labels);
  }
}

GeneratedBatch some_batch(const TrainerRun& run) {
  return make_generator_trainer(run.generator())->generate(Round{1}).front();
}

TEST_CASE("a discriminator that is sure of the real images raises the chance") {
  TrainerRun run;
  run.model = GENERATE(as<std::string>{}, "mlp", "dcgan");
  if (run.model == "dcgan") run.image = {3, 32, 32, 3};
  TrainingSpec spec = with_ada(run);
  spec.r1_gamma = GENERATE(0.0, 1.0);
  const auto batch = some_batch(run);
  const auto peer = make_discriminator_trainer(spec, 0);
  peer->load_history(ada_state({10'000, 0, 0, 0}));
  const auto b = static_cast<std::int32_t>(run.batch);
  make_sure(*peer, 5);
  train(*peer, batch, 1, 3);
  CHECK(counts_of(*peer) == Counts{10'000, 3, 3 * b, 3 * b});
  train(*peer, batch, 4, 4);
  CHECK(counts_of(*peer) == Counts{10'000 + 4 * b, 0, 0, 0});
  // An answer that is asked for again is counted once.
  train(*peer, batch, 5, 5);
  (void)peer->feedback(batch.images, batch.labels);
  CHECK(counts_of(*peer) == Counts{10'000 + 4 * b, 1, b, b});
  // A discriminator that comes goes on with what was counted before it.
  make_sure(*peer, -5);
  train(*peer, batch, 6, 13);
  CHECK(counts_of(*peer) == Counts{10'000 - 4 * b, 1, b, -b});
}

TEST_CASE("with a chance of zero ADA changes no bit") {
  TrainerRun run;
  const auto batch = some_batch(run);
  const auto ada = make_discriminator_trainer(with_ada(run), 0);
  const auto plain = make_discriminator_trainer(run.discriminator(), 0);
  CHECK(plain->history().empty());
  for (DiscriminatorTrainer* peer : {ada.get(), plain.get()})
    train(*peer, batch, 1, 3);
  CHECK(same(ada->snapshot(true), plain->snapshot(true)));
}

TEST_CASE("ADA's feedback is with respect to the image as it is") {
  TrainerRun run;
  run.image = {1, 8, 8, 3};
  const auto batch = some_batch(run);
  const auto peer = make_discriminator_trainer(with_ada(run), 2);
  const auto plain = make_discriminator_trainer(run.discriminator(), 2);
  peer->load_history(ada_state({20'000, 0, 0, 0}));
  peer->learn(Round{4}, batch.images, batch.labels);
  REQUIRE(plain->load(peer->snapshot(true)).ok());
  Random random(run.seed, Purpose::kFeedbackAugmentation, 2, 4);
  const auto changes = draw_augmentations(run.batch, run.image, random, 0.4);
  auto changed = floats(batch.images);
  augment(changes, run.image, changed);
  auto expected = floats(
      plain->feedback(float_blob(batch.images.meta.dims, changed), batch.labels)
          .feedback);
  augment_adjoint(changes, run.image, expected);
  CHECK(floats(peer->feedback(batch.images, batch.labels).feedback) ==
        expected);
}

TEST_CASE("a peer that was saved goes on with the same chance, bit for bit") {
  TrainerRun run;
  const auto batch = some_batch(run);
  const auto peer = make_discriminator_trainer(with_ada(run), 0);
  peer->load_history(ada_state({20'000, 0, 0, 0}));
  train(*peer, batch, 1, 6);
  const PeerState state = peer->snapshot(true);
  const auto history = peer->history();
  const auto resumed = make_discriminator_trainer(with_ada(run), 0);
  const auto forgetful = make_discriminator_trainer(with_ada(run), 0);
  for (DiscriminatorTrainer* other : {resumed.get(), forgetful.get()})
    REQUIRE(other->load(state).ok());
  resumed->load_history(history);
  CHECK(same(resumed->history(), history));
  for (DiscriminatorTrainer* each :
       {peer.get(), resumed.get(), forgetful.get()})
    train(*each, batch, 7, 12);
  CHECK(same(resumed->snapshot(true), peer->snapshot(true)));
  CHECK(counts_of(*resumed) == counts_of(*peer));
  CHECK_FALSE(same(forgetful->snapshot(true), peer->snapshot(true)));
  // What cannot be is not taken.
  peer->load_history(ada_state({-1, 0, 0, 0}));
  CHECK(counts_of(*peer) == Counts{});
  peer->load_history({{"ada.state", float_blob({4}, {1, 0, 0, 0})}});
  CHECK(counts_of(*peer) == Counts{});
  resumed->initialise();
  CHECK(counts_of(*resumed) == Counts{});
}

TEST_CASE("the chance stays with the images when discriminators swap") {
  TrainerRun run;
  const auto batch = some_batch(run);
  const auto a = make_discriminator_trainer(with_ada(run), 0);
  const auto b = make_discriminator_trainer(with_ada(run), 1);
  a->load_history(ada_state({20'000, 0, 0, 0}));
  make_sure(*a, 5);
  train(*a, batch, 1, 2);
  train(*b, batch, 1, 2);
  const Counts counted = counts_of(*a);
  REQUIRE(counted[1] == 2);
  const PeerState of_a = a->snapshot(true), of_b = b->snapshot(true);
  REQUIRE(a->load(of_b).ok());
  REQUIRE(b->load(of_a).ok());
  CHECK(counts_of(*a) == counted);
  CHECK(counts_of(*b)[0] == 0);
  // Swaps, however often, do not keep it from acting.
  make_sure(*a, 5);
  train(*a, batch, 3, 4);
  CHECK(counts_of(*a)[0] != counted[0]);
  // What says nothing of it, such as the copy that a late joiner gets.
  const Counts now = counts_of(*a);
  a->load_history({});
  CHECK(counts_of(*a) == now);
}

}  // namespace
}  // namespace mdgan::test
