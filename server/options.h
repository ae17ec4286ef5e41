// What a user can ask of mdgan-server: its commands with their options.
// configs/server.ini documents the keys of `train`.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "common/data/image_reading.h"
#include "common/data/partition.h"
#include "common/options/options_parser.h"
#include "common/privacy/privacy_spec.h"
#include "common/tensor/precision.h"
#include "common/train/generator/generator_trainer.h"
#include "protocol/algorithm.h"
#include "protocol/tensor_codecs.h"
#include "protocol/training_spec.h"
#include "server/core/coordinator_config.h"
#include "server/simulated_attack.h"

namespace mdgan {

// What a user calls a way to train: an algorithm; or "standalone", which is
// MD-GAN with one peer, in this process, that has all the data.
struct Training {
  Algorithm algorithm = Algorithm::kMdGan;
  bool standalone = false;
  friend bool operator==(const Training&, const Training&) = default;
};
inline constexpr auto kTrainingNames = [] {
  std::array<std::pair<Training, std::string_view>, kAlgorithmNames.size() + 1>
      names;
  for (std::size_t i = 0; i < kAlgorithmNames.size(); ++i)
    names[i] = {{kAlgorithmNames[i].first, false}, kAlgorithmNames[i].second};
  names.back() = {{Algorithm::kMdGan, true}, "standalone"};
  return names;
}();

// Who measures the generator while a run trains.
enum class EvaluateAt {
  kServer,  // against images that the server has
  kPeers,   // each against images of its own
};
inline constexpr std::array<std::pair<EvaluateAt, std::string_view>, 2>
    kEvaluateAtNames{
        {{EvaluateAt::kServer, "server"}, {EvaluateAt::kPeers, "peers"}}};

// `mdgan-server train`. The members' values are the defaults; what each is for
// is said once, in the help texts of train_options.cc. After parsing everything
// is resolved but `k`, `image` and `classes`, which depend on the peers.
struct ServerOptions {
  std::string config;
  std::string name;  // parsed: never empty
  std::string data;  // parsed: absolute, or empty
  std::uint32_t local_peers = 0;
  Partition partition;  // of `data` among the local peers
  SimulatedAttack attack;
  PrivacySpec privacy;  // of the local peers' images

  std::optional<std::string> bind;  // parsed: nothing means local peers only
  std::uint32_t min_peers = 0;      // parsed: at least 1
  std::string key;  // the secret key's file; parsed: absolute, or empty
  std::string authorized_peers;  // parsed: absolute; empty: beside the key
  bool insecure = false;
  std::string http;        // ADDRESS:PORT; empty: no page
  std::string http_token;  // a file; parsed: absolute, or empty
  ImageReading reading;    // of data and evaluate_data
  TensorCodecs codecs;

  Training training;
  std::uint64_t rounds = 10'000;
  std::uint64_t seed = 1;
  std::uint32_t k = 0;             // 0: automatic, see batches_per_round()
  std::uint32_t participants = 0;  // 0: all
  std::uint32_t staleness = 0;     // rounds asked ahead
  std::uint32_t batch = 10;
  std::uint32_t local_steps = 1;
  bool replay = false;
  BatchLabels labels = BatchLabels::kUniform;
  ClassShare class_share = ClassShare::kUniform;
  Aggregation aggregation;
  double swap_epochs = 1;
  bool swap_optimizer = true;

  std::string model = "mlp";  // parsed: of script:FILE, script:SHA256
  Condition condition = Condition::kNone;
  std::uint32_t latent = 100;
  ImageShape image;    // without classes; all 0: from the data
  ClassNames classes;  // empty: from the data

  Augment augment = Augment::kNone;
  Loss loss = Loss::kNonSaturating;
  double r1 = 0;
  double r2 = 0;
  double gradient_penalty = 10;
  AdamSpec adam_g;
  AdamSpec adam_d;
  double ema = 0.999;

  Seconds round_timeout{60};
  double quorum = 0.5;
  Seconds quorum_timeout{300};
  Seconds swap_timeout{60};

  std::uint64_t evaluate_every = 0;
  std::string evaluate_data;  // parsed: absolute; empty: data
  std::uint32_t evaluate_samples = 10'000;
  std::string evaluate_features;  // parsed: absolute, or empty
  EvaluateAt evaluate_at = EvaluateAt::kServer;
  std::string evaluate_classifier;  // parsed: absolute, or empty
  std::string evaluate_cache;

  std::string device = "cpu";
  Precision precision = Precision::kFloat32;
  std::uint32_t threads = 1;

  std::string run_dir;  // empty: the next number under runs/
  std::string resume;   // empty: a new run
  std::uint64_t stats_every = 50;
  std::uint64_t samples_every = 500;
  bool tensorboard = false;
  std::uint64_t checkpoint_every = 1000;
  std::uint32_t keep_last = 3;
  std::uint64_t keep_every = 10'000;
  bool dry_run = false;
  bool quiet = false;
};

// Fills in what depends on other options, and refuses what cannot go together,
// with kUsage.
Result<ServerOptions> resolve(ServerOptions options);

// What --dry-run prints and a run keeps as config.ini: parsing it gives the
// same options again, but for those that belong to the command line alone
// (config, run-dir, resume, dry-run).
std::string effective_configuration(const ServerOptions& options);

// The text of configs/server.ini.
std::string server_configuration_template();

inline constexpr std::uint32_t kMostBatches = 1024;  // k

// k for a run of N peers, or of N participants where fewer are asked a round:
// the option, or when that is 0 max(2, floor(log2 N)); at most N. With labels
// of shards 0 is N.
std::uint32_t batches_per_round(const ServerOptions& options,
                                std::uint32_t peers);

// The specifications of both networks, for images of `image` and labels of
// `classes`.
TrainingSpec training_spec(const ServerOptions& options,
                           const ImageShape& image, ClassNames classes);
GeneratorSpec generator_spec(const ServerOptions& options,
                             const ImageShape& image, std::uint32_t k);

}  // namespace mdgan
