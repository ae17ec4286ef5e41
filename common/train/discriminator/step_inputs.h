// What a discriminator sees: a shard's real images and generated ones, drawn,
// changed at random and brought to the device. LibTorch is in the source.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/augment/diff_augment.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/data/dataset.h"
#include "common/tensor/upload_buffer.h"
#include "common/train/generated_batch.h"
#include "protocol/training_spec.h"

namespace mdgan {

class StepInputs {
 public:
  // `spec` must outlive this. REQUIRES: check_data() is content, and the
  // indices are of the data.
  StepInputs(const TrainingSpec& spec, std::shared_ptr<const Dataset> data,
             std::vector<std::uint32_t> shard, PeerId peer,
             torch::Device device);

  // On the device, until the next call: images [n, c, h, w] and labels [n],
  // undefined in an unconditional run.
  struct Images {
    torch::Tensor x, y;
  };

  // The random numbers of a round.
  Random random(Purpose purpose, Round round) const;

  // Of the following, `probability` is that of each change of an image; with 0
  // there are none, and nothing is drawn for them.

  // Of a step, n = 2b: real samples before the generated ones.
  Images of_step(Random& real, Random& changes, const GeneratedBatch& generated,
                 double probability);
  // Of a step that draws its real images itself, n = b.
  Images generated_alone(Random& changes, const GeneratedBatch& generated,
                         double probability);

  // Of the feedback, drawn for this round, n = b; where the loss
  // pairs_images(), n = 2b, with new real samples before the generated ones.
  struct OfFeedback {
    Images images;
    std::vector<Augmentation> changes;  // of the generated ones; empty: none
  };
  OfFeedback of_feedback(Round round, const GeneratedBatch& generated,
                         double probability);

  const std::shared_ptr<const Dataset> data;  // shared by the process's peers
  const std::vector<std::uint32_t> shard;
  const std::vector<std::int32_t> run_label;  // of each label of the data

 private:
  void put_real(Random& random);
  void put_generated(const GeneratedBatch& generated);
  // Changes the images of one half; returns how.
  std::vector<Augmentation> change(std::int64_t which, Random& changes,
                                   double probability);
  Images upload();
  // Generated images on the device: those of the last step, if these are the
  // same.
  Images unchanged(const GeneratedBatch& generated);

  const TrainingSpec& spec_;
  const PeerId peer_;
  const torch::Device device_;
  // Every call reuses this memory, real samples before generated ones.
  UploadBuffer images_;  // [2b, c, h, w] float32
  UploadBuffer labels_;  // [2b] int64; undefined if unconditional
  // The last step's generated images, and what the device has of them; none if
  // they were changed.
  struct Sent {
    GeneratedBatch batch;
    Images images;
  };
  Sent sent_;
};

}  // namespace mdgan
