// The algorithms that MD-GAN is compared with, without sockets.
#include <cmath>

#include "common/models/model_summary.h"
#include "peer/train/make_peer_trainer.h"
#include "protocol/algorithm.h"
#include "server/train/make_round_trainer.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

// A server and its peers of one algorithm, in the round's order.
struct Replicas {
  Replicas(const TrainerRun& run, Algorithm algorithm, std::uint32_t count)
      : spec(run.discriminator()) {
    spec.algorithm = algorithm;
    spec.latent = run.generator().latent;
    spec.generator_adam = run.adam;
    auto made = make_round_trainer(run.generator(), spec, {}, "cpu");
    REQUIRE(made.ok());
    server = std::move(*made);
    for (std::uint32_t i = 0; i < count; ++i) {
      peers.push_back(make(i));
      peers.back()->initialise();
    }
  }

  std::unique_ptr<PeerTrainer> make(std::uint32_t id) const {
    auto peer = make_peer_trainer(spec, random_images(spec.image, 20),
                                  first_indices(20), PeerId{id}, "cpu");
    REQUIRE(peer.ok());
    return std::move(*peer);
  }

  // The `steps` rounds that end with `round`; the shards count 1, 2, ...
  void train(Round round, std::uint32_t steps) {
    const Blob sent = server->batches(round, {}).at(0).at(0);
    std::vector<PeerAnswer> answers;
    for (std::uint32_t i = 0; i < peers.size(); ++i) {
      peers[i]->learn(round, steps, sent, {});
      answers.push_back(
          {PeerId{i}, 0, i + 1, {peers[i]->feedback(sent, {}).feedback}});
      CHECK(answers.back().tensors[0].meta ==
            answer_metas(spec, {}, size())[0]);
    }
    const auto stepped = server->step(round, steps, answers);
    REQUIRE(stepped.ok());
  }

  std::uint64_t size() const { return peers[0]->parameter_count(); }
  std::vector<float> replica() const {
    return floats(server->batches(Round{1}, {}).at(0).at(0));
  }

  TrainingSpec spec;
  std::unique_ptr<RoundTrainer> server;
  std::vector<std::unique_ptr<PeerTrainer>> peers;
};

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(a[i] - b[i], 2);
  return std::sqrt(sum);
}

// One machine's G and D after so many rounds, as a replica.
std::vector<float> standalone(const TrainerRun& run, std::uint32_t rounds) {
  const auto g = make_generator_trainer(run.generator());
  const auto d = make_discriminator_trainer(run.discriminator(), 0);
  for (std::uint32_t i = 1; i <= rounds; ++i)
    train_round(*g, {d.get()}, 1, Round{i});
  std::vector<float> replica(g->weight_count());
  g->copy_weights(replica);
  for (const float value : floats(d->snapshot(false).parameters))
    replica.push_back(value);
  return replica;
}

}  // namespace

TEST_CASE("fl-gan with one peer is the standalone GAN, bit for bit") {
  TrainerRun run;
  SECTION("without labels") {}
  SECTION("with labels") { run.condition = Condition::kAcgan; }
  SECTION("with the running statistics of batch normalisation") {
    run.model = "dcgan";
    run.image = {1, 32, 32, 3};
  }
  Replicas fl(run, Algorithm::kFlGan, 1);
  fl.train(Round{3}, 3);
  fl.train(Round{5}, 2);
  CHECK((fl.replica() == standalone(run, 5)));
}

TEST_CASE("fl-gan weighs replicas by the sizes of their shards") {
  TrainerRun run;
  Replicas fl(run, Algorithm::kFlGan, 2);
  const Blob sent = fl.server->batches(Round{2}, {}).at(0).at(0);
  std::vector<std::vector<float>> answers;
  for (auto& peer : fl.peers) {
    peer->learn(Round{2}, 2, sent, {});
    answers.push_back(floats(peer->feedback(sent, {}).feedback));
  }
  REQUIRE(distance(answers[0], answers[1]) > 1e-3);  // other data and latents
  Replicas again(run, Algorithm::kFlGan, 2);
  again.train(Round{2}, 2);
  std::vector<float> mean(answers[0].size());
  for (std::size_t i = 0; i < mean.size(); ++i)
    mean[i] = (answers[0][i] + 2 * answers[1][i]) / 3;
  CHECK(distance(again.replica(), mean) < 1e-5);
}

TEST_CASE("the moving average of fl-gan follows by as many rounds as it was") {
  TrainerRun run;
  run.ema = 0.5;
  Replicas fl(run, Algorithm::kFlGan, 1);
  const auto first = find(fl.server->snapshot(), "generator.fc1.weight");
  const auto before = floats(first);
  fl.train(Round{2}, 2);
  const auto state = fl.server->snapshot();
  const auto now = floats(find(state, "generator.fc1.weight"));
  const auto average = floats(find(state, "ema.fc1.weight"));
  REQUIRE(distance(before, now) > 1e-4);
  std::vector<float> expected(now.size());
  for (std::size_t i = 0; i < now.size(); ++i)
    expected[i] = 0.25F * before[i] + 0.75F * now[i];
  CHECK(distance(average, expected) < 1e-6);
}

TEST_CASE("data-parallel takes the discriminator step of the standalone GAN") {
  TrainerRun run;
  SECTION("without labels") {}
  SECTION("with labels") { run.condition = Condition::kAcgan; }
  Replicas dp(run, Algorithm::kDataParallel, 1);
  const auto before = dp.replica();
  dp.train(Round{1}, 1);
  const auto after = dp.replica();
  const auto other = standalone(run, 1);
  const std::size_t g = dp.server->generator_parameters();
  const auto d_of = [&](const std::vector<float>& replica) {
    return std::vector<float>(replica.begin() + static_cast<std::ptrdiff_t>(g),
                              replica.end());
  };
  const auto g_of = [&](const std::vector<float>& replica) {
    return std::vector<float>(replica.begin(),
                              replica.begin() + static_cast<std::ptrdiff_t>(g));
  };
  REQUIRE(distance(d_of(before), d_of(after)) > 1e-2);
  CHECK(distance(d_of(after), d_of(other)) < 1e-3);
  // G steps against D as it was, so it goes elsewhere, but not far.
  CHECK(distance(g_of(before), g_of(after)) > 1e-2);
}

TEST_CASE("peers that answer the same make the step of one of them") {
  const TrainerRun run;
  const Algorithm algorithm =
      GENERATE(Algorithm::kFlGan, Algorithm::kDataParallel);
  Replicas one(run, algorithm, 1);
  Replicas three(run, algorithm, 1);
  const Blob sent = one.server->batches(Round{1}, {}).at(0).at(0);
  one.peers[0]->learn(Round{1}, 1, sent, {});
  const Blob answer = one.peers[0]->feedback(sent, {}).feedback;
  REQUIRE(one.server
              ->step(Round{1}, 1,
                     std::vector{PeerAnswer{PeerId{0}, 0, 7, {answer}}})
              .ok());
  std::vector<PeerAnswer> answers;
  for (std::uint32_t i = 0; i < 3; ++i)
    answers.push_back({PeerId{i}, 0, i + 1, {answer}});
  REQUIRE(three.server->step(Round{1}, 1, answers).ok());
  CHECK(distance(one.replica(), three.replica()) < 1e-5);
}

TEST_CASE("replicas that are saved and loaded go on as if nothing had been") {
  const TrainerRun run;
  const Algorithm algorithm =
      GENERATE(Algorithm::kFlGan, Algorithm::kDataParallel);
  Replicas whole(run, algorithm, 2);
  Replicas parts(run, algorithm, 2);
  whole.train(Round{2}, 2);
  parts.train(Round{2}, 2);
  Replicas resumed(run, algorithm, 2);
  resumed.train(Round{1}, 1);  // what must be forgotten
  REQUIRE(resumed.server->load(parts.server->snapshot()).ok());
  for (std::size_t i = 0; i < 2; ++i) {
    const auto state = parts.peers[i]->snapshot(true);
    REQUIRE(resumed.peers[i]->load(state).ok());
    CHECK(same(resumed.peers[i]->snapshot(true), state));
  }
  whole.train(Round{4}, 2);
  resumed.train(Round{4}, 2);
  CHECK(same(whole.server->snapshot(), resumed.server->snapshot()));
}

TEST_CASE("server and peer agree on a replica's schema") {
  const TrainerRun run;
  const Replicas fl(run, Algorithm::kFlGan, 1);
  const auto summary = summarise_model(fl.spec);
  REQUIRE(summary.ok());
  CHECK((summary->schema == fl.peers[0]->schema()));
  CHECK(summary->parameters == fl.size());
  CHECK(fl.replica().size() == fl.size());
  TrainingSpec other = fl.spec;
  other.latent += 1;
  CHECK((summarise_model(other)->schema != summary->schema));
}

TEST_CASE("replicas that do not fit are refused") {
  const TrainerRun run;
  Replicas fl(run, Algorithm::kFlGan, 1);
  const auto good = fl.peers[0]->snapshot(true);
  auto bad = good;
  SECTION("of another size") { bad.parameters = float_blob({3}, {1, 2, 3}); }
  SECTION("with a value that is not finite") {
    auto values = floats(good.parameters);
    values[5] = std::numeric_limits<float>::infinity();
    bad.parameters = float_blob({values.size()}, values);
  }
  SECTION("with a negative second moment") {
    auto values = floats(good.second_moment);
    values[5] = -1;
    bad.second_moment = float_blob({values.size()}, values);
  }
  CHECK_FALSE(fl.peers[0]->load(bad).ok());
  CHECK(same(fl.peers[0]->snapshot(true), good));
  CHECK_THROWS(fl.peers[0]->learn(Round{1}, 1, float_blob({1}, {1}), {}));

  auto state = fl.server->snapshot();
  std::erase_if(state, [](const NamedBlob& item) {
    return item.name == "discriminator.parameters";
  });
  const auto loaded = fl.server->load(state);
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().code == ExitCode::kCheckpoint);
}

}  // namespace mdgan::test
