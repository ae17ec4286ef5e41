// Float32 tensors in fewer bytes, and back: the arithmetic of PROTOCOL.md,
// "Codecs". No LibTorch. Every result is the same, bit for bit, on every
// processor. REQUIRES of all blobs: the dtype named, as many bytes as the dims
// say, aligned for their type (as channel.h receives them).
#pragma once

#include <cstdint>
#include <span>

#include "common/tensor/blob.h"

namespace mdgan {

// Images in [-1, 1] as the bytes they came from, round((x + 1) * 127.5); what
// lies outside is clamped and NaN becomes 0. float32 -> uint8.
Blob images_to_uint8(const Blob& images);
// v / 127.5 - 1, as for real images: within 1/255 of what was packed.
Blob images_from_uint8(const Blob& bytes);

// Rounds to the nearest bfloat16, ties to even: within 2^-8 of a normal
// number's magnitude. Infinity stays, NaN stays NaN, and what is beyond
// bfloat16's largest number becomes infinite. float32 -> bfloat16.
Blob to_bfloat16(const Blob& values);
Blob from_bfloat16(const Blob& values);  // exact

// Samples whose values are `scale * v`, with a scale for each sample.
struct ScaledInt8 {
  Blob values;  // [b, ...] int8 in -127..127
  Blob scales;  // [b] float32: the largest magnitude in the sample / 127
};

// Samples [b, ...] float32, rounded at random up or down so that the
// expectation is the value itself (stochastic rounding); each is off by less
// than its sample's scale. `key` and a value's place decide: the same key gives
// the same result. A sample that is smaller than 2e-36 throughout becomes zeros
// with scale 0; one that is not finite gets the scale NaN, for the receiver to
// refuse. REQUIRES: rank of at least 1.
ScaledInt8 to_int8(const Blob& samples, std::uint64_t key);

// sum[i] += what values[i] stands for. `values` are float32, bfloat16, or int8
// with their `scales`. REQUIRES: as many values as sums.
void add_to(std::span<float> sum, const Blob& values, const Blob& scales = {});

}  // namespace mdgan
