#pragma once

#include "common/tensor/blob.h"

namespace mdgan {

// A batch of generated images, which a peer's discriminator learns from.
struct GeneratedBatch {
  Blob images;  // [b, c, h, w] float32 in [-1, 1]
  Blob labels;  // [b] int32; empty when unconditional
};

}  // namespace mdgan
