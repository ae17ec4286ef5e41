// The generated batches of a peer's last rounds, which its discriminator is
// trained on again (PROTOCOL.md, section 7). No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "common/base/ids.h"
#include "common/tensor/blob.h"
#include "common/train/generated_batch.h"
#include "protocol/training_spec.h"

namespace mdgan {

class ReplayHistory {
 public:
  // REQUIRES: spec.local_steps is at least 1. `spec` must outlive this.
  explicit ReplayHistory(const TrainingSpec& spec) : spec_(spec) {}

  // Whether the run replays at all; if not, nothing is ever kept.
  bool is_kept() const { return spec_.replay && spec_.local_steps > 1; }

  // Keeps the round's batch in place of this round's and later ones' (a round
  // that was lost on the way is done again); of more than L the oldest goes.
  // REQUIRES: is_kept().
  void add(Round round, GeneratedBatch batch);
  // The batch of the step-th of a round's L steps, whose last is the newest. At
  // first there are fewer than steps: the oldest then serves for several.
  // REQUIRES: add() was called; step < L.
  const GeneratedBatch& of_step(std::uint32_t step) const;
  void clear() { batches_.clear(); }

  // The tensors for a checkpoint: "replay.images" [n, b, c, h, w] float32,
  // oldest first, and of a conditional model "replay.labels" [n, b] int32;
  // nothing when nothing is kept.
  std::vector<NamedBlob> saved() const;
  // Restores saved(). Tensors that do not fit this run leave the history empty;
  // of more than L batches the newest are taken.
  void load(const std::vector<NamedBlob>& tensors);

 private:
  struct Kept {
    GeneratedBatch batch;
    Round round;  // 0 if it comes from a checkpoint
  };
  bool conditional() const { return spec_.condition != Condition::kNone; }

  const TrainingSpec& spec_;
  std::deque<Kept> batches_;  // of the last L rounds, oldest first
};

}  // namespace mdgan
