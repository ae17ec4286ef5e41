// What a site is asked to measure a generator by. No LibTorch.
#pragma once

#include <cstdint>
#include <vector>

#include "common/files/hash.h"
#include "common/tensor/blob.h"
#include "protocol/messages.h"

namespace mdgan {

// Values of an image's features: a classifier's (classifier.h).
inline constexpr std::uint64_t kClassifierFeatures = 128;

// Features of generated images, and what of precision and recall depends on
// them alone.
struct GeneratedFeatures {
  Blob values;  // [n, f] float32
  Blob radii;   // [n] float32: neighbour_radii()
};

// What a site is to measure, and with what.
struct SiteQuestion {
  Sha256 classifier{};  // of the file that gave the features
  GeneratedFeatures generated;
};

// Whether tensors with these shapes can be a question's: bounds the memory that
// one takes.
bool is_site_question(const std::vector<protocol::TensorMeta>& tensors);

}  // namespace mdgan
