#include "server/evaluate/generated_features.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "common/tensor/quantise.h"
#include "common/train/generator/sampler.h"

namespace mdgan {
namespace {

constexpr std::uint32_t kBatch = 500;  // images; bounds the memory

// Blobs [n_i, width] as one [sum of n_i, width].
Blob concatenate(const std::vector<Blob>& parts) {
  protocol::TensorMeta meta = parts.front().meta;
  meta.dims[0] = 0;
  for (const Blob& part : parts) meta.dims[0] += part.meta.dims[0];
  NewBlob all = make_blob(meta);
  std::size_t at = 0;
  for (const Blob& part : parts) {
    std::memcpy(all.bytes.data() + at, part.bytes.data(), part.bytes.size());
    at += part.bytes.size();
  }
  return all.blob;
}

}  // namespace

void lap(TimePoint& start, double& sum) {
  const auto now = Clock::now();
  sum += std::chrono::duration<double>(now - start).count();
  start = now;
}

Features extract_features(
    FeatureExtractor& extractor, std::uint32_t count,
    const std::function<Blob(std::uint32_t, std::uint32_t)>& make,
    EvaluationRecord::Seconds& seconds) {
  std::vector<Blob> values;
  std::vector<Blob> probabilities;
  auto start = Clock::now();
  for (std::uint32_t first = 0; first < count; first += kBatch) {
    const Blob images = make(first, std::min(kBatch, count - first));
    lap(start, seconds.generate);
    Features features = extractor.extract(images);
    values.push_back(std::move(features.values));
    if (!features.probabilities.empty())
      probabilities.push_back(std::move(features.probabilities));
    lap(start, seconds.extract);
  }
  Features all{concatenate(values), {}};
  if (!probabilities.empty()) all.probabilities = concatenate(probabilities);
  return all;
}

Features generated_features(FeatureExtractor& extractor,
                            const Sampler& generator, std::uint32_t samples,
                            std::uint64_t seed,
                            EvaluationRecord::Seconds& seconds) {
  return extract_features(
      extractor, samples,
      [&](auto first, auto n) {
        return images_to_uint8(
            generator.evaluation_batch(first / kBatch, first, n, seed));
      },
      seconds);
}

Error not_measured(const char* which, const std::exception& why) {
  return {std::string("the ") + which +
              " images cannot be measured, by data of "
              "another size, say: " +
              why.what(),
          ExitCode::kConfiguration};
}

}  // namespace mdgan
