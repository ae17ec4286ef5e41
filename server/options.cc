#include "server/options.h"

#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/options/image_options.h"
#include "common/options/text.h"
#include "protocol/algorithm.h"
#include "protocol/clean_text.h"
#include "server/command_options.h"
#include "server/core/swap_cycle.h"
#include "server/option_conflicts.h"
#include "server/run/run_configuration.h"
#include "server/run_options.h"
#include "server/train_options.h"

namespace mdgan {
namespace {

constexpr std::string_view kCommands =
    R"(mdgan-server trains a generator against discriminators that live with their
data: MD-GAN (Hardy, Le Merrer, Sericola 2019). The peers are mdgan-peer
processes, here or on other machines.

Usage: mdgan-server COMMAND [--KEY VALUE ...]

  train      train a generator with peers
  sample     make a grid of pictures from a run
  evaluate   measure how good a run's generator is: FID and others
  export     write a run's generator as safetensors
  status     how a run stands, and its peers
  view       a run's page for a browser: pictures, curves, peers
  stop       save a run and end it
  inspect    what a run, a checkpoint or an exported generator is
  advise     which settings fit a network: staleness and codecs
  keygen     make the key by which peers on other machines know this server
  invite     make an invitation, by which a peer leaves its key here
  admit      let in a peer that came by its invitation
  --version  the version, and the libraries in use
  --help     this text; after a command, what that command can do

Try:
  mdgan-server train --config configs/fashion-mlp.ini --local-peers 4 \
      --data /usr/share/datasets/fashion-mnist
)";

constexpr std::string_view kTrainIntro =
    R"(Trains a generator with the discriminators of its peers. What the run leaves
(pictures, losses, checkpoints) is in a folder under runs/.

Usage: mdgan-server train [--config FILE] [--KEY VALUE ...]

A flag beats the environment (MDGAN_ROUND_TIMEOUT for --round-timeout), that
the configuration file, and that the default. In the file a line is KEY = VALUE,
with the flags' names as keys; '#' begins a comment.

)";

constexpr std::string_view kTrainExamples = R"(
Examples
  All in one process, four peers, each with a quarter of the data:
    mdgan-server train --config configs/mnist-mlp.ini --data mnist \
        --local-peers 4
  For three peers on other machines, whose keys are in authorized_peers:
    mdgan-server train --config configs/mnist-mlp.ini --key server.key \
        --bind tcp://0.0.0.0:5555 --min-peers 3
  Begin a run, or go on with it after whatever ended it, by one command:
    mdgan-server train --config configs/mnist-mlp.ini --data mnist \
        --local-peers 4 --run-dir runs/mine
  Go on where a run stopped, and train longer:
    mdgan-server train --resume runs/00001-mnist-mlp --rounds 60000

Ctrl-C finishes the round, saves, tells the peers and ends; once more, two
seconds later or after that, ends at once. SIGTERM and SIGHUP do the same.

Exit code: 0 the run is complete, or Ctrl-C stopped it; 10 SIGTERM or SIGHUP
stopped it, and it is saved: start the command again to go on; 2 a wrong option
or value; 3 options, version, model, device or run folder do not fit together;
4 a key is missing or cannot be used; 5 the address cannot be bound; 6 the data
cannot be used; 7 a file of the run, such as a checkpoint, cannot be read or
written; 8 too few peers for too long; 9 training diverged; 1 a bug of ours.
)";

Result<void> resolve_algorithm(ServerOptions& o) {
  const auto name = name_of(kTrainingNames, o.training);
  const AlgorithmTraits& traits = traits_of(o.training.algorithm);
  const auto wrong = [&](std::string_view what) {
    return usage_error(fmt::format("algorithm = {} {}", name, what));
  };
  if (o.training.standalone) {
    if (o.data.empty()) return wrong("needs data: give --data DIR");
    if (o.bind || o.local_peers > 1)
      return wrong("has one peer, its own: leave out bind and local-peers");
    if (o.partition != Partition{})
      return wrong("has all of the data: leave out partition");
    o.local_peers = 1;
  }
  if (traits.averages_by_epochs && o.swap_epochs <= 0)
    return wrong("averages every swap-epochs, which must be above 0");
  if (o.local_steps > traits.max_local_steps)
    return wrong(
        fmt::format("takes at most {} steps a round: give "
                    "--local-steps {}",
                    traits.max_local_steps, traits.max_local_steps));
  if (o.training.standalone) o.k = 1;
  if (traits.content == RoundContent::kImages) return {};
  o.k = 1;  // there is one replica
  if (o.codecs != TensorCodecs{})
    return wrong(
        "sends float32 only: the codec options apply to algorithm = md-gan "
        "only: leave them out");
  if (o.aggregation.rule != aggregate_mean)
    return wrong(
        "has no feedback to weigh: aggregate applies to algorithm = md-gan "
        "only: leave it out");
  if (o.staleness > 0)
    return wrong(
        "trains what its peers were sent: staleness applies to algorithm = "
        "md-gan only: leave it out");
  if (o.class_share != ClassShare::kUniform)
    return wrong(
        "weighs classes as the data have them: class-share applies to "
        "algorithm = md-gan only: leave it out");
  return {};
}

}  // namespace

Result<ServerOptions> resolve(ServerOptions o) {
  if (!o.resume.empty() && !o.run_dir.empty())
    return usage_error(
        "--resume goes on in the run's own folder: leave out --run-dir");
  if (o.local_peers > 0 && o.data.empty())
    return usage_error(
        "local-peers needs data: give the folder with --data DIR");
  if (auto fits = check_images(o.reading); !fits) return fits.error();
  if (auto fits = resolve_model(o); !fits) return fits.error();
  if (auto fits = resolve_algorithm(o); !fits) return fits.error();
  if (o.local_peers == 0 && o.partition != Partition{})
    return usage_error(
        "partition cuts the data of local peers: give --local-peers N, or give "
        "the partition to the peers");
  if (o.local_peers == 0 && o.privacy.mode != DpMode::kNone)
    return usage_error(
        "dp is for the images of local peers: give --local-peers N, or give "
        "--dp to the peers, each of which decides for itself");
  if (!o.bind && o.local_peers == 0) o.bind = "tcp://127.0.0.1:5555";
  if (!o.key.empty() && o.insecure)
    return usage_error(
        "--insecure is for a run without keys: leave out one of them");
  if (o.key.empty() && !o.authorized_peers.empty())
    return usage_error(
        "authorized-peers needs the server's own key: give --key FILE; "
        "`mdgan-server keygen` makes one");
  if (o.http.empty() && !o.http_token.empty())
    return usage_error(
        "http-token is for the page of --http: give --http, too");
  if (o.min_peers == 0) o.min_peers = std::max(1U, o.local_peers);
  if (!o.bind && o.min_peers > o.local_peers)
    return usage_error(fmt::format(
        "min-peers is {} but there are only the {} local peers: give --bind "
        "tcp://ADDRESS:PORT so that others can join, or a smaller --min-peers",
        o.min_peers, o.local_peers));
  if (auto fits = check_training(o); !fits) return fits.error();
  if (o.name.empty())
    o.name = o.config.empty() ? o.model
                              : std::filesystem::path(o.config).stem().string();
  if (!protocol::is_clean_text(o.name))
    return usage_error(fmt::format(
        "name must be UTF-8 without control and format characters; it is '{}'",
        protocol::presentable(o.name)));
  if (o.name.find('/') != o.name.npos || o.name.front() == '.')
    return usage_error(
        fmt::format("name must be usable as a folder's: without '/' and a "
                    "leading '.'; it is '{}'",
                    o.name));
  if (auto fits = check_evaluation(o); !fits) return fits.error();
  if (o.evaluate_every > 0 && o.evaluate_data.empty() && o.data.empty() &&
      o.evaluate_classifier.empty())
    return usage_error(
        o.evaluate_at == EvaluateAt::kPeers
            ? "evaluate-at = peers needs a classifier: give the file that "
              "`mdgan-peer classifier` makes at a site with "
              "--evaluate-classifier FILE, or any labelled images of the same "
              "size with --evaluate-data DIR"
            : "evaluate-every needs images to compare with: give their folder "
              "with --evaluate-data DIR, or have the peers measure with "
              "--evaluate-at peers");
  for (std::string* path :
       {&o.data, &o.evaluate_data, &o.evaluate_features, &o.evaluate_classifier,
        &o.key, &o.authorized_peers, &o.http_token}) {
    if (path->empty()) continue;
    std::error_code ignored;  // then the path stays as it was given
    const auto absolute = std::filesystem::absolute(*path, ignored);
    if (!ignored) *path = absolute.lexically_normal().string();
  }
  return o;
}

namespace {

// The options of a run that goes on are its own; the command line and --config
// add to them.
Result<ParsedCommand> parse_train(std::span<const char* const> arguments,
                                  const Environment& environment) {
  ServerOptions options;
  OptionTable table = train_table(options);
  if (asks_for_help(arguments))
    return ParsedCommand(HelpRequest{std::string(kTrainIntro) + table.help() +
                                     std::string(kTrainExamples)});
  std::optional<std::filesystem::path> run;
  Result<void> whole;
  const auto done = table.parse(arguments, environment, [&] {
    run = run_to_go_on_with(options);
    std::vector<std::filesystem::path> files;
    std::error_code unseen;
    if (run && std::filesystem::exists(*run / "config.ini", unseen))
      whole = check_configuration(*run);
    if (run) files.push_back(*run / "config.ini");
    if (!options.config.empty()) files.emplace_back(options.config);
    return files;
  });
  if (!whole) return whole.error();
  if (!done) return done.error();
  for (const std::string& warning : table.unknown_in(environment))
    spdlog::warn("{}", warning);
  auto resolved = resolve(std::move(options));
  if (!resolved) return resolved.error();
  if (run)
    if (auto fits = check_against_run(*resolved, *run); !fits)
      return fits.error();
  return ParsedCommand(std::move(*resolved));
}

}  // namespace

Result<ParsedCommand> parse_server_options(int argc, const char* const* argv,
                                           const Environment& environment) {
  const std::span<const char* const> arguments(
      argv, static_cast<std::size_t>(std::max(argc, 0)));
  constexpr std::array<std::string_view, 12> kNames{
      "train",  "sample", "evaluate", "export", "advise", "keygen",
      "invite", "admit",  "status",   "view",   "stop",   "inspect"};
  if (arguments.size() < 2)
    return usage_error(
        fmt::format("no command: mdgan-server {}; see mdgan-server --help",
                    fmt::join(kNames, "|")));
  const std::string_view command = arguments[1];
  const auto rest = arguments.subspan(2);
  if (command == "train") return parse_train(rest, environment);
  if (command == "sample") return parse_sample(rest);
  if (command == "evaluate") return parse_evaluate(rest);
  if (command == "export") return parse_export(rest);
  if (command == "advise") return parse_advise(rest);
  if (command == "keygen") return parse_keygen(rest, environment);
  if (command == "invite") return parse_invite(rest, environment);
  if (command == "admit") return parse_admit(rest, environment);
  if (command == "status") return parse_status(rest);
  if (command == "view") return parse_view(rest, environment);
  if (command == "stop") return parse_stop(rest);
  if (command == "inspect") return parse_inspect(rest);
  if (command == "--version") return ParsedCommand(VersionRequest{});
  if (asks_for_help(arguments.subspan(1, 1)))
    return ParsedCommand(HelpRequest{std::string(kCommands)});
  return usage_error(fmt::format(
      "unknown command '{}'{}", command,
      nearest(command, kNames)
          ? suggestion(command, kNames)
          : fmt::format(": it is one of {}, --help", fmt::join(kNames, ", "))));
}

std::string effective_configuration(const ServerOptions& options) {
  ServerOptions copy = options;
  return "# The configuration in force. mdgan-server train --config takes it.\n"
         "\n" +
         train_table(copy).effective();
}

std::string server_configuration_template() {
  ServerOptions options;
  return "# Every key of `mdgan-server train --config FILE`, with its "
         "default.\n"
         "# Remove the # in front of a key to set it; a flag --KEY VALUE beats "
         "the file.\n" +
         train_table(options).template_file();
}

std::uint32_t batches_per_round(const ServerOptions& options,
                                std::uint32_t peers) {
  if (options.participants > 0) peers = std::min(peers, options.participants);
  if (options.k == 0)
    return options.labels == BatchLabels::kShard
               ? std::clamp(peers, 1U, kMostBatches)
               : default_k(peers);
  return std::clamp(options.k, 1U, std::max(peers, 1U));
}

TrainingSpec training_spec(const ServerOptions& options,
                           const ImageShape& image, ClassNames classes) {
  return {.model = options.model,
          .image = image,
          .condition = options.condition,
          .loss = options.loss,
          .r1_gamma = options.r1,
          .r2_gamma = options.r2,
          .gradient_penalty = options.gradient_penalty,
          .adam = options.adam_d,
          .batch = options.batch,
          .local_steps = options.local_steps,
          .replay = options.replay,
          .seed = options.seed,
          .swap_optimizer = options.swap_optimizer,
          .algorithm = options.training.algorithm,
          .latent = options.latent,
          .generator_adam = options.adam_g,
          .classes = std::move(classes),
          .augment = options.augment,
          .labels = options.labels};
}

namespace {

MergeParameters with_loss(const ServerOptions& options) {
  MergeParameters parameters = options.aggregation.parameters;
  parameters.loss = options.loss;
  return parameters;
}

}  // namespace

GeneratorSpec generator_spec(const ServerOptions& options,
                             const ImageShape& image, std::uint32_t k) {
  return {.model = options.model,
          .image = image,
          .condition = options.condition,
          .latent = options.latent,
          .adam = options.adam_g,
          .ema = options.ema,
          .batch = options.batch,
          .k = k,
          .seed = options.seed,
          .aggregation = {options.aggregation.rule, with_loss(options)},
          .class_share = options.class_share};
}

}  // namespace mdgan
