// A generator that only draws images: the one in training, or a copy of it for
// another thread to draw with while training goes on. Pure interface.
//
// Threads: one call at a time; the caller may change threads between calls.
// A failure of the arithmetic, such as no memory, throws a standard exception.
#pragma once

#include <cstdint>
#include <span>

#include "common/tensor/blob.h"
#include "protocol/training_spec.h"

namespace mdgan {

class Sampler {
 public:
  virtual ~Sampler() = default;
  Sampler() = default;
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  virtual const ImageShape& image() const = 0;

  // Batch `number` of those that generators are measured on: images `first` to
  // `first + count - 1`, [count, c, h, w] float32 in [-1, 1], whose latents
  // depend on (seed, Purpose::kEvaluation, number) alone. Classes follow each
  // other, as in sample().
  virtual Blob evaluation_batch(std::uint32_t number, std::uint32_t first,
                                std::uint32_t count,
                                std::uint64_t seed) const = 0;

  // Images [count, c, h, w] float32 in [-1, 1] from latents that depend on
  // (seed, Purpose::kSampleGrid) alone. `classes` gives each image's class and
  // is ignored by an unconditional model; when empty, classes follow each other
  // (i mod classes). Throws std::runtime_error for a class that does not exist.
  // REQUIRES: classes is empty or has `count` values.
  virtual Blob sample(std::uint32_t count,
                      std::span<const std::int32_t> classes,
                      std::uint64_t seed) const = 0;
};

}  // namespace mdgan
