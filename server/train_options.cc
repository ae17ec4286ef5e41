#include "server/train_options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/net/endpoint.h"
#include "common/options/image_options.h"
#include "common/options/privacy_options.h"
#include "common/options/shared_options.h"
#include "protocol/limits.h"
#include "server/command_options.h"

namespace mdgan {
namespace {

CustomValue tcp_endpoint(std::optional<std::string>* value) {
  return {"like tcp://ADDRESS:PORT", [=] { return value->value_or(""); },
          [=](std::string_view text) {
            if (text.empty()) return value->reset(), true;
            if (!parse_endpoint(text, "bind")) return false;
            *value = text;
            return true;
          }};
}

CustomValue class_names(ClassNames* classes) {
  return {"names like cat, dog, fox, or their number",
          [=] { return to_text(*classes); },
          [=](std::string_view text) {
            // -1 is what files of before have where the data decide.
            if (text.empty() || text == "-1") return classes->clear(), true;
            const auto parsed = parse_classes(text);
            if (parsed) *classes = *parsed;
            return parsed.has_value();
          }};
}

OptionGroup peers_group(ServerOptions& o) {
  constexpr double kPeers = protocol::kMaxPeers;
  return {
      "Peers",
      {{"bind", tcp_endpoint(&o.bind), "tcp://ADDR:PORT",
        "The address at which peers reach this server. Without it: "
        "tcp://127.0.0.1:5555, for peers on this machine; none with "
        "--local-peers. Port 0: any free port. With tcp://0.0.0.0:5555 peers "
        "connect from anywhere, and --key is needed."},
       {"key", &o.key, "FILE",
        "The server's secret key, as `mdgan-server keygen` makes it. With it "
        "connections are encrypted, and only peers of authorized-peers are let "
        "in. Empty: no keys, for peers on this machine."},
       {"authorized-peers", &o.authorized_peers, "FILE",
        "The peers that are let in: a line KEY NAME for each, as `mdgan-peer "
        "keygen` prints it. It is read again when it changes; who is taken out "
        "must "
        "leave. Empty: the file authorized_peers beside the key."},
       {"insecure", &o.insecure, "",
        "Let in everybody who reaches --bind, and send everything in the "
        "clear.",
        OptionRange{}, Where::kFlagOnly},
       {"min-peers",
        &o.min_peers,
        "N",
        "Training waits for this many peers before it starts. 0: as many as "
        "--local-peers, at least 1.",
        {0, kPeers}},
       {"local-peers",
        &o.local_peers,
        "N",
        "Host N peers in this process, for simulations; they share --data as "
        "--partition says.",
        {0, kPeers}},
       {"data", &o.data, "DIR",
        "The folder with the data of the local peers: MNIST files (IDX, plain "
        "or gzip), CIFAR's binary files, or image files (PNG, JPEG, WebP, "
        "TIFF or BMP), with a subfolder for each class. Other peers bring "
        "their "
        "own."},
       {"partition", partition_value(&o.partition), "CUT", kPartitionHelp},
       {"simulate-attack", attack_value(&o.attack), "ATTACK:M",
        "For experiments: the last M of the local peers are hostile and answer "
        "not their feedback F but sign-flip: -F; reverse: -10 F; scale: 50 F; "
        "constant: one number, as long as F; nan; noise: a hundredth of F's "
        "length; zero; collude: 10 times F's length towards one picture. "
        "Empty: none."}}};
}

OptionGroup wire_group(ServerOptions& o) {
  return {
      "The wire",
      {{"image-codec", one_of(&o.codecs.image, kImageCodecNames), "NAME",
        "The format in which generated images travel. uint8: a quarter of the "
        "bytes; the discriminators then train on images of 8 bits."},
       {"feedback-codec", one_of(&o.codecs.feedback, kFeedbackCodecNames),
        "NAME",
        "The format in which the peers' feedback travels. bfloat16: half of "
        "the bytes. int8: a quarter; its stochastic rounding is unbiased."},
       {"swap-codec", one_of(&o.codecs.swap, kSwapCodecNames), "NAME",
        "The format in which discriminators travel. bfloat16: half of the "
        "bytes; the weights that arrive are rounded, so a swap is no longer "
        "exact."}}};
}

OptionGroup algorithm_group(ServerOptions& o) {
  return {
      "Algorithm",
      {{"algorithm", one_of(&o.training, kTrainingNames), "NAME",
        "How training is distributed: md-gan, or what it is compared with. "
        "fl-gan: peers train whole GANs, which are averaged every swap-epochs. "
        "data-parallel: the gradients of both networks are averaged every "
        "round. standalone: one machine has all of --data."},
       {"rounds",
        &o.rounds,
        "N",
        "Number of generator updates, the paper's global iterations.",
        {1, 1e9}},
       {"batch",
        &o.batch,
        "B",
        "Number of images in a batch (b).",
        {1, protocol::kMaxBatch}},
       {"k",
        &o.k,
        "K",
        "Number of distinct generated batches a round, dealt out among the "
        "peers. 0: max(2, floor(log2 N)) for N peers; never more than N. The "
        "other algorithms ignore it. With labels = shard 0 is N.",
        {0, kMostBatches}},
       {"participants",
        &o.participants,
        "M",
        "Number of peers that are asked a round, drawn anew for each. 0: all. "
        "Peers that are not drawn skip the round but still swap. Of those "
        "who have just come, and have not answered yet, as many are asked "
        "besides; until anybody has answered, all.",
        {0, protocol::kMaxPeers}},
       {"staleness",
        &o.staleness,
        "S",
        "How many rounds peers are asked ahead, so that they work while "
        "answers are on their way: for sites that are far apart. The feedback "
        "of a round is then on images that the generator made S steps before "
        "it takes it, and is used for those that it makes now of the same "
        "latents. 0: the paper's, one round after the other. Nothing is asked "
        "ahead over a swap or a checkpoint.",
        {0, protocol::kMaxStaleness}},
       {"local-steps",
        &o.local_steps,
        "L",
        "Number of optimiser steps that each discriminator takes a round (L).",
        {1, protocol::kMaxLocalSteps}},
       {"replay", &o.replay, "BOOL",
        "Each of the L steps takes new real images and another generated "
        "batch, one of the last L rounds: the peer keeps them, 2 GiB at most, "
        "and no more bytes are sent. Without it, as in the paper, all L steps "
        "take one batch. It has no effect with local-steps = 1."},
       {"labels", one_of(&o.labels, kBatchLabelsNames), "NAME",
        "Which classes the generated images have that a peer judges. uniform: "
        "all, whatever its own images are (the paper's). shard: those of its "
        "own images, as often; a discriminator is then not asked about classes "
        "that it has never seen. Each batch is for the peers whose images are "
        "most alike, and swaps are among such. For sites that have other "
        "classes than each other; it needs a condition."},
       {"class-share", one_of(&o.class_share, kClassShareNames), "NAME",
        "How much each class counts where labels = shard. uniform: all alike; "
        "data: as often as it is in the data of all peers."},
       {"aggregate", one_of(&o.aggregation.rule, kAggregationRules), "NAME",
        "How the feedback of the peers that saw the same batch is averaged. "
        "mean weighs all alike (the paper's); shard-size weighs by a peer's "
        "number of images; gman gives most weight to the discriminator that "
        "rates the image most fake, f2a to the one that rates it most real; "
        "ua-gan makes of them the discriminator of all peers' data together, "
        "for the losses "
        "non-saturating and saturating. The others tolerate hostile peers, "
        "but ignore rare data: clip shortens long answers to the median's "
        "length; median and trimmed-mean take each value's; krum takes the "
        "answer in the midst of the others, multi-krum the mean of several "
        "such. All but mean and clip need several peers a batch, so a small "
        "k."},
       {"aggregate-temperature",
        &o.aggregation.parameters.temperature,
        "T",
        "Inverse temperature: the softmax of gman and f2a multiplies the "
        "logits by it. 0: logits are ignored.",
        {0, 1e6}},
       {"aggregate-logit-bound",
        &o.aggregation.parameters.logit_bound,
        "B",
        "gman, f2a and ua-gan believe what peers say of their logits. With "
        "this, a logit counts no farther than B from the median of those for "
        "the same image, so no peer weighs more than exp(B) times a typical "
        "one (with a temperature T exp(B T)). 0: however far.",
        {0, 1e6}},
       {"aggregate-hostile",
        &o.aggregation.parameters.hostile,
        "F",
        "How many hostile peers among those that judge one batch median, "
        "trimmed-mean, krum and multi-krum are to bear (f). The first two "
        "need 2 F + 1 peers a batch, the others 2 F + 3; while losses leave "
        "fewer, the batch's answers are merged by clip, with a warning.",
        {0, protocol::kMaxPeers}},
       {"aggregate-clip",
        &o.aggregation.parameters.clip,
        "C",
        "clip shortens each answer to C times the median length of the "
        "round's answers.",
        {0.01, 1e6}},
       {"swap-epochs",
        &o.swap_epochs,
        "E",
        "A swap of the discriminators follows after so many passes over the "
        "smallest shard (E); with fl-gan an averaging. A pass is as many "
        "rounds as the shard has batches, whatever local-steps is. 0: never "
        "swap.",
        {0, 1e6}},
       {"swap-optimizer", &o.swap_optimizer, "BOOL",
        "A swapped discriminator takes Adam's moments along. That is three "
        "times the bytes; without it the moments stay with the peer."},
       {"seed",
        &o.seed,
        "N",
        "Seed of everything random. The same seed, peers and device give the "
        "same generator, bit for bit (not with dp).",
        {0, 4294967295.0}}}};
}

OptionGroup model_group(ServerOptions& o) {
  return {
      "Model",
      {{"model", &o.model, "NAME",
        "The architecture: mlp, mnist-cnn, cifar10-cnn (the paper's), dcgan "
        "(32, 64 or 128 pixels), resnet and r3gan (32 or 64 pixels), dirac (a "
        "single "
        "value, to study convergence). script:FILE: one of your own, in a "
        "TorchScript file, which every peer is given by --model-file, too. "
        "Such a file is a program, which can do what this one can; "
        "docs/own-models.md."},
       {"condition", one_of(&o.condition, kConditionNames), "NAME",
        "How labels enter the networks. none: they do not. acgan: the "
        "discriminator also classifies the image (the paper's). projection: "
        "the discriminator is given the class."},
       {"latent", &o.latent, "N", "Length of the latent vector.", {1, 65536}},
       {"image", image_size(&o.image), "CxHxW",
        "Size of the images, such as 1x28x28; it must be that of the peers' "
        "images. Empty: the size of the first peer's."},
       {"classes", class_names(&o.classes), "LIST",
        "The names of the classes that the labels of a conditional model mean, "
        "such as cat, dog, fox: a peer may lack some, and one that has others "
        "is refused. A number N: the classes 0 to N-1, as in MNIST. Empty: "
        "those of --data, or all that the peers have with which the run "
        "starts."}}};
}

OptionGroup optimisation_group(ServerOptions& o) {
  constexpr OptionRange kRate{0, 1};
  constexpr OptionRange kDecay{0, 0.999999};
  constexpr OptionRange kWeight{0, 1e6};
  return {
      "Optimisation",
      {{"augment", one_of(&o.augment, kAugmentNames), "NAME",
        "How images, real and generated, are changed at random before a "
        "discriminator sees them, so that few real ones (some hundred a peer) "
        "do not teach it their details. diffaugment: brightness, saturation, "
        "contrast, a shift, a square cut out; no mirroring. ada: the same, "
        "each with a probability that a peer raises while its discriminator is "
        "sure of too many of its images, and lowers again; it is for losses "
        "whose logits have a zero, so not for wgan-gp and relativistic, and "
        "not for data-parallel or dp."},
       {"loss", one_of(&o.loss, kLossNames), "NAME",
        "The adversarial loss. saturating is the paper's formula; "
        "non-saturating is the one in common use. relativistic, with r1 and r2 "
        "the loss of R3GAN, sets each generated image against a real one; it "
        "is not for the aggregations gman, f2a and ua-gan, nor for dp."},
       {"r1", &o.r1, "GAMMA",
        "Weight gamma of the penalty gamma/2 |grad D|^2 on real images "
        "(Mescheder et al. 2018). 0: no penalty.",
        kWeight},
       {"r2", &o.r2, "GAMMA",
        "Weight gamma of the same penalty on generated images. 0: no penalty.",
        kWeight},
       {"gradient-penalty", &o.gradient_penalty, "WEIGHT",
        "Weight of the gradient penalty of wgan-gp; other losses ignore it.",
        kWeight},
       {"lr-g", &o.adam_g.learning_rate, "RATE",
        "Adam's learning rate for the generator.", kRate},
       {"lr-d", &o.adam_d.learning_rate, "RATE",
        "Adam's learning rate for the discriminators.", kRate},
       {"beta1-g", &o.adam_g.beta1, "BETA",
        "Decay rate of Adam's first moment for the generator.", kDecay},
       {"beta2-g", &o.adam_g.beta2, "BETA",
        "Decay rate of Adam's second moment for the generator.", kDecay},
       {"beta1-d", &o.adam_d.beta1, "BETA",
        "Decay rate of Adam's first moment for the discriminators.", kDecay},
       {"beta2-d", &o.adam_d.beta2, "BETA",
        "Decay rate of Adam's second moment for the discriminators.", kDecay},
       {"ema", &o.ema, "DECAY",
        "Decay, per round, of the moving average of the generator's weights "
        "from which samples and metrics come. 0: they come from the generator "
        "itself.",
        kDecay}}};
}

OptionGroup faults_group(ServerOptions& o) {
  constexpr OptionRange kTimeout{0.1, 86400};
  return {
      "When peers are slow or gone",
      {{"round-timeout", &o.round_timeout, "SECONDS",
        "Deadline of a round: after this long it closes with the peers that "
        "have answered, if they are a quorum. Once a quorum has answered, the "
        "others get five times as long as that took, at least 3 s, within "
        "this limit. With fl-gan it is a second longer for every round "
        "between two averagings.",
        kTimeout},
       {"quorum",
        &o.quorum,
        "FRACTION",
        "A round needs feedback from this fraction of the peers asked; with "
        "fewer live peers than this fraction of min-peers the run pauses.",
        {0.01, 1}},
       {"quorum-timeout", &o.quorum_timeout, "SECONDS",
        "A run that has paused this long for lack of peers saves and ends with "
        "exit code 8.",
        kTimeout},
       {"swap-timeout", &o.swap_timeout, "SECONDS",
        "Longest that a swap may take; it gets four times what the last took, "
        "at least 3 s, within this limit. One that takes longer is aborted: "
        "every peer keeps its discriminator.",
        kTimeout}}};
}

OptionGroup machine_group(ServerOptions& o) {
  return {
      "Machine",
      {{"device", &o.device, "DEVICE",
        "The device that holds the generator: cpu, cuda or cuda:N."},
       {"precision", one_of(&o.precision, kPrecisionNames), "NAME",
        kPrecisionHelp},
       {"threads",
        &o.threads,
        "N",
        "Number of processor threads for each worker's arithmetic. Results are "
        "the same bit for bit only for the same number. With 1, a second "
        "thread takes parts of the generator's work while its peers wait, if "
        "the generator is on the processor and there is a second core; that "
        "changes no bit.",
        {1, 256}}}};
}

OptionGroup evaluation_group(ServerOptions& o) {
  return {
      "How good the generator is",
      {{"evaluate-every",
        &o.evaluate_every,
        "ROUNDS",
        "Measure FID and other metrics every so many rounds and after the "
        "last, beside training. 0: never.",
        {0, 1e9}},
       {"evaluate-at", one_of(&o.evaluate_at, kEvaluateAtNames), "WHERE",
        "server: compare with images that the server has. peers: with images "
        "that each peer holds out (mdgan-peer --evaluate-data) and does not "
        "show; it gets features of generated images and answers with numbers."},
       {"evaluate-data", &o.evaluate_data, "DIR",
        "The folder with the real images: the test part of MNIST's or CIFAR's "
        "files or of a folder with train/ and test/, or a tenth of another "
        "folder's images. Empty: the folder of --data."},
       {"evaluate-samples",
        &o.evaluate_samples,
        "N",
        "Number of generated images, and at most as many real ones. FID "
        "depends on it: 10000 is customary, the paper has 500.",
        {20, 50'000}},
       {"evaluate-features", &o.evaluate_features, "FILE",
        "A TorchScript module that computes the features, such as StyleGAN's "
        "inception-2015-12-05.pt. Empty: a classifier, trained once on "
        "evaluate-data."},
       {"evaluate-classifier", &o.evaluate_classifier, "FILE",
        "With evaluate-at = peers: the classifier that computes the features, "
        "the file that the peers measure with, too. Empty: one trained on "
        "evaluate-data, which only local peers have."},
       {"evaluate-cache", &o.evaluate_cache, "DIR",
        "The folder that keeps trained classifiers. Empty: ~/.cache/mdgan."}}};
}

OptionGroup run_group(ServerOptions& o) {
  constexpr OptionRange kRounds{0, 1e9};
  return {
      "The run and what it leaves",
      {{"config", &o.config, "FILE",
        "Read this configuration file; see configs/.", OptionRange{},
        Where::kFlagOnly},
       {"name", &o.name, "NAME",
        "The run's folder is runs/NUMBER-NAME. Empty: the name of the "
        "configuration file, or of the model."},
       {"run-dir", &o.run_dir, "DIR",
        "Use exactly this folder in place of the next number under runs/. If "
        "there is a run in it, go on with that from its newest checkpoint; "
        "options that would make it another run are refused.",
        OptionRange{}, Where::kFlagOnly},
       {"resume", &o.resume, "DIR",
        "Go on with the run in DIR from its newest checkpoint, with its "
        "configuration; other flags overrule that. Fails if there is none.",
        OptionRange{}, Where::kFlagOnly},
       {"stats-every",
        &o.stats_every,
        "ROUNDS",
        "Write a line to stats.jsonl and to the terminal every so many rounds.",
        {1, 1e9}},
       {"samples-every", &o.samples_every, "ROUNDS",
        "Draw a grid of samples into samples/ every so many rounds and after "
        "the last. 0: only after the last.",
        kRounds},
       {"tensorboard", &o.tensorboard, "",
        "Also write what stats.jsonl has, measurements and the grids of "
        "samples "
        "to RUN/tensorboard, for `tensorboard --logdir RUN`."},
       {"checkpoint-every", &o.checkpoint_every, "ROUNDS",
        "Save a checkpoint of the server and its peers every so many rounds. "
        "All are saved at the end, too, and the server before the first "
        "round. 0: only then.",
        kRounds},
       {"keep-last",
        &o.keep_last,
        "N",
        "Keep so many of the newest checkpoints and remove older ones.",
        {1, 16}},
       {"keep-every", &o.keep_every, "ROUNDS",
        "Also keep the first checkpoint at or after each multiple of this, "
        "those of local peers too. 0: no others.",
        kRounds},
       {"http", &o.http, "ADDRESS:PORT",
        "Serve the run's page for a browser, such as 127.0.0.1:8080, and "
        "/metrics for Prometheus; `mdgan-server view` does so for any run. "
        "Port 0: any free one. An address that other machines reach needs "
        "--http-token. Empty: no page."},
       {"http-token", &o.http_token, "FILE", kHttpTokenHelp},
       {"dry-run", &o.dry_run, "",
        "Print the configuration in force, as a file, and end.", OptionRange{},
        Where::kFlagOnly},
       {"quiet", &o.quiet, "", "Show only warnings on the terminal."}}};
}

}  // namespace

std::vector<OptionGroup> train_groups(ServerOptions& options) {
  return {run_group(options),
          peers_group(options),
          images_group(&options.reading),
          privacy_group(&options.privacy),
          wire_group(options),
          algorithm_group(options),
          model_group(options),
          optimisation_group(options),
          faults_group(options),
          evaluation_group(options),
          machine_group(options)};
}

OptionTable train_table(ServerOptions& options) {
  return OptionTable(train_groups(options));
}

CustomValue image_size(ImageShape* image) {
  return {
      "like 3x32x32 (channels x height x width)",
      [=] {
        if (image->values() == 0) return std::string();
        return fmt::format("{}x{}x{}", image->channels, image->height,
                           image->width);
      },
      [=](std::string_view text) {
        if (text.empty()) return *image = {}, true;
        ImageShape shape;
        const bool valid =
            read_sides(text, {&shape.channels, &shape.height, &shape.width}) &&
            shape.values() > 0 && shape.channels <= protocol::kMaxChannels &&
            std::max(shape.height, shape.width) <= protocol::kMaxImageSide;
        if (valid) *image = shape;
        return valid;
      }};
}

}  // namespace mdgan
