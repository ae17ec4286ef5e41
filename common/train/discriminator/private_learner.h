// Trains a discriminator with differential privacy for its shard: each step is
// charged to the shard's ledger before it is taken. LibTorch is in the source.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/privacy/ledger_book.h"
#include "common/privacy/secret_random.h"

namespace mdgan {

class TrainedDiscriminator;

class PrivateLearner {
 public:
  // `run_label` says which label of the run each of the data's is. All but
  // `privacy` must outlive this. Fails with kConfiguration where the run would
  // bypass the noise, and as LedgerFile::open().
  static Result<std::unique_ptr<PrivateLearner>> create(
      TrainedDiscriminator& d, const LedgerBook& privacy, const Dataset& data,
      const std::vector<std::uint32_t>& shard,
      const std::vector<std::int32_t>& run_label);

  // Takes one step on the generated images x [b, c, h, w] and y [b] (undefined
  // if unconditional), on the model's device, and on real images drawn from the
  // shard; or leaves D as it is, if the step cannot be charged. Returns D's
  // loss on the generated images, before the step.
  double step(const torch::Tensor& x, const torch::Tensor& y);

  PrivacySpent spent() const { return ledger_->spent(); }

 private:
  PrivateLearner(TrainedDiscriminator& d, const PrivacySpec& privacy,
                 std::unique_ptr<LedgerFile> ledger, const Dataset& data,
                 const std::vector<std::uint32_t>& shard,
                 const std::vector<std::int32_t>& run_label);

  TrainedDiscriminator& d_;
  const PrivacySpec privacy_;
  const std::unique_ptr<LedgerFile> ledger_;
  const Dataset& data_;
  const std::vector<std::uint32_t>& shard_;
  const std::vector<std::int32_t>& run_label_;
  SecretRandom random_;
};

}  // namespace mdgan
