#include "protocol/training_rules.h"

#include "protocol/algorithm.h"

namespace mdgan {

std::string conflict_of(const TrainingSpec& spec) {
  if (spec.augment != Augment::kAda) return "";
  // A constant that is added to all logits changes neither of these losses.
  if (spec.loss == Loss::kWassersteinGp || spec.loss == Loss::kRelativistic)
    return "augment = ada goes by the sign of the discriminator's logits on "
           "real "
           "images, which means nothing with loss = " +
           std::string(name_of(kLossNames, spec.loss)) +
           ": give --augment diffaugment, or --loss non-saturating";
  if (spec.algorithm == Algorithm::kDataParallel)
    return "augment = ada counts the steps of a peer's own discriminator, and "
           "with algorithm = data-parallel peers take none: give --augment "
           "diffaugment";
  return "";
}

}  // namespace mdgan
