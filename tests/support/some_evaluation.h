// The record of an evaluation, for tests of what becomes of it.
#pragma once

#include <cstdint>

#include "server/evaluate/evaluation_record.h"

namespace mdgan::test {

inline EvaluationRecord some_evaluation(std::uint64_t round) {
  EvaluationRecord record;
  record.round = round;
  record.samples = 10'000;
  record.real_images = 9000;
  record.features = "a network";
  record.frechet_distance = 88.125;
  record.kernel_distance_mean = 0.5;
  record.precision = 0.25;
  record.seconds.kernel = 1.5;
  return record;
}

}  // namespace mdgan::test
