// The images that a site holds out, and what measures generators by them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/tensor/blob.h"
#include "peer/options.h"

namespace mdgan {

struct HeldOut {
  std::shared_ptr<const Dataset> images;  // null: none were asked for
  Shards shards;                          // of them, as data is cut
  Blob classifier;                        // the file's bytes, uint8 [m]
};

// What --evaluate-data and --evaluate-classifier name, for peers that train on
// images of this shape. Fails like load_dataset(); with kData also where the
// images are those that the peer trains on, have another shape, or are fewer
// than kFewestHeldOut for one of the peers; and with kConfiguration where the
// classifier cannot be read.
Result<HeldOut> hold_out(const PeerOptions& options,
                         const ImageShape& trained_on,
                         const std::string& hostname);

}  // namespace mdgan
