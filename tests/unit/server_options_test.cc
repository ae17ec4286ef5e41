// What mdgan-server's options mean together: what goes with what, and what the
// networks are made from.
#include "server/command_options.h"

#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/parse_options.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

namespace fs = std::filesystem;

TEST_CASE("each algorithm takes what it can use and refuses the rest") {
  // The k of a configuration for MD-GAN does not stand in the others' way.
  for (const char* name : {"fl-gan", "data-parallel"}) {
    INFO(name);
    CHECK(train({"--algorithm", name, "--k", "10"}).k == 1);
    CHECK(train_error({"--algorithm", name, "--image-codec", "uint8"})
              .find(name) != std::string::npos);
    CHECK(train_error({"--algorithm", name, "--local-peers", "4", "--data", "d",
                       "--k", "1", "--aggregate", "gman"})
              .find("aggregate") != std::string::npos);
  }
  const ServerOptions alone =
      train({"--algorithm", "standalone", "--data", "d", "--k", "10"});
  CHECK(alone.local_peers == 1);
  CHECK(alone.k == 1);
  CHECK_FALSE(alone.bind);
  CHECK(train_error({"--algorithm", "standalone"}).find("--data") !=
        std::string::npos);
  CHECK(train_error(
            {"--algorithm", "standalone", "--data", "d", "--local-peers", "2"})
            .find("local-peers") != std::string::npos);
  CHECK(train_error({"--algorithm", "standalone", "--data", "d", "--partition",
                     "classes:1"})
            .find("partition") != std::string::npos);
  CHECK(train_error({"--algorithm", "fl-gan", "--swap-epochs", "0"})
            .find("swap-epochs") != std::string::npos);
  CHECK(train_error({"--algorithm", "data-parallel", "--local-steps", "2"})
            .find("local-steps") != std::string::npos);
}

TEST_CASE("peers are weighed only where several judge the same batch") {
  const std::vector<const char*> ten{"--local-peers", "10",     "--data", "d",
                                     "--aggregate",   "ua-gan", "--k"};
  auto none_shared = ten;
  none_shared.push_back("10");
  CHECK(train_error(none_shared).starts_with("aggregate = ua-gan"));
  auto all_shared = ten;
  all_shared.push_back("1");
  CHECK(train(all_shared).aggregation.rule == aggregate_ua_gan);
}

TEST_CASE("a codec is one that its use has") {
  CHECK(train({}).codecs == TensorCodecs{});
  CHECK(train({"--feedback-codec", "bfloat16"}).codecs.feedback ==
        FeedbackCodec::kBfloat16);
  CHECK(train_error({"--image-codec", "int8"}) ==
        "image-codec must be one of float32, uint8, but is 'int8'");
  CHECK(train_error({"--swap-codec", "int8"}) ==
        "swap-codec must be one of float32, bfloat16, but is 'int8'");
}

TEST_CASE("ua-gan is for logits that are log odds, and for them alone") {
  const char* ua = "--aggregate=ua-gan";
  CHECK(train_error({ua, "--loss", "hinge"}).find("odds") != std::string::npos);
  CHECK(train_error({ua, "--loss", "wgan-gp"}).find("odds") !=
        std::string::npos);
  CHECK(train_error({ua, "--condition", "acgan"}).find("projection") !=
        std::string::npos);
  CHECK(generator_spec(train({ua, "--loss", "saturating"}), {1, 28, 28, 10}, 2)
            .aggregation.parameters.loss == Loss::kSaturating);
}

TEST_CASE("what goes by logits is for losses whose logits have a zero") {
  for (const char* loss : {"wgan-gp", "relativistic"})
    CHECK(train_error({"--augment", "ada", "--loss", loss}).find(loss) !=
          std::string::npos);
  CHECK(train_error({"--augment", "ada", "--algorithm", "data-parallel"})
            .find("data-parallel") != std::string::npos);
  CHECK(train({"--augment", "ada", "--loss", "hinge"}).augment ==
        Augment::kAda);
  for (const char* rule : {"gman", "f2a", "ua-gan"})
    CHECK(train_error({"--aggregate", rule, "--loss", "relativistic"})
              .find("relativistic") != std::string::npos);
  CHECK(train({"--loss", "relativistic", "--aggregate", "clip"}).loss ==
        Loss::kRelativistic);
}

TEST_CASE("labels of shards take a condition, and by default a batch a peer") {
  const auto with = [](std::vector<const char*> more) {
    std::vector<const char*> all{"--local-peers", "5",    "--data", "d",
                                 "--labels",      "shard"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  CHECK(train_error(with({})).find("--condition") != std::string::npos);
  CHECK(train_error({"--class-share", "data"}).find("labels = shard") !=
        std::string::npos);
  CHECK(train_error(with({"--condition", "projection", "--class-share", "data",
                          "--algorithm", "fl-gan"}))
            .find("class-share") != std::string::npos);
  const ServerOptions options =
      train(with({"--condition", "projection", "--class-share", "data"}));
  CHECK(batches_per_round(options, 5) == 5);
  CHECK(generator_spec(options, {1, 28, 28, 10}, 5).class_share ==
        ClassShare::kData);
}

TEST_CASE("the answers of the peers are merged by a rule") {
  CHECK(train({}).aggregation.rule == aggregate_mean);
  const Aggregation how =
      generator_spec(train({"--aggregate", "f2a", "--aggregate-temperature",
                            "0.5", "--aggregate-logit-bound", "3"}),
                     {1, 28, 28, 10}, 2)
          .aggregation;
  CHECK(how.rule == aggregate_f2a);
  CHECK(how.parameters.temperature == 0.5);
  CHECK(how.parameters.logit_bound == 3);
  CHECK(train_error({"--aggregate", "geometric"}) ==
        "aggregate must be one of mean, shard-size, gman, f2a, ua-gan, clip, "
        "median, trimmed-mean, krum, multi-krum, but is 'geometric'");
}

TEST_CASE("a rule is refused where fewer peers share a batch than it needs") {
  const auto ten = [](std::vector<const char*> more) {
    more.insert(more.begin(), {"--local-peers", "10", "--data", "d"});
    return more;
  };
  const auto krum =
      ten({"--k", "2", "--aggregate", "krum", "--aggregate-hostile", "2"});
  CHECK(train_error(krum, ExitCode::kConfiguration) ==
        "aggregate = krum with aggregate-hostile = 2 needs 7 peers that judge "
        "the same batch, and 10 peers with k = 2 are 5 a batch: give a smaller "
        "--k, more --min-peers, or a smaller --aggregate-hostile");
  CHECK(train(ten({"--k", "2", "--aggregate", "median", "--aggregate-hostile",
                   "2"}))
            .aggregation.parameters.hostile == 2);
  CHECK(train(ten({"--k", "1", "--aggregate", "multi-krum",
                   "--aggregate-hostile", "3"}))
            .aggregation.rule == aggregate_multi_krum);
  CHECK(train_error(ten({"--k", "1", "--aggregate", "krum",
                         "--aggregate-hostile", "4"}),
                    ExitCode::kConfiguration)
            .find("needs 11 peers") != std::string::npos);
  // Nobody is compared within a batch by clip: it goes with any k.
  CHECK(train(ten({"--k", "10", "--aggregate", "clip", "--aggregate-clip",
                   "1.5"}))
            .aggregation.parameters.clip == 1.5);
  // Where the local peers are hostile, nobody else joins.
  CHECK(train(ten({"--simulate-attack", "sign-flip:3"})).attack.peers == 3);
  CHECK(train_error(ten({"--simulate-attack", "sign-flip:11"}))
            .starts_with("simulate-attack makes 11 peers hostile"));
  CHECK(train_error(
            ten({"--simulate-attack", "sign-flip:1", "--bind", "tcp://*:1"}))
            .find("not for a server that others join") != std::string::npos);
  CHECK(train_error(
            ten({"--simulate-attack", "sign-flip:1", "--algorithm", "fl-gan"}))
            .starts_with("simulate-attack needs algorithm = md-gan"));
  for (const char* wrong : {"sign-flip", "sign-flip:0", "flip:1", "zero:1x"})
    CHECK(train_error(ten({"--simulate-attack", wrong}))
              .starts_with("simulate-attack must be like sign-flip:3"));
}

TEST_CASE("local peers need data and no address") {
  CHECK(train({}).bind == "tcp://127.0.0.1:5555");
  CHECK(train({}).min_peers == 1);
  const ServerOptions local = train({"--local-peers", "4", "--data", "d"});
  CHECK_FALSE(local.bind.has_value());
  CHECK(local.min_peers == 4);
  CHECK(fs::path(local.data).is_absolute());
  CHECK(train({"--local-peers", "4", "--data", "d", "--bind", "tcp://*:1"})
            .bind == "tcp://*:1");
  CHECK(train_error({"--local-peers", "4"}).starts_with("local-peers needs"));
  CHECK(train_error({"--local-peers", "4", "--data", "d", "--min-peers", "5"})
            .starts_with("min-peers is 5 but there are only the 4"));
}

TEST_CASE("differential privacy is for whoever has images") {
  const PrivacySpec local =
      train({"--local-peers", "4", "--data", "d", "--dp", "discriminator",
             "--dp-epsilon", "3", "--dp-noise", "1.5"})
          .privacy;
  CHECK(local.mode == DpMode::kDiscriminator);
  CHECK(local.epsilon == 3);
  CHECK(local.noise == 1.5);
  CHECK(train({}).privacy.mode == DpMode::kNone);
  CHECK(train_error({"--dp", "discriminator"})
            .starts_with("dp is for the images of local peers"));
  const PrivacySpec own = peer_options({"--dp", "discriminator", "--dp-delta",
                                        "1e-6", "--dp-clip", "0.5"})
                              .privacy;
  CHECK(own.mode == DpMode::kDiscriminator);
  CHECK(own.delta == 1e-6);
  CHECK(own.clip == 0.5);
  CHECK(peer_error({"--dp-noise", "0"}).starts_with("dp-noise must"));
}

TEST_CASE("a partition needs peers that share the data out") {
  const Partition by_class = *parse_partition("classes:1");
  CHECK(train({"--local-peers", "4", "--data", "d", "--partition", "classes:1"})
            .partition == by_class);
  CHECK(train_error({"--partition", "classes:1"})
            .starts_with("partition cuts the data of local peers"));
  CHECK(
      train_error({"--local-peers", "4", "--partition", "classes"}) ==
      "partition must be iid, dirichlet:ALPHA, classes:C or sizes:zipf, but is "
      "'classes'");
  CHECK(
      peer_options({"--shard", "1/2", "--partition", "classes:1"}).partition ==
      by_class);
  CHECK(
      peer_options({"--sessions", "2", "--partition", "classes:1"}).partition ==
      by_class);
  for (const char* shard : {"", "0/1"})
    CHECK(peer_error({"--shard", shard, "--partition", "classes:1"})
              .starts_with("partition says how several peers share out"));
  CHECK(peer_error({"--partition", "dirichlet:0"})
            .starts_with("partition must be iid, "));
}

TEST_CASE("a run is resumed with its own configuration, flags beating it") {
  const TemporaryDirectory run;
  ServerOptions first =
      train({"--rounds", "5", "--batch", "7", "--model", "dcgan", "--name",
             "one", "--bind", "tcp://*:1"});
  std::ofstream(run.path() / "config.ini") << effective_configuration(first);
  const ServerOptions second =
      train({"--resume", run.path().c_str(), "--rounds", "9"});
  CHECK(second.rounds == 9);
  CHECK(second.batch == 7);
  CHECK(second.model == "dcgan");
  CHECK(second.name == "one");
  CHECK(second.bind == "tcp://*:1");
  CHECK(train_error({"--resume", run.path().c_str(), "--run-dir", "x"})
            .find("leave out --run-dir") != std::string::npos);
}

namespace {

// The folder of a run that has been begun with `options`.
void begin(const std::filesystem::path& run, const ServerOptions& options) {
  std::filesystem::create_directories(run / "checkpoints" / "00000000");
  std::ofstream(run / "config.ini") << effective_configuration(options);
}

}  // namespace

TEST_CASE("one command begins a run and goes on with it") {
  const TemporaryDirectory folder;
  const std::string run = folder.path() / "run";
  const std::vector<const char*> command{
      "--run-dir", run.c_str(),   "--batch", "7",      "--model",
      "dcgan",     "--min-peers", "3",       "--name", "mine"};
  const ServerOptions first = train(command);
  begin(run, first);
  CHECK(effective_configuration(train(command)) ==
        effective_configuration(first));
  // What is left out is the run's own; a start may choose where and how long.
  const ServerOptions more = train({"--run-dir", run.c_str(), "--rounds", "60",
                                    "--bind", "tcp://*:7", "--quorum", "1"});
  CHECK(more.batch == 7);
  CHECK(more.rounds == 60);
  CHECK(more.bind == "tcp://*:7");
  CHECK(more.min_peers == 3);
}

TEST_CASE("options that contradict the run's are refused by name") {
  const TemporaryDirectory folder;
  const std::string run = folder.path() / "run";
  begin(run, train({"--batch", "7", "--model", "dcgan"}));
  const auto refused = [&](const char* form, const char* key,
                           const char* value) {
    const char* const arguments[] = {"mdgan-server", "train", form,
                                     run.c_str(),    key,     value};
    const auto parsed = parse_server_options(6, arguments);
    if (parsed) return std::string();
    CHECK(parsed.error().code == ExitCode::kConfiguration);
    return parsed.error().message;
  };
  CHECK(refused("--run-dir", "--batch", "7").empty());
  CHECK(refused("--run-dir", "--batch", "8").find("batch = 7, not 8") !=
        std::string::npos);
  CHECK(refused("--run-dir", "--batch", "8").find("--resume") !=
        std::string::npos);
  CHECK(refused("--resume", "--batch", "8").empty());
  for (const char* form : {"--run-dir", "--resume"})
    CHECK(refused(form, "--model", "mlp").find("model = dcgan, not mlp") !=
          std::string::npos);
  // Where the run's data decided, its checkpoint is compared.
  CHECK(refused("--run-dir", "--image", "1x28x28").empty());
}

TEST_CASE("k is automatic, and never more than the peers") {
  ServerOptions options;
  const std::pair<std::uint32_t, std::uint32_t> automatic[] = {
      {1, 1}, {2, 2}, {3, 2}, {7, 2}, {8, 3}, {10, 3}, {50, 5}};
  for (const auto& [peers, k] : automatic)
    CHECK(batches_per_round(options, peers) == k);
  options.k = 4;
  CHECK(batches_per_round(options, 10) == 4);
  CHECK(batches_per_round(options, 3) == 3);
  options.k = 1;
  CHECK(batches_per_round(options, 10) == 1);
}

TEST_CASE("with participants k and the groups are those of the peers asked") {
  ServerOptions options;
  options.participants = 3;
  CHECK(batches_per_round(options, 50) == 2);
  options.k = 4;
  CHECK(batches_per_round(options, 50) == 3);
  const char* const enough[] = {"--local-peers", "9", "--data",      "d",
                                "--k",           "1", "--aggregate", "median"};
  CHECK(train({std::begin(enough), std::end(enough)}).min_peers == 9);
  std::vector<const char*> too_few(std::begin(enough), std::end(enough));
  too_few.insert(too_few.end(), {"--participants", "2"});
  CHECK(train_error(too_few, ExitCode::kConfiguration)
            .find("2 peers with k = 1 are 2 a batch") != std::string::npos);
}

TEST_CASE("a command must be known") {
  const auto none = server({});
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().code == ExitCode::kUsage);
  const auto typo = server({"tarin"});
  REQUIRE_FALSE(typo.ok());
  CHECK(typo.error().message ==
        "unknown command 'tarin': did you mean 'train'?");
  const auto version = server({"--version"});
  REQUIRE(version.ok());
  CHECK(std::holds_alternative<VersionRequest>(*version));
}

TEST_CASE("the networks are specified by the options") {
  const ServerOptions options = train(
      {"--model",       "resnet", "--condition", "projection", "--r1",     "10",
       "--lr-d",        "0.1",    "--lr-g",      "0.2",        "--batch",  "5",
       "--local-steps", "3",      "--seed",      "9",          "--latent", "64",
       "--ema",         "0.5",    "--replay"});
  const ImageShape image{3, 32, 32, 10};
  const TrainingSpec d = training_spec(options, image, numbered_classes(10));
  CHECK(d.model == "resnet");
  CHECK(d.image == image);
  CHECK(d.classes == numbered_classes(10));
  CHECK(d.condition == Condition::kProjection);
  CHECK(d.r1_gamma == 10);
  CHECK(d.adam.learning_rate == 0.1);
  CHECK(d.batch == 5);
  CHECK(d.local_steps == 3);
  CHECK(d.replay);
  CHECK_FALSE(training_spec(train({}), image, {}).replay);
  CHECK(d.seed == 9);
  const GeneratorSpec g = generator_spec(options, image, 2);
  CHECK(g.model == "resnet");
  CHECK(g.image == image);
  CHECK(g.latent == 64);
  CHECK(g.adam.learning_rate == 0.2);
  CHECK(g.ema == 0.5);
  CHECK(g.k == 2);
  CHECK(g.batch == 5);
}

TEST_CASE("peers measure with a classifier, and never by a program") {
  const ServerOptions by_peers =
      train({"--evaluate-at", "peers", "--evaluate-every", "10",
             "--evaluate-classifier", "c.safetensors"});
  CHECK(by_peers.evaluate_at == EvaluateAt::kPeers);
  CHECK(by_peers.evaluate_classifier.starts_with("/"));
  CHECK(train({"--evaluate-at", "peers", "--evaluate-every", "10",
               "--evaluate-data", "d"})
            .evaluate_at == EvaluateAt::kPeers);
  CHECK(train_error({"--evaluate-at", "peers", "--evaluate-every", "10"})
            .find("mdgan-peer classifier") != std::string::npos);
  CHECK(train_error({"--evaluate-at", "peers", "--evaluate-every", "10",
                     "--evaluate-data", "d", "--evaluate-features", "f.pt"})
            .starts_with("evaluate-features is a program"));
  // A run that goes on may have the others in its configuration.
  CHECK(train({"--evaluate-at", "peers"}).evaluate_every == 0);
  CHECK(train({"--evaluate-classifier", "c"}).evaluate_at ==
        EvaluateAt::kServer);
  CHECK(
      train_error({"--evaluate-at", "peers", "--evaluate-every", "10", "--data",
                   "d", "--local-peers", "2", "--dp", "discriminator"})
          .find("no budget of dp") != std::string::npos);
}

}  // namespace mdgan::test
