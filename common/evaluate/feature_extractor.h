// Feature extractors turn images into the features that the metrics compare.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/tensor/blob.h"

namespace mdgan {

struct Features {
  Blob values;         // [n, f] float32
  Blob probabilities;  // [n, classes] float32; empty: it knows no classes
};

// Threads: one call at a time.
class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;

  // The features of images [n, c, h, w] uint8. A failure throws a standard
  // exception.
  virtual Features extract(const Blob& images) = 0;

  // A description for people: the network, its accuracy and a hash. Two
  // evaluations can be compared only if their extractors' names are equal.
  virtual std::string name() const = 0;
};

// A network from a file: a TorchScript module that takes images as uint8
// [n, 3, h, w] (grey ones repeated) and resizes them itself, and returns
// features [n, f]; or a pair of them and logits [n, classes]. When its
// forward() has an argument `return_features`, that is true: the Inception-v3
// that the StyleGAN repositories publish as inception-2015-12-05.pt. Fails with
// kConfiguration when it cannot be loaded.
Result<std::unique_ptr<FeatureExtractor>> load_script(
    const std::filesystem::path& file, const std::string& device);

}  // namespace mdgan
