// The generated batches that a peer keeps for `replay`: saved, restored, and
// left out where they do not fit.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>

#include "common/base/worker_pool.h"
#include "common/files/checkpoint_store.h"
#include "common/files/hash.h"
#include "peer/io/peer_runtime.h"
#include "peer/train/make_peer_trainer.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {

TEST_CASE("with replay the generated batches that a peer keeps are saved") {
  TrainerRun run;
  run.condition = GENERATE(Condition::kNone, Condition::kAcgan);
  INFO("seed " << run.seed << ", " << name_of(kConditionNames, run.condition));
  TrainingSpec spec = run.discriminator();
  spec.local_steps = 3;
  spec.replay = true;
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(spec, 0);
  CHECK(peer->history().empty());
  for (std::uint64_t i = 1; i <= 4; ++i)
    train_round(*server, {peer.get()}, 1, Round{i});
  const auto state = peer->snapshot(true);
  const auto history = peer->history();
  REQUIRE(history.size() == (run.condition == Condition::kNone ? 1 : 2));
  CHECK((history[0].blob.meta.dims ==
         std::vector<std::uint64_t>{3, run.batch, 1, 4, 4}));

  const auto resumed = make_discriminator_trainer(spec, 0);
  const auto forgetful = make_discriminator_trainer(spec, 0);
  for (const auto& other : {resumed.get(), forgetful.get()})
    REQUIRE(other->load(state).ok());
  resumed->load_history(history);
  CHECK(same(resumed->history(), history));
  const auto batch = server->generate(Round{5}).front();
  const auto learn = [&](DiscriminatorTrainer& trainer) {
    trainer.learn(Round{5}, batch.images, batch.labels);
  };
  for (const auto& each : {peer.get(), resumed.get(), forgetful.get()})
    learn(*each);
  CHECK(same(resumed->snapshot(true), peer->snapshot(true)));
  CHECK_FALSE(same(forgetful->snapshot(true), peer->snapshot(true)));
  // A round that is done again is not there twice.
  const auto after = peer->history();
  learn(*peer);
  CHECK(same(peer->history(), after));
  peer->initialise();
  CHECK(peer->history().empty());
}

TEST_CASE("of a history a peer takes what fits its run") {
  TrainerRun run;
  run.condition = Condition::kAcgan;
  INFO("seed " << run.seed);
  TrainingSpec spec = run.discriminator();
  spec.local_steps = 3;
  spec.replay = true;
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(spec, 0);
  for (std::uint64_t i = 1; i <= 3; ++i)
    train_round(*server, {peer.get()}, 1, Round{i});
  const auto history = peer->history();
  const auto taken = [&](const std::vector<NamedBlob>& tensors) {
    const auto other = make_discriminator_trainer(spec, 0);
    other->load_history(history);
    other->load_history(tensors);
    return other->history();
  };
  CHECK(same(taken(history), history));
  CHECK(taken({}).empty());
  CHECK(taken(with_value(history, "replay.images",
                         std::numeric_limits<float>::quiet_NaN()))
            .empty());
  CHECK(taken({history[0]}).empty());  // no labels
  auto bad = history;
  bad[0].blob.meta.dims = {};
  CHECK(taken(bad).empty());
  bad = history;
  const std::vector<std::int32_t> labels(3 * run.batch, 3);  // 0, 1, 2 are
  bad[1].blob = copy_blob(bad[1].blob.meta, std::as_bytes(std::span(labels)));
  CHECK(taken(bad).empty());
  // The run is resumed with other flags.
  spec.local_steps = 2;
  const auto newest = taken(history);
  REQUIRE(newest.size() == 2);
  CHECK(newest[0].blob.meta.dims[0] == 2);
  const auto all = floats(history[0].blob), last = floats(newest[0].blob);
  CHECK(std::equal(last.begin(), last.end(),
                   all.begin() + run.batch * std::int64_t{16}, all.end()));
  spec.local_steps = 1;
  CHECK(taken(history).empty());
  spec.local_steps = 3;
  spec.replay = false;
  CHECK(taken(history).empty());
  spec.replay = true;
  spec.batch = 2;
  CHECK(taken(history).empty());
}

TEST_CASE("generated batches stay with the run they were made in") {
  const TrainerRun run;
  INFO("seed " << run.seed);
  protocol::Welcome welcome;
  welcome.spec = run.discriminator();
  welcome.spec.local_steps = 3;
  welcome.spec.replay = true;
  welcome.schema = make_discriminator_trainer(welcome.spec, 0)->schema();
  welcome.parameters =
      make_discriminator_trainer(welcome.spec, 0)->parameter_count();
  const auto batch =
      make_generator_trainer(run.generator())->generate(Round{1}).front();

  const TemporaryDirectory directory;
  Mailbox mailbox;
  LaneReturns returns(mailbox);
  const PeerArithmetic arithmetic = torch_peer("cpu", 1);
  WorkerPool pool(1, [] {});
  PeerRuntime session(
      pool, pool, returns,
      {.name = "peer", .shard = first_indices(20), .state = directory.path()},
      random_images(run.image, 20), arithmetic, 0);
  const auto saved_after_joining_as = [&](protocol::Start start) {
    welcome.start = start;
    REQUIRE_FALSE(session.prepare(PeerId{0}, welcome, {}));
    if (start == protocol::Start::kFresh) {
      session.initialise();
      session.learn(Round{1}, 1, {batch.images, batch.labels});
    }
    REQUIRE(session.copy_to_save({RunId{}, Round{1}, {7}}, Round{})().ok());
    const auto saved = CheckpointStore(directory.path() / to_hex(RunId{}), 1, 0)
                           .load(Round{1});
    REQUIRE(saved.ok());
    return std::ranges::count(saved->tensors, std::string("replay.images"),
                              &NamedBlob::name);
  };
  CHECK(saved_after_joining_as(protocol::Start::kFresh) == 1);
  // It comes back without having been away for long.
  CHECK(saved_after_joining_as(protocol::Start::kKeep) == 1);
  // A copy of another peer's discriminator is on its way.
  CHECK(saved_after_joining_as(protocol::Start::kReceive) == 0);
}

}  // namespace mdgan::test
