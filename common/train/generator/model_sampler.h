// The Sampler that draws with a LibTorch model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "common/train/generator/generator_trainer.h"
#include "common/train/generator/sampler.h"

namespace mdgan {

class Generator;  // common/models/model.h
class Random;

class ModelSampler final : public Sampler {
 public:
  // Draws with `model` itself, whoever else changes it between calls.
  ModelSampler(const GeneratorSpec& spec, std::shared_ptr<Generator> model);

  // Takes over the values of `other`. REQUIRES: the same architecture.
  void copy(const Generator& other);

  const ImageShape& image() const override { return spec_.image; }
  Blob evaluation_batch(std::uint32_t number, std::uint32_t first,
                        std::uint32_t count, std::uint64_t seed) const override;
  Blob sample(std::uint32_t count, std::span<const std::int32_t> classes,
              std::uint64_t seed) const override;

 private:
  Blob draw(std::uint32_t count, std::span<const std::int32_t> classes,
            Random random) const;

  GeneratorSpec spec_;
  std::shared_ptr<Generator> model_;
};

}  // namespace mdgan
