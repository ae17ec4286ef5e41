#include "common/options/privacy_options.h"

namespace mdgan {

OptionGroup privacy_group(PrivacySpec* privacy) {
  return {
      "Differential privacy",
      {{"dp", one_of(&privacy->mode, kDpModeNames), "WHERE",
        "Where noise is added, so that what leaves a peer tells little of any "
        "one of its images. none: nowhere. discriminator: to the gradients of "
        "its discriminator by real images (DP-SGD). Sampling and noise come "
        "from the system, not from the seed: the run cannot be repeated."},
       {"dp-epsilon",
        &privacy->epsilon,
        "EPSILON",
        "The budget: at most so much may be told of an image, over all runs "
        "with the same state folder. Once it is spent the discriminator stays "
        "as it is.",
        {0.001, 1000}},
       {"dp-delta",
        &privacy->delta,
        "DELTA",
        "The probability with which the budget may not hold; far below one "
        "over the number of a peer's images.",
        {1e-15, 0.1}},
       {"dp-clip",
        &privacy->clip,
        "C",
        "The length to which each image's gradient is clipped.",
        {1e-6, 1e6}},
       {"dp-noise",
        &privacy->noise,
        "SIGMA",
        "The noise's standard deviation, in units of C. More noise spends "
        "less of the budget a step.",
        {0.1, 1000}}}};
}

}  // namespace mdgan
