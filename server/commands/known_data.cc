#include "server/commands/known_data.h"

#include <spdlog/fmt/fmt.h>

#include <optional>
#include <string>
#include <utility>

#include "common/base/alike_names.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

Error does_not_fit(std::string message) {
  return {std::move(message), ExitCode::kConfiguration};
}

bool same_size(const ImageShape& a, const ImageShape& b) {
  return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

Result<std::optional<ImageShape>> known_image(const ServerOptions& options,
                                              const Dataset* data,
                                              const RunState& state) {
  const bool has_size = options.image.values() > 0;
  std::optional<ImageShape> image = state.image;
  std::string whose = "the run's checkpoint";
  if (!image && data != nullptr) {
    image = data->shape;
    whose = "the data in " + options.data;
  }
  if (!image && has_size) image = options.image;
  if (!image) return image;
  if (has_size && !same_size(options.image, *image))
    return does_not_fit("the image size of the configuration is not that of " +
                        whose +
                        ": leave out image, or bring the images to it with "
                        "--size HxW, --fit and --channels");
  if (data != nullptr && !same_size(data->shape, *image))
    return does_not_fit("the images in " + options.data +
                        " have not the size of the run's: give the run's own "
                        "data with --data");
  return image;
}

// In a run whose model uses labels.
Result<ClassNames> known_classes(const ServerOptions& options,
                                 const Dataset* data, const RunState& state) {
  ClassNames classes = state.classes;
  if (classes.empty() && state.image) {
    // Its checkpoint is of before classes had names.
    classes = numbered_classes(state.image->classes);
    if (options.classes.size() == classes.size()) classes = options.classes;
  }
  if (!options.classes.empty() && !classes.empty() &&
      options.classes != classes)
    return does_not_fit(fmt::format(
        "classes is {}, and this run's are {}: leave out classes, or begin "
        "another run",
        listed(options.classes), listed(classes)));
  if (classes.empty()) classes = options.classes;
  if (data == nullptr) return classes;
  if (data->class_names.empty())
    return does_not_fit(
        fmt::format("the images in {} have no labels, and condition = {} uses "
                    "them: give labelled images, such as a folder for each "
                    "class, or condition = none",
                    options.data, name_of(kConditionNames, options.condition)));
  if (classes.empty()) {
    if (const std::string defect = defect_of(data->class_names);
        !defect.empty())
      return does_not_fit(fmt::format("the classes in {} cannot be told: {}",
                                      options.data, defect));
    if (const auto alike = first_alike(data->class_names))
      return does_not_fit(
          fmt::format("{} has the classes '{}' and '{}', which differ by case, "
                      "blanks or how accents are stored "
                      "only: make one of them, or name both in classes =",
                      options.data, alike->first, alike->second));
    classes = data->class_names;
  }
  if (const auto stranger = first_not_in(data->class_names, classes))
    return does_not_fit(fmt::format(
        "{} has the class '{}', which is none of this run's ({}): take it out "
        "of the data, or begin a run whose classes = has it",
        options.data, protocol::presentable(*stranger), listed(classes)));
  if (const auto stranger = first_not_in(data->empty_classes, classes))
    return does_not_fit(fmt::format(
        "the class folder '{}' in {} has no images: add some, remove the "
        "folder, or name it in classes =",
        protocol::presentable(*stranger), options.data));
  return classes;
}

}  // namespace

Result<KnownData> known_data(const ServerOptions& options, const Dataset* data,
                             const RunState& state) {
  auto image = known_image(options, data, state);
  if (!image) return image.error();
  KnownData known{*image, {}};
  if (options.condition != Condition::kNone) {
    auto classes = known_classes(options, data, state);
    if (!classes) return classes.error();
    known.classes = std::move(*classes);
  }
  if (known.image)
    known.image->classes = static_cast<std::uint32_t>(known.classes.size());
  return known;
}

}  // namespace mdgan
