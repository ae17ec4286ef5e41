// A generator in training: its optimiser and its moving average. The server has
// one, and in FL-GAN and data parallelism each peer, too. No sockets. LibTorch
// stays behind the implementation.
//
// Threads: one call at a time; the caller may change threads between calls.
// A function without a Result throws a standard exception when LibTorch fails,
// for lack of memory, say.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/merge/class_factors.h"
#include "common/merge/rules.h"
#include "common/tensor/blob.h"
#include "common/train/generated_batch.h"
#include "protocol/training_spec.h"

namespace mdgan {

struct GeneratorSpec {
  std::string model;
  ImageShape image;
  Condition condition = Condition::kNone;
  std::uint32_t latent = 100;
  AdamSpec adam;
  double ema = 0.999;        // decay of the moving average; 0: none is kept
  std::uint32_t batch = 10;  // b
  std::uint32_t k = 1;
  std::uint64_t seed = 1;
  std::uint32_t first_batch = 0;  // the latents are those of batches from here
  Aggregation aggregation = {};
  // How the classes of batches with label counts are weighed.
  ClassShare class_share = ClassShare::kUniform;
};

// One peer's feedback for one of the round's batches.
struct Contribution {
  PeerId peer;
  std::uint32_t batch = 0;
  // [b, c, h, w], finite: float32, bfloat16, or int8 with `scales` [b] float32
  // (common/tensor/quantise.h).
  Blob feedback;
  Blob scales = {};
  // Aggregations other than the mean weigh the feedback by these: D's logits of
  // the batch [b] float32, finite, and the size of the peer's shard.
  Blob logits = {};
  double shard_size = 1;
};

// The outcome of one step, and the time that its parts took.
struct StepReport {
  double feedback_norm = 0;  // Euclidean, of the merged feedback of all batches
  double merge_seconds = 0;  // adding the feedback up
  double step_seconds = 0;   // backward pass, Adam, moving average
  std::uint32_t not_whole = 0;  // answers that the rule clipped or left out
  std::uint32_t fallbacks = 0;  // batches with too few answers for the rule
};

class Sampler;

class GeneratorTrainer {
 public:
  // Fails with kConfiguration: unknown model, no such device.
  static Result<std::unique_ptr<GeneratorTrainer>> create(
      const GeneratorSpec& spec, const std::string& device);
  ~GeneratorTrainer();
  GeneratorTrainer(const GeneratorTrainer&) = delete;
  GeneratorTrainer& operator=(const GeneratorTrainer&) = delete;

  // X^(j) = G(Z_j), j in [0, k), in one forward pass, which is kept for step().
  // The round is then open until it, or a later one, is stepped, or weights are
  // set or loaded; each open round takes the memory of its pass. Called twice
  // for a round, it draws the same latents, and the second pass counts.
  //
  // `labels`, of each batch, are the counts in whose proportions its labels are
  // drawn, the same in step(), which then weighs its samples by
  // common/merge/class_factors.h; empty: each class is as likely.
  // REQUIRES: empty, or k times the counts of all classes, none all 0; their
  // sum fits.
  //
  // Several rounds may be open. What is generated while an older round is open
  // comes from the weights before that round's step. Its own step takes the
  // feedback for that on the images which the same latents give with the
  // weights of the moment, and passes them through the generator once more.
  std::vector<GeneratedBatch> generate(
      Round round, std::span<const ClassCounts> labels = {});

  // Merges the feedback for each batch by the spec's rule
  // (common/merge/rules.h) in the order given (the caller sorts by peer),
  // divides by the number of contributions, back-propagates once through all k
  // batches, steps Adam and the moving average. Fails with kDiverged when the
  // generator would become non-finite, or a norm on the way overflows float32;
  // it is then unchanged. Either way this round and those before it are no
  // longer open. REQUIRES: the round is open; at least one contribution.
  Result<StepReport> step(Round round,
                          std::span<const Contribution> contributions);

  // Generators travel as flat weights [W] on the CPU: the parameters, then the
  // buffers of floating point. This is W.
  std::size_t weight_count() const;
  // Copies the weights. REQUIRES, here and below: spans have weight_count()
  // values.
  void copy_weights(std::span<float> out) const;
  // Replaces the weights after `steps` rounds of training elsewhere; the moving
  // average follows by as many steps, the optimiser stays as it is.
  void set_weights(std::span<const float> weights, std::uint64_t steps);
  // Writes the gradient that step() would step against, and the buffers as
  // step() would leave them. Fails and requires like step().
  Result<void> gradient(Round round,
                        std::span<const Contribution> contributions,
                        std::span<float> out);
  // The second half of step(), for such a gradient. Fails like step().
  Result<void> apply_gradient(Round round, std::span<const float> gradient);

  // Images [count, c, h, w] float32 in [-1, 1] from latents that depend on
  // (seed, Purpose::kSampleGrid) alone; uses the moving average when there is
  // one. `classes` gives each image's class and is ignored by an unconditional
  // model; when empty, classes follow each other (i mod classes). Throws
  // std::runtime_error for a class that does not exist.
  // REQUIRES: classes is empty or has `count` values.
  Blob sample(std::uint32_t count, std::span<const std::int32_t> classes,
              std::uint64_t seed) const;

  // Returns a sampler that draws what sample() would draw now, whatever
  // training does later. `reused`, an earlier one of this trainer's, saves
  // making another.
  std::unique_ptr<Sampler> sampler(
      std::unique_ptr<Sampler> reused = nullptr) const;

  // Everything that training needs to go on, copied: "generator.*", "ema.*",
  // "adam.first_moment", "adam.second_moment" [P], "adam.steps" [1] int64.
  // Always the state after the last step(): when the next round's batches have
  // been generated already, buffers (batch normalisation's running statistics)
  // are given as they were before that forward pass, so that a resumed run,
  // which generates them again, equals an uninterrupted one bit for bit. For
  // the same reason generate() of the same round twice starts from those
  // buffers. The part after "generator." / "ema." is PyTorch's parameter name.
  std::vector<NamedBlob> snapshot() const;
  // Restores a snapshot. Fails with kCheckpoint, naming the tensor that does
  // not fit; nothing is then changed.
  Result<void> load(std::span<const NamedBlob> state);

  std::uint64_t parameter_count() const;

 private:
  struct Impl;
  explicit GeneratorTrainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
