#include "common/train/discriminator/training_inputs.h"

#include <spdlog/fmt/fmt.h>

#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "protocol/clean_text.h"

namespace mdgan {
namespace {

Error data_error(std::string message) {
  return {std::move(message), ExitCode::kData};
}

}  // namespace

protocol::TensorMeta image_meta(const TrainingSpec& spec) {
  return {
      protocol::DType::kFloat32,
      {spec.batch, spec.image.channels, spec.image.height, spec.image.width}};
}

protocol::TensorMeta label_meta(const TrainingSpec& spec) {
  return {protocol::DType::kInt32, {spec.batch}};
}

bool are_labels(const TrainingSpec& spec, const Blob& labels) {
  for (std::size_t at = 0; at < labels.bytes.size();
       at += sizeof(std::int32_t)) {
    std::int32_t label = 0;
    std::memcpy(&label, labels.bytes.data() + at, sizeof label);
    if (label < 0 || label >= static_cast<std::int32_t>(spec.image.classes))
      return false;
  }
  return true;
}

void check_batch(const TrainingSpec& spec, const Blob& images,
                 const Blob& labels) {
  const bool conditional = spec.condition != Condition::kNone;
  if (images.meta != image_meta(spec) ||
      (conditional && labels.meta != label_meta(spec)))
    throw std::runtime_error(
        "a generated batch has another shape than this discriminator's");
  if (conditional && !are_labels(spec, labels))
    throw std::runtime_error(
        "a generated batch has labels that this discriminator has not");
}

void write_image(const Dataset& data, std::size_t index, std::span<float> out) {
  const std::uint8_t* pixels = data.pixels.data() + index * out.size();
  for (float& value : out)
    value = static_cast<float>(*pixels++) / 127.5F - 1.0F;
}

Result<void> check_data(const TrainingSpec& spec, const Dataset& data,
                        std::size_t shard_size) {
  const ImageShape &want = spec.image, &have = data.shape;
  if (want.channels != have.channels || want.height != have.height ||
      want.width != have.width)
    return data_error(fmt::format(
        "the run trains on images of {}x{}x{} (channels x height x width) and "
        "this peer's data set has {}x{}x{}: give the peer the run's kind of "
        "data",
        want.channels, want.height, want.width, have.channels, have.height,
        have.width));
  if (shard_size < spec.batch)
    return data_error(fmt::format(
        "this peer's shard has {} images, fewer than one batch of {}: give it "
        "more data, or use a smaller batch",
        shard_size, spec.batch));
  if (spec.condition == Condition::kNone) return {};
  if (data.labels.size() != data.size())
    return data_error(
        fmt::format("the run's model is conditional ('{}') and this peer's "
                    "data set has no labels: use labelled data",
                    name_of(kConditionNames, spec.condition)));
  if (spec.classes.empty() && have.classes > want.classes)
    return data_error(
        fmt::format("the run has {} classes and this peer's data set {}: give "
                    "the peer the run's kind of data",
                    want.classes, have.classes));
  if (spec.classes.empty()) return {};
  if (data.class_names.size() != have.classes)
    return data_error("this peer's classes have no names, and the run's have");
  if (const auto stranger = first_not_in(data.class_names, spec.classes))
    return data_error(fmt::format(
        "this peer's data set has the class '{}', which is none of the run's "
        "({}): take it out of the data, or begin a run that has it",
        protocol::presentable(*stranger), listed(spec.classes)));
  if (const auto stranger = first_not_in(data.empty_classes, spec.classes))
    return data_error(fmt::format(
        "this peer's class folder '{}' has no images, and it is none of the "
        "run's classes ({}): add some, or remove the folder",
        protocol::presentable(*stranger), listed(spec.classes)));
  return {};
}

std::vector<std::int32_t> run_labels(const TrainingSpec& spec,
                                     const Dataset& data) {
  std::vector<std::int32_t> labels(data.shape.classes);
  std::iota(labels.begin(), labels.end(), 0);
  if (spec.classes.empty()) return labels;
  const auto where = places(data.class_names, spec.classes);
  MDGAN_CHECK(where.size() == labels.size());
  for (std::size_t i = 0; i < where.size(); ++i)
    labels[i] = static_cast<std::int32_t>(where[i].value());
  return labels;
}

}  // namespace mdgan
