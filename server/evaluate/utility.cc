#include "server/evaluate/utility.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "common/tensor/quantise.h"

namespace mdgan {
namespace {

constexpr std::uint32_t kUtilityBatch = 500;  // images; bounds the memory
constexpr std::size_t kMostImages = 60'000;

}  // namespace

Result<Utility> measure_utility(const Sampler& generator,
                                const ClassNames& classes,
                                const EvaluationData& data,
                                const ClassifierOptions& options,
                                std::uint64_t seed) {
  const auto refused = [](const char* why) {
    return Error{std::string("no classifier can be trained on the generated "
                             "images: ") +
                     why,
                 ExitCode::kConfiguration};
  };
  if (classes.empty() || generator.image().classes != classes.size())
    return refused(
        "the generator has no classes; train one with --condition projection");
  const ImageShape& shape = data.train.shape;
  const ImageShape& made = generator.image();
  if (std::tuple(made.channels, made.height, made.width) !=
      std::tuple(shape.channels, shape.height, shape.width))
    return refused("they have another size than those of --data");
  // The places of the generator's classes among those of the data.
  const auto in_data = places(classes, data.train.class_names);
  if (std::ranges::none_of(in_data,
                           [](const auto& p) { return p.has_value(); }))
    return refused("the data of --data have none of its classes");

  EvaluationData generated;
  generated.test = data.test;
  Dataset& train = generated.train;
  train.shape = shape;
  train.class_names = data.train.class_names;
  const auto count =
      static_cast<std::uint32_t>(std::min(data.train.size(), kMostImages));
  for (std::uint32_t first = 0; first < count; first += kUtilityBatch) {
    const std::uint32_t n = std::min(kUtilityBatch, count - first);
    const Blob images = images_to_uint8(
        generator.evaluation_batch(first / kUtilityBatch, first, n, seed));
    const auto* pixels =
        reinterpret_cast<const std::uint8_t*>(images.bytes.data());
    for (std::uint32_t i = 0; i < n; ++i) {
      const auto& place = in_data[(first + i) % classes.size()];
      if (!place) continue;
      const std::uint8_t* image = pixels + i * shape.values();
      train.pixels.insert(train.pixels.end(), image, image + shape.values());
      train.labels.push_back(static_cast<std::int32_t>(*place));
    }
  }
  ClassifierOptions anew = options;
  anew.cache.clear();  // a generator is measured once
  const auto on_generated = Classifier::obtain(generated, anew);
  if (!on_generated) return on_generated.error();
  const auto on_real = Classifier::obtain(data, options);
  if (!on_real) return on_real.error();
  return Utility{(*on_generated)->accuracy(), (*on_real)->accuracy(),
                 static_cast<std::uint32_t>(train.size())};
}

}  // namespace mdgan
