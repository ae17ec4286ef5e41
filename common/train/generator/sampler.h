// A generator that only draws images: the one in training, or a copy of it for
// another thread to draw with while training goes on.
//
// Threads: one call at a time; the caller may change threads between calls.
// Failures of LibTorch, such as no memory, throw a standard exception.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "common/tensor/blob.h"
#include "common/train/generator/generator_trainer.h"

namespace mdgan {

class Generator;  // common/models/model.h
class Random;

class Sampler {
 public:
  // Draws with `model` itself, whoever else changes it between calls.
  Sampler(const GeneratorSpec& spec, std::shared_ptr<Generator> model);

  const ImageShape& image() const { return spec_.image; }

  // Takes over the values of `other`. REQUIRES: the same architecture.
  void copy(const Generator& other);

  // Batch `number` of those that generators are measured on: images `first` to
  // `first + count - 1`, whose latents depend on (seed, Purpose::kEvaluation,
  // number) alone. Classes follow each other, as in sample().
  Blob evaluation_batch(std::uint32_t number, std::uint32_t first,
                        std::uint32_t count, std::uint64_t seed) const;

  // As GeneratorTrainer::sample().
  Blob sample(std::uint32_t count, std::span<const std::int32_t> classes,
              std::uint64_t seed) const;

 private:
  Blob draw(std::uint32_t count, std::span<const std::int32_t> classes,
            Random random) const;

  GeneratorSpec spec_;
  std::shared_ptr<Generator> model_;
};

}  // namespace mdgan
