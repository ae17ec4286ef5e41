// Images of a generator, turned into features as they are drawn: no more than
// a few hundred of them are kept at a time.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/evaluate/feature_extractor.h"
#include "server/evaluate/evaluation_record.h"

namespace mdgan {

class Sampler;

// The features of `count` images; make(first, n) gives n of them, [n, c, h, w]
// uint8. Adds the time that each part took to `seconds`.
Features extract_features(
    FeatureExtractor& extractor, std::uint32_t count,
    const std::function<Blob(std::uint32_t first, std::uint32_t n)>& make,
    EvaluationRecord::Seconds& seconds);

// Of `samples` images of the generator, which depend on the seed alone.
Features generated_features(FeatureExtractor& extractor,
                            const Sampler& generator, std::uint32_t samples,
                            std::uint64_t seed,
                            EvaluationRecord::Seconds& seconds);

// Adds the time since `start` to `sum`, and sets `start` to now.
void lap(TimePoint& start, double& sum);

// What LibTorch's failure on such images most likely means.
Error not_measured(const char* which, const std::exception& why);

}  // namespace mdgan
