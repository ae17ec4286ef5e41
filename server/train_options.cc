#include "server/train_options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "common/options/partition_value.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

CustomValue tcp_endpoint(std::optional<std::string>* value) {
  return {"like tcp://ADDRESS:PORT", [=] { return value->value_or(""); },
          [=](std::string_view text) {
            if (text.empty()) return value->reset(), true;
            constexpr std::string_view kScheme = "tcp://";
            const std::size_t colon = text.rfind(':');
            if (!text.starts_with(kScheme) || colon <= kScheme.size() ||
                colon + 1 == text.size())
              return false;
            *value = text;
            return true;
          }};
}

CustomValue image_size(ImageShape* image) {
  return {"like 3x32x32 (channels x height x width)",
          [=] {
            if (image->values() == 0) return std::string();
            return fmt::format("{}x{}x{}", image->channels, image->height,
                               image->width);
          },
          [=](std::string_view text) {
            if (text.empty()) return *image = {}, true;
            ImageShape shape;
            const char* const end = text.data() + text.size();
            const char* at = text.data();
            for (std::uint32_t* side :
                 {&shape.channels, &shape.height, &shape.width}) {
              if (side != &shape.channels && (at == end || *at++ != 'x'))
                return false;
              at = std::from_chars(at, end, *side).ptr;
            }
            const bool valid =
                at == end && shape.values() > 0 &&
                shape.channels <= protocol::kMaxChannels &&
                std::max(shape.height, shape.width) <= protocol::kMaxImageSide;
            if (valid) *image = shape;
            return valid;
          }};
}

OptionGroup peers_group(ServerOptions& o) {
  constexpr double kPeers = protocol::kMaxPeers;
  return {
      "Peers",
      {{"bind", tcp_endpoint(&o.bind), "tcp://ADDR:PORT",
        "Where peers reach this server. Without it: tcp://127.0.0.1:5555, "
        "for peers on this machine; nothing with --local-peers. Port 0: any "
        "that "
        "is free. "
        "tcp://0.0.0.0:5555 is for peers from anywhere: the connection is "
        "not encrypted, so only on a network you trust."},
       {"min-peers",
        &o.min_peers,
        "N",
        "Wait for this many peers, then start. 0: as many as --local-peers, "
        "at least 1.",
        {0, kPeers}},
       {"local-peers",
        &o.local_peers,
        "N",
        "Host N peers in this process, for simulations: --data is cut into "
        "N parts.",
        {0, kPeers}},
       {"data", &o.data, "DIR",
        "The data of the local peers: MNIST files (IDX, plain or gzip), "
        "CIFAR-10 binary files, or pictures in a folder, with a subfolder "
        "for each class. Other peers bring their own."},
       {"partition", partition_value(&o.partition), "CUT",
        "How the local peers share out the data. iid: equal parts of the same "
        "mixture. dirichlet:ALPHA: each class unevenly, the more so the "
        "smaller ALPHA. classes:C: C classes a peer. sizes:zipf: the same "
        "mixture, sizes like 1, 1/2, 1/3."}}};
}

OptionGroup wire_group(ServerOptions& o) {
  return {"The wire",
          {{"image-codec", one_of(&o.codecs.image, kImageCodecNames), "NAME",
            "How generated images travel. uint8: a quarter of the bytes, and "
            "the discriminators see what 8-bit pictures can show."},
           {"feedback-codec", one_of(&o.codecs.feedback, kFeedbackCodecNames),
            "NAME",
            "How the peers' answers travel. bfloat16: half of the bytes. int8: "
            "a quarter, rounded at random, right in the mean."},
           {"swap-codec", one_of(&o.codecs.swap, kSwapCodecNames), "NAME",
            "How discriminators travel. bfloat16: half of the bytes; what "
            "arrives is rounded, so a swap is no longer a mere renaming."}}};
}

OptionGroup algorithm_group(ServerOptions& o) {
  return {
      "Algorithm",
      {{"algorithm", one_of(&o.training, kTrainingNames), "NAME",
        "md-gan; or what it is compared with: fl-gan (peers train whole GANs, "
        "which are averaged every swap-epochs), data-parallel (the gradients "
        "of both networks are averaged every round), standalone (one machine "
        "has all of --data)."},
       {"rounds",
        &o.rounds,
        "N",
        "Generator updates, the paper's global iterations.",
        {1, 1e9}},
       {"batch",
        &o.batch,
        "B",
        "Images in a batch (b).",
        {1, protocol::kMaxBatch}},
       {"k",
        &o.k,
        "K",
        "Different generated batches a round, shared out among the peers. 0: "
        "max(2, floor(log2 N)) for N peers; never more than N. The other "
        "algorithms ignore it.",
        {0, 1024}},
       {"local-steps",
        &o.local_steps,
        "L",
        "Steps of each discriminator a round (L).",
        {1, protocol::kMaxLocalSteps}},
       {"replay", &o.replay, "BOOL",
        "Each of the L steps has new real images and another generated batch, "
        "of the last L rounds: the peer keeps them, 2 GiB at most, and no more "
        "bytes are sent. Without it, as in the paper, all L steps are on one "
        "batch. Has no effect with local-steps = 1."},
       {"aggregate", one_of(&o.aggregation.rule, kAggregationNames), "NAME",
        "How the answers of the peers that saw the same batch become one. mean "
        "is the paper's; shard-size: by the images a peer has; by how real a "
        "peer takes each image for, the harshest (gman) or the most forgiving "
        "(f2a) counts most; ua-gan: as f2a, times the images it has. More than "
        "one peer a batch is needed, so a small k."},
       {"aggregate-temperature",
        &o.aggregation.temperature,
        "T",
        "How much the judgements count for gman, f2a and ua-gan: their factor "
        "in the softmax.",
        {0, 1e6}},
       {"swap-epochs",
        &o.swap_epochs,
        "E",
        "Passes over the smallest shard between two swaps of the "
        "discriminators (E), or with fl-gan between two averagings, at one "
        "batch a round; with replay a round takes local-steps of them. 0: "
        "never swap.",
        {0, 1e6}},
       {"swap-optimizer", &o.swap_optimizer, "BOOL",
        "A swapped discriminator takes Adam's moments along: three times the "
        "bytes, and the swap is a mere renaming of peers."},
       {"seed",
        &o.seed,
        "N",
        "Fixes everything random. The same seed, peers and device give the "
        "same generator, bit for bit.",
        {0, 4294967295.0}}}};
}

OptionGroup model_group(ServerOptions& o) {
  return {"Model",
          {{"model", &o.model, "NAME",
            "mlp, mnist-cnn, cifar10-cnn (the paper's), dcgan (32, 64 or 128 "
            "pixels), resnet (32 or 64 pixels), dirac (one value, to study "
            "convergence)."},
           {"condition", one_of(&o.condition, kConditionNames), "NAME",
            "What labels do: nothing; acgan: the discriminator also guesses "
            "the class (the paper's); projection: it is told the class."},
           {"latent",
            &o.latent,
            "N",
            "Numbers the generator makes an image of.",
            {1, 65536}},
           {"image", image_size(&o.image), "CxHxW",
            "The images' size, such as 1x28x28; it must be the peers'. Empty: "
            "that of the first peer's data."},
           {"classes",
            &o.classes,
            "N",
            "Number of classes. -1: that of the first peer's data.",
            {-1, protocol::kMaxClasses}}}};
}

OptionGroup optimisation_group(ServerOptions& o) {
  constexpr OptionRange kRate{0, 1};
  constexpr OptionRange kDecay{0, 0.999999};
  constexpr OptionRange kWeight{0, 1e6};
  return {
      "Optimisation",
      {{"loss", one_of(&o.loss, kLossNames), "NAME",
        "The adversarial loss; saturating is the paper's formula, "
        "non-saturating what everybody trains."},
       {"r1", &o.r1, "GAMMA",
        "Gradient penalty gamma/2 |grad D|^2 on real images (Mescheder et al. "
        "2018). 0: off.",
        kWeight},
       {"r2", &o.r2, "GAMMA", "The same on generated images. 0: off.", kWeight},
       {"gradient-penalty", &o.gradient_penalty, "WEIGHT",
        "Weight of wgan-gp's penalty; other losses ignore it.", kWeight},
       {"lr-g", &o.adam_g.learning_rate, "RATE",
        "Adam's learning rate, generator.", kRate},
       {"lr-d", &o.adam_d.learning_rate, "RATE",
        "Adam's learning rate, discriminators.", kRate},
       {"beta1-g", &o.adam_g.beta1, "BETA",
        "Adam's decay of the mean gradient, generator.", kDecay},
       {"beta2-g", &o.adam_g.beta2, "BETA",
        "Adam's decay of the squared gradient, generator.", kDecay},
       {"beta1-d", &o.adam_d.beta1, "BETA",
        "Adam's decay of the mean gradient, discriminators.", kDecay},
       {"beta2-d", &o.adam_d.beta2, "BETA",
        "Adam's decay of the squared gradient, discriminators.", kDecay},
       {"ema", &o.ema, "DECAY",
        "The pictures come from a moving average of the generator with this "
        "decay a round. 0: from the generator itself.",
        kDecay}}};
}

OptionGroup faults_group(ServerOptions& o) {
  constexpr OptionRange kTimeout{0.1, 86400};
  return {"When peers are slow or gone",
          {{"round-timeout", &o.round_timeout, "SECONDS",
            "A round waits this long for its peers, then closes with those "
            "that answered if they are a quorum. With fl-gan a second more "
            "for every round between two averagings.",
            kTimeout},
           {"quorum",
            &o.quorum,
            "FRACTION",
            "The part of the peers asked whose answers are enough for a round, "
            "and of min-peers below which the run pauses.",
            {0.01, 1}},
           {"quorum-timeout", &o.quorum_timeout, "SECONDS",
            "With too few peers the run pauses, and after this long saves and "
            "ends with exit code 8.",
            kTimeout},
           {"swap-timeout", &o.swap_timeout, "SECONDS",
            "A swap that takes longer is called off: everyone keeps its "
            "discriminator.",
            kTimeout}}};
}

OptionGroup machine_group(ServerOptions& o) {
  return {"Machine",
          {{"device", &o.device, "DEVICE",
            "Where the generator is: cpu, cuda or cuda:N."},
           {"precision", one_of(&o.precision, kPrecisionNames), "NAME",
            "Of convolutions. bf16 is faster on processors with AVX512-BF16 "
            "or AMX, and on GPUs; weights and what travels stay float32."},
           {"threads",
            &o.threads,
            "N",
            "Processor threads of each worker's arithmetic. Results are the "
            "same bit for bit only for the same number. With 1 the generator "
            "still has a second core's help, if it is on the processor and "
            "there is one, while its peers wait; that changes no bit.",
            {1, 256}}}};
}

OptionGroup evaluation_group(ServerOptions& o) {
  return {
      "How good the generator is",
      {{"evaluate-every",
        &o.evaluate_every,
        "ROUNDS",
        "Measure FID and others every so many rounds and after the last, "
        "beside training. 0: never.",
        {0, 1e9}},
       {"evaluate-data", &o.evaluate_data, "DIR",
        "The real images: the test part of MNIST or CIFAR-10 files, or a tenth "
        "of a folder's. Empty: data."},
       {"evaluate-samples",
        &o.evaluate_samples,
        "N",
        "Generated images, and at most as many real ones. FID depends on it: "
        "10000 is customary, the paper has 500.",
        {20, 50'000}},
       {"evaluate-features", &o.evaluate_features, "FILE",
        "A TorchScript module that gives the features, such as StyleGAN's "
        "inception-2015-12-05.pt. Empty: a classifier, trained once on "
        "evaluate-data."},
       {"evaluate-cache", &o.evaluate_cache, "DIR",
        "Where trained classifiers are kept. Empty: ~/.cache/mdgan."}}};
}

OptionGroup run_group(ServerOptions& o) {
  constexpr OptionRange kRounds{0, 1e9};
  return {
      "The run and what it leaves",
      {{"config", &o.config, "FILE", "A configuration file; see configs/.",
        OptionRange{}, Where::kFlagOnly},
       {"name", &o.name, "NAME",
        "Names the run's folder. Empty: the configuration file's name, or the "
        "model's."},
       {"run-dir", &o.run_dir, "DIR",
        "Exactly this folder, instead of the next number under runs/.",
        OptionRange{}, Where::kFlagOnly},
       {"resume", &o.resume, "DIR",
        "Go on with the run in DIR from its newest checkpoint, with its "
        "configuration; other flags overrule that.",
        OptionRange{}, Where::kFlagOnly},
       {"stats-every",
        &o.stats_every,
        "ROUNDS",
        "A line in stats.jsonl and on the terminal every so many rounds.",
        {1, 1e9}},
       {"samples-every", &o.samples_every, "ROUNDS",
        "A grid of pictures in samples/. 0: only of the last round.", kRounds},
       {"checkpoint-every", &o.checkpoint_every, "ROUNDS",
        "A checkpoint of server and peers. 0: only at the end.", kRounds},
       {"keep-last",
        &o.keep_last,
        "N",
        "How many checkpoints stay; older ones are removed.",
        {1, 16}},
       {"keep-every", &o.keep_every, "ROUNDS",
        "But the first checkpoint from each multiple of this on stays, those "
        "of local peers too. 0: none.",
        kRounds},
       {"dry-run", &o.dry_run, "",
        "Print the configuration in force, as a file, and end.", OptionRange{},
        Where::kFlagOnly},
       {"quiet", &o.quiet, "", "Only warnings on the terminal."}}};
}

}  // namespace

OptionTable train_table(ServerOptions& options) {
  return OptionTable({run_group(options), peers_group(options),
                      wire_group(options), algorithm_group(options),
                      model_group(options), optimisation_group(options),
                      faults_group(options), evaluation_group(options),
                      machine_group(options)});
}

}  // namespace mdgan
