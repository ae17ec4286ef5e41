#pragma once

#include "common/tensor/blob.h"

namespace mdgan {

// What the generator makes for peers, and what a discriminator learns from.
struct GeneratedBatch {
  Blob images;  // [b, c, h, w] float32 in [-1, 1]
  Blob labels;  // [b] int32; empty when unconditional
};

}  // namespace mdgan
