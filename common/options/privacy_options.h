// The options of both programs that say what may be told of an image.
#pragma once

#include "common/base/result.h"
#include "common/options/options_parser.h"
#include "common/privacy/privacy_spec.h"

namespace mdgan {

// `privacy` must outlive the group.
OptionGroup privacy_group(PrivacySpec* privacy);

}  // namespace mdgan
