#include "common/privacy/private_run.h"

#include <spdlog/fmt/fmt.h>

#include <string>

#include "protocol/algorithm.h"

namespace mdgan {
namespace {

Error refused(const std::string& why) {
  return {"this peer has dp = discriminator, and the run " + why,
          ExitCode::kConfiguration};
}

}  // namespace

Result<void> check_private(const TrainingSpec& spec, const PrivacySpec& privacy,
                           std::size_t images) {
  if (spec.algorithm != Algorithm::kMdGan)
    return refused(
        fmt::format("trains with {}, which has no noise: train with md-gan",
                    name_of(kAlgorithmNames, spec.algorithm)));
  if (spec.loss != Loss::kNonSaturating && spec.loss != Loss::kSaturating &&
      spec.loss != Loss::kHinge)
    return refused(fmt::format(
        "has the loss {}, which uses real images without noise (in a penalty "
        "or in the feedback): choose non-saturating, saturating or hinge",
        name_of(kLossNames, spec.loss)));
  if (spec.r1_gamma > 0)
    return refused(
        "has a penalty on real images (r1): leave it out; r2, on generated "
        "ones, costs no privacy");
  if (spec.augment != Augment::kNone && spec.augment != Augment::kDiffAugment)
    return refused(
        fmt::format("changes images by {}, which goes by what the "
                    "discriminator says of real ones, without noise: choose "
                    "none or diffaugment",
                    name_of(kAugmentNames, spec.augment)));
  if (privacy.delta * static_cast<double>(images) >= 1)
    return refused(fmt::format(
        "would train on {} images, of which delta = {:g} allows to publish "
        "one: give a --dp-delta far below {:g}",
        images, privacy.delta, 1.0 / static_cast<double>(images)));
  return {};
}

}  // namespace mdgan
