#include "common/evaluate/evaluation_data.h"

#include <algorithm>
#include <span>
#include <vector>

#include "common/base/random.h"

namespace mdgan {
namespace {

constexpr std::size_t kFewest = 20;
constexpr std::size_t kHeldOutPart = 10;

std::vector<std::uint32_t> shuffled(const Dataset& data) {
  Random random(0, Purpose::kHeldOut);
  return permutation(static_cast<std::uint32_t>(data.size()), random);
}

}  // namespace

Result<EvaluationData> load_evaluation_data(
    const std::filesystem::path& directory, const ImageReading& reading) {
  auto train = load_dataset(directory, DataPart::kTrain, reading);
  if (!train) return train.error();
  if (has_test_part(directory)) {
    auto test = load_dataset(directory, DataPart::kTest, reading);
    if (!test) return test.error();
    if (test->shape != train->shape)
      return Error{directory.string() +
                       ": the images of its test part have another size or "
                       "number of channels: give --size and --channels",
                   ExitCode::kData};
    if (test->size() >= kFewest)
      return EvaluationData{std::move(*train), std::move(*test)};
  } else if (train->size() >= kFewest) {
    const std::vector<std::uint32_t> order = shuffled(*train);
    const std::size_t held = std::max(kFewest / 2, order.size() / kHeldOutPart);
    const std::span all(order);
    return EvaluationData{subset(*train, all.subspan(held)),
                          subset(*train, all.first(held))};
  }
  return Error{directory.string() + ": has too few images to measure with",
               ExitCode::kData};
}

Dataset pick_images(const Dataset& data, std::size_t count) {
  if (count >= data.size()) return data;
  const std::vector<std::uint32_t> order = shuffled(data);
  return subset(data, std::span(order).first(count));
}

Dataset subset(const Dataset& data, std::span<const std::uint32_t> indices) {
  Dataset part;
  part.shape = data.shape;
  part.class_names = data.class_names;
  const auto values = static_cast<std::ptrdiff_t>(data.shape.values());
  for (const std::uint32_t i : indices) {
    const auto first = data.pixels.begin() + i * values;
    part.pixels.insert(part.pixels.end(), first, first + values);
    if (!data.labels.empty()) part.labels.push_back(data.labels[i]);
  }
  return part;
}

Blob pixels_of(const Dataset& data) {
  const ImageShape& shape = data.shape;
  return {{protocol::DType::kUint8,
           {data.size(), shape.channels, shape.height, shape.width}},
          std::as_bytes(std::span(data.pixels)),
          nullptr};
}

}  // namespace mdgan
