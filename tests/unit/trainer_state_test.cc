// The trainers' states: what they save, load, refuse and leave alone.
#include <cstdint>
#include <limits>

#include "common/models/model_summary.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Blob with_value(const Blob& blob, float value) {
  auto values = floats(blob);
  values.back() = value;
  return float_blob(blob.meta.dims, values);
}

}  // namespace

TEST_CASE("a resumed run continues bit for bit") {
  TrainerRun run;
  run.k = 2;
  SECTION("without buffers") { run.condition = Condition::kAcgan; }
  SECTION("with batch normalisation") {
    run.model = "dcgan";
    run.image = {1, 32, 32, 3};
    run.batch = 2;
  }
  INFO("seed " << run.seed << ", " << run.model);
  const auto server = make_generator_trainer(run.generator());
  const auto a = make_discriminator_trainer(run.discriminator(), 0);
  const auto b = make_discriminator_trainer(run.discriminator(), 1);
  train_round(*server, {a.get(), b.get()}, run.k, Round{1});
  // The snapshot may fall between generate() and step(), and between calls to
  // sample().
  server->generate(Round{2});
  const Blob sample = server->sample(3, {}, 1);
  const auto g_state = server->snapshot();
  const auto a_state = a->snapshot(true), b_state = b->snapshot(true);

  const auto resumed = make_generator_trainer(run.generator());
  const auto resumed_a = make_discriminator_trainer(run.discriminator(), 0);
  const auto resumed_b = make_discriminator_trainer(run.discriminator(), 1);
  REQUIRE(resumed->load(g_state).ok());
  REQUIRE(resumed_a->load(a_state).ok());
  REQUIRE(resumed_b->load(b_state).ok());
  CHECK(same(resumed->snapshot(), g_state));
  CHECK(same(resumed->sample(3, {}, 1), sample));
  for (std::uint64_t i = 2; i <= 3; ++i) {
    train_round(*server, {a.get(), b.get()}, run.k, Round{i});
    train_round(*resumed, {resumed_a.get(), resumed_b.get()}, run.k, Round{i});
  }
  CHECK(same(resumed->snapshot(), server->snapshot()));
  CHECK(same(resumed_a->snapshot(true), a->snapshot(true)));
  CHECK(same(resumed_b->snapshot(true), b->snapshot(true)));
}

TEST_CASE("the running statistics advance once a round, and with it") {
  TrainerRun run;
  run.model = "dcgan";
  run.image = {1, 32, 32, 3};
  run.batch = 2;
  INFO("seed " << run.seed);
  const auto once = make_generator_trainer(run.generator());
  const auto twice = make_generator_trainer(run.generator());
  const auto before = once->snapshot();
  const auto images = once->generate(Round{1}).front().images;
  twice->generate(Round{1});
  CHECK(same(twice->generate(Round{1}).front().images, images));
  CHECK(same(once->snapshot(), before));
  const auto feedback = constant_feedback(run, 0.01F);
  REQUIRE(once->step(Round{1}, feedback).ok());
  REQUIRE(twice->step(Round{1}, feedback).ok());
  CHECK(same(once->snapshot(), twice->snapshot()));
  const auto changed = [&](const std::string& ending) {
    for (const NamedBlob& item : once->snapshot())
      if (item.name.rfind("ema.", 0) == 0 && item.name.size() > ending.size() &&
          item.name.substr(item.name.size() - ending.size()) == ending &&
          !same(item.blob, find(before, item.name)))
        return true;
    return false;
  };
  CHECK(changed("running_mean"));
  CHECK(changed("num_batches_tracked"));
}

TEST_CASE("a feedback that is not finite is refused and changes nothing") {
  TrainerRun run;
  const float value = GENERATE(as<float>{}, kNan,
                               std::numeric_limits<float>::infinity(), 1e30F);
  INFO("seed " << run.seed << ", feedback " << value);
  const auto server = make_generator_trainer(run.generator());
  const auto untouched = make_generator_trainer(run.generator());
  server->generate(Round{1});
  const auto before = server->snapshot();
  const auto step = server->step(Round{1}, constant_feedback(run, value));
  REQUIRE_FALSE(step.ok());
  CHECK(step.error().code == ExitCode::kDiverged);
  CHECK(step.error().message.find("round 1") != std::string::npos);
  CHECK(same(server->snapshot(), before));
  // The round can be done again.
  server->generate(Round{1});
  untouched->generate(Round{1});
  const auto good = constant_feedback(run, 0.1F);
  REQUIRE(server->step(Round{1}, good).ok());
  REQUIRE(untouched->step(Round{1}, good).ok());
  CHECK(same(server->snapshot(), untouched->snapshot()));
}

TEST_CASE("a gradient that overflows is refused and changes nothing") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  // A generator so steep that a finite feedback overflows on its way back.
  auto steep = server->snapshot();
  for (const std::string name :
       {"generator.fc2.weight", "generator.fc1.bias"}) {
    const Blob& blob = find(steep, name);
    std::vector<float> values(blob.bytes.size() / sizeof(float), 1e-3F);
    if (name == "generator.fc2.weight") values.assign(values.size(), 1e5F);
    for (NamedBlob& item : steep)
      if (item.name == name) item.blob = float_blob(blob.meta.dims, values);
  }
  for (NamedBlob& item : steep)
    if (item.name == "generator.fc3.weight")
      item.blob = float_blob(
          item.blob.meta.dims,
          std::vector<float>(item.blob.bytes.size() / sizeof(float), 1e-9F));
  REQUIRE(server->load(steep).ok());
  server->generate(Round{1});
  const auto step = server->step(Round{1}, constant_feedback(run, 1e18F));
  REQUIRE_FALSE(step.ok());
  CHECK(step.error().code == ExitCode::kDiverged);
  CHECK(step.error().message.find("gradient") != std::string::npos);
  CHECK(same(server->snapshot(), steep));
}

TEST_CASE(
    "the generator refuses a state that does not fit, and keeps its own") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  const auto before = server->snapshot();
  run.seed = 6;
  auto state = make_generator_trainer(run.generator())->snapshot();
  const auto refused = [&](const std::vector<NamedBlob>& bad,
                           const std::string& name) {
    const auto loaded = server->load(bad);
    REQUIRE_FALSE(loaded.ok());
    CHECK(loaded.error().code == ExitCode::kCheckpoint);
    CHECK(loaded.error().message.find("'" + name + "'") != std::string::npos);
    CHECK(same(server->snapshot(), before));
  };
  refused(with_value(state, "ema.fc3.bias", kNan), "ema.fc3.bias");
  refused(with_value(state, "adam.second_moment", -1.0F), "adam.second_moment");
  auto short_of_one = state;
  short_of_one.pop_back();
  refused(short_of_one, "adam.steps");
  auto one_too_many = state;
  one_too_many.push_back({"generator.fc4.bias", state.front().blob});
  refused(one_too_many, "generator.fc4.bias");
  auto wrong_shape = state;
  wrong_shape.front().blob.meta.dims.push_back(1);
  refused(wrong_shape, state.front().name);
  auto wrong_size = state;
  wrong_size.front().blob.bytes = wrong_size.front().blob.bytes.first(4);
  refused(wrong_size, state.front().name);
  auto wrong_type = state;
  wrong_type.front().blob.meta.dtype = protocol::DType::kInt32;
  refused(wrong_type, state.front().name);
  REQUIRE(server->load(state).ok());
  CHECK(same(server->snapshot(), state));
}

TEST_CASE("the discriminator refuses a state that does not fit") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  const auto before = peer->snapshot(true);
  const auto state =
      make_discriminator_trainer(run.discriminator(), 1)->snapshot(true);
  const auto refused = [&](const PeerState& bad) {
    CHECK_FALSE(peer->validate(bad).ok());
    CHECK_FALSE(peer->load(bad).ok());
    CHECK(same(peer->snapshot(true), before));
  };
  auto bad = state;
  bad.parameters = with_value(state.parameters, kNan);
  refused(bad);
  bad = state;
  bad.first_moment =
      with_value(state.first_moment, std::numeric_limits<float>::infinity());
  refused(bad);
  bad = state;
  bad.second_moment = with_value(state.second_moment, -1e-3F);
  refused(bad);
  bad = state;
  bad.second_moment = {};
  refused(bad);
  bad = state;
  bad.parameters = float_blob({2}, {1.0F, 2.0F});
  refused(bad);
  bad = state;
  bad.parameters = {};
  refused(bad);
  bad = state;
  bad.adam_steps = std::numeric_limits<std::uint64_t>::max();
  refused(bad);
  REQUIRE(peer->validate(state).ok());
  REQUIRE(peer->load(state).ok());
  CHECK(same(peer->snapshot(true), state));
}

TEST_CASE("without the moments a discriminator's optimiser stays behind") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  const auto other = make_discriminator_trainer(run.discriminator(), 1);
  train_round(*server, {peer.get()}, 1, Round{1});
  const auto own = peer->snapshot(true);
  const auto arriving = other->snapshot(false);
  CHECK(arriving.first_moment.empty());
  CHECK(arriving.second_moment.empty());
  REQUIRE(peer->load(arriving).ok());
  const auto now = peer->snapshot(true);
  CHECK(same(now.parameters, arriving.parameters));
  CHECK(same(now.first_moment, own.first_moment));
  CHECK(same(now.second_moment, own.second_moment));
  CHECK(now.adam_steps == 1);
  peer->initialise();
  CHECK(peer->snapshot(true).adam_steps == 0);
}

TEST_CASE("what a discriminator learned before leaves no trace in a state") {
  TrainerRun run;
  run.model = GENERATE("mlp", "dcgan");  // the second keeps a layout of its own
  if (run.model == "dcgan") run.image = {1, 32, 32, 3};
  INFO("seed " << run.seed << ", " << run.model);
  const auto server = make_generator_trainer(run.generator());
  const auto batch = server->generate(Round{1}).front();
  const auto made = [&] {
    return make_discriminator_trainer(run.discriminator(), 0);
  };
  const auto fresh = made(), used = made(), source = made();
  const auto first = fresh->snapshot(true);
  used->learn(Round{1}, batch.images, batch.labels);
  SECTION("loaded") {
    source->learn(Round{2}, batch.images, batch.labels);
    const auto state = source->snapshot(true);
    REQUIRE(used->load(state).ok());
    REQUIRE(fresh->load(state).ok());
    CHECK(same(used->snapshot(true), state));
  }
  SECTION("initial") {
    used->initialise();
    CHECK(same(used->snapshot(true), first));
  }
  SECTION("its own") { REQUIRE(fresh->load(used->snapshot(true)).ok()); }
  std::vector<float> a(fresh->parameter_count()), b(a.size());
  fresh->gradient(Round{3}, batch.images, batch.labels, a);
  used->gradient(Round{3}, batch.images, batch.labels, b);
  CHECK((a == b));
  for (const auto& peer : {fresh.get(), used.get()})
    peer->learn(Round{3}, batch.images, batch.labels);
  used->gradient(Round{4}, batch.images, batch.labels, b);
  CHECK(same(used->snapshot(true), fresh->snapshot(true)));
  fresh->gradient(Round{4}, batch.images, batch.labels, a);
  CHECK((a == b));
}

TEST_CASE("a snapshot stays as it was while training goes on") {
  TrainerRun run;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  const auto state = peer->snapshot(true);
  const auto g_state = server->snapshot();
  const auto parameters = floats(state.parameters);
  const auto weights = floats(g_state.front().blob);
  train_round(*server, {peer.get()}, 1, Round{1});
  CHECK((floats(state.parameters) == parameters));
  CHECK((floats(g_state.front().blob) == weights));
  CHECK_FALSE(same(peer->snapshot(true), state));
  CHECK_FALSE(same(server->snapshot(), g_state));
}

TEST_CASE("feedback leaves the discriminator as it is") {
  TrainerRun run;
  run.condition = Condition::kProjection;
  INFO("seed " << run.seed);
  const auto server = make_generator_trainer(run.generator());
  const auto asked = make_discriminator_trainer(run.discriminator(), 0);
  const auto spared = make_discriminator_trainer(run.discriminator(), 0);
  const auto batch = server->generate(Round{1}).front();
  const auto before = asked->snapshot(true);
  const auto first = asked->feedback(batch.images, batch.labels);
  CHECK(same(asked->feedback(batch.images, batch.labels).feedback,
             first.feedback));
  CHECK(same(asked->snapshot(true), before));
  CHECK((first.feedback.meta == batch.images.meta));
  CHECK((first.logits.meta.dims == std::vector<std::uint64_t>{run.batch}));
  for (const auto& peer : {asked.get(), spared.get()})
    peer->learn(Round{1}, batch.images, batch.labels);
  CHECK(same(asked->snapshot(true), spared->snapshot(true)));
}

TEST_CASE("a trainer that cannot be made says why") {
  TrainerRun run;
  const auto data = random_images(run.image, 20);
  const auto refused = [&](const TrainingSpec& spec,
                           std::shared_ptr<const Dataset> images,
                           std::uint32_t shard, const std::string& device,
                           ExitCode code, const std::string& word) {
    const auto made = DiscriminatorTrainer::create(
        spec, std::move(images), first_indices(shard), PeerId{0}, device);
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().code == code);
    INFO(made.error().message);
    CHECK(made.error().message.find(word) != std::string::npos);
  };
  const TrainingSpec good = run.discriminator();
  refused(good, data, 20, "tpu", ExitCode::kConfiguration, "'tpu'");
  refused(good, data, 3, "cpu", ExitCode::kData, "3 images");
  TrainingSpec spec = good;
  spec.model = "mpl";
  refused(spec, data, 20, "cpu", ExitCode::kConfiguration, "'mpl'");
  spec = good;
  spec.image.height = 8;
  refused(spec, data, 20, "cpu", ExitCode::kData, "1x8x4");
  spec = good;
  spec.batch = 0;
  refused(spec, data, 20, "cpu", ExitCode::kConfiguration, "batch");
  spec = good;
  spec.replay = true;
  spec.local_steps = 1000;
  spec.image = {64, 4096, 4096, 3};
  refused(spec, data, 20, "cpu", ExitCode::kConfiguration, "replay");
  spec = good;
  spec.condition = Condition::kAcgan;
  auto unlabelled = std::make_shared<Dataset>(*data);
  unlabelled->labels.clear();
  unlabelled->shape.classes = 0;
  refused(spec, unlabelled, 20, "cpu", ExitCode::kData, "labels");
  spec.image.classes = 2;
  refused(spec, data, 20, "cpu", ExitCode::kData, "2 classes");

  GeneratorSpec server = run.generator();
  server.model = "mpl";
  const auto unknown = GeneratorTrainer::create(server, "cpu");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().code == ExitCode::kConfiguration);
  const auto nowhere = GeneratorTrainer::create(run.generator(), "cuda:77");
  REQUIRE_FALSE(nowhere.ok());
  CHECK(nowhere.error().code == ExitCode::kConfiguration);
}

TEST_CASE("server and peer agree on the discriminator's schema") {
  TrainerRun run;
  run.condition = GENERATE(Condition::kNone, Condition::kAcgan);
  const auto summary = summarise_model(run.discriminator());
  REQUIRE(summary.ok());
  const auto peer = make_discriminator_trainer(run.discriminator(), 0);
  CHECK((summary->schema == peer->schema()));
  CHECK(summary->parameters == peer->parameter_count());
  CHECK(summary->parameters * 4 ==
        peer->snapshot(false).parameters.bytes.size());
  run.image.classes = 4;
  const auto other = summarise_model(run.discriminator());
  REQUIRE(other.ok());
  CHECK((other->schema == summary->schema) ==
        (run.condition == Condition::kNone));
}

}  // namespace mdgan::test
