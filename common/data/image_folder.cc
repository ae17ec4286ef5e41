#include "common/data/image_folder.h"

#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/words.h"
#include "common/data/folder_plan.h"
#include "common/data/image_file.h"
#include "common/data/image_fit.h"
#include "common/data/shown.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

// Repeats each grey plane three times.
std::vector<std::uint8_t> grey_to_rgb(const std::vector<std::uint8_t>& grey,
                                      std::size_t area) {
  std::vector<std::uint8_t> rgb;
  rgb.reserve(3 * grey.size());
  for (std::size_t at = 0; at < grey.size(); at += area)
    for (int c = 0; c < 3; ++c) {
      const auto* first = grey.data() + at;
      rgb.insert(rgb.end(), first, first + area);
    }
  return rgb;
}

void widen(std::optional<Range16>& all, const std::optional<Range16>& one) {
  if (!one) return;
  if (!all) all = one;
  all->lowest = std::min(all->lowest, one->lowest);
  all->highest = std::max(all->highest, one->highest);
}

// Scanners store 10 or 12 bits in 16, unscaled: black pictures.
void warn_of_dark_values(const fs::path& directory,
                         const std::optional<Range16>& range) {
  constexpr std::uint16_t kHalf = 0x8000;
  if (range && range->highest < kHalf)
    spdlog::warn(
        "{}: the values of its 16-bit images lie in [{}, {}], and 65535 is "
        "white: these images are dark; if they hold fewer bits, scale their "
        "values up to 65535",
        shown(directory), range->lowest, range->highest);
}

// The files of a folder that cannot be read or have another size: all of them
// at once, so that a person mends a folder once and not file by file.
struct Faults {
  static constexpr std::size_t kShown = 20;
  std::vector<std::string> messages;  // the first kShown
  std::size_t unreadable = 0;
  std::size_t other_sizes = 0;
  std::size_t count() const { return unreadable + other_sizes; }
  void add(std::string message) {
    if (messages.size() < kShown) messages.push_back(std::move(message));
  }
};

// Says by which options the user can go on despite the faults, to be appended
// to their list; empty if only mending the files helps.
std::string way_out(const Faults& faults, bool skip_bad) {
  std::vector<std::string_view> ways;
  if (faults.unreadable > 0 && !skip_bad)
    ways.push_back("--skip-bad leaves out files that cannot be read");
  if (faults.other_sizes > 0)
    ways.push_back(
        "--size HxW with --fit crop or --fit pad brings images to one size");
  if (ways.empty()) return {};
  return fmt::format("{}{}", faults.count() == 1 ? "; " : "\n",
                     fmt::join(ways, "; "));
}

Error error_of(const fs::path& directory, const Faults& faults,
               std::size_t images, bool skip_bad) {
  const std::string end = way_out(faults, skip_bad);
  if (faults.count() == 1) return {faults.messages[0] + end, ExitCode::kData};
  std::string text =
      fmt::format("{} of {} images cannot be used:\n  {}", faults.count(),
                  images, fmt::join(faults.messages, "\n  "));
  if (faults.count() > faults.messages.size())
    text +=
        fmt::format("\n  and {} more", faults.count() - faults.messages.size());
  return bad_data(directory, text + end);
}

// What a person may have meant to be part of the data is warned of.
void tell_of_what_is_left_out(const fs::path& directory,
                              const FolderPlan& plan) {
  if (plan.others > 0)
    spdlog::info("{}: {} that {} no images left out", shown(directory),
                 plural(plan.others, "file"), plan.others == 1 ? "is" : "are");
  if (!plan.unread.empty())
    spdlog::warn(
        "{}: {} no images, but other files, as {}: make PNG, JPEG, WebP or "
        "TIFF files of them, or take {} out",
        shown(directory),
        plan.unread.size() == 1
            ? "a class has"
            : fmt::format("{} classes have", plan.unread.size()),
        shown(plan.unread.front()), plan.unread.size() == 1 ? "it" : "them");
  if (!plan.passed_over.empty())
    spdlog::warn(
        "{}: {} beside images {} passed over with all that is in {}, as {}",
        shown(directory), plural(plan.passed_over.size(), "folder"),
        plan.passed_over.size() == 1 ? "is" : "are",
        plan.passed_over.size() == 1 ? "it" : "them",
        shown(plan.passed_over.front()));
  if (!plan.empty_classes.empty())
    spdlog::info("{}: no images in the class folders {}", shown(directory),
                 protocol::presentable(listed(plan.empty_classes)));
}

class Loader {
 public:
  // `images`: how many there are.
  Loader(const fs::path& directory, const ImageReading& reading,
         std::size_t images)
      : directory_(directory), reading_(reading), images_(images) {
    data_.shape.channels = reading.channels;
    data_.shape.height = reading.height;
    data_.shape.width = reading.width;
  }

  // An image of class `label`; -1: there are no classes.
  void add(const fs::path& path, std::int32_t label) {
    Result<Image> image = read_image(path);
    if (!image) return leave_out(path, image.error());
    widen(range_, image->range16);
    if (has_size(*image, reading_) || reading_.fit != Fit::kError)
      fit_image(*image, reading_);
    if (!is_of_size(*image, path)) return;
    append(*image);
    if (label >= 0) data_.labels.push_back(label);
  }

  // The data set of all the plan's images.
  Result<Dataset> finish(FolderPlan plan) {
    const bool nothing_left = reading_.skip_bad && data_.size() == 0;
    if (faults_.other_sizes > 0 || nothing_left ||
        (faults_.unreadable > 0 && !reading_.skip_bad))
      return error_of(directory_, faults_, images_, reading_.skip_bad);
    if (faults_.unreadable > 0) {
      if (auto empty = check_classes(plan); !empty) return empty.error();
      warn_of_skipped();
    }
    warn_of_dark_values(directory_, range_);
    data_.shape.classes = static_cast<std::uint32_t>(plan.class_names.size());
    data_.class_names = std::move(plan.class_names);
    data_.empty_classes = std::move(plan.empty_classes);
    return std::move(data_);
  }

 private:
  void leave_out(const fs::path& path, const Error& error) {
    constexpr std::size_t kNamed = 3;
    ++faults_.unreadable;
    faults_.add(protocol::presentable(error.message));
    if (skipped_.size() < kNamed)
      skipped_.push_back(shown(path.lexically_relative(directory_)));
  }

  // The first image decides on the size where none is asked for.
  bool is_of_size(const Image& image, const fs::path& path) {
    ImageShape& shape = data_.shape;
    if (first_.empty()) {
      first_ = path;
      if (shape.channels == 0) shape.channels = image.channels;
      if (!reading_.has_size()) {
        shape.height = image.height;
        shape.width = image.width;
      }
      data_.pixels.reserve(images_ * shape.values());
    }
    if (image.height == shape.height && image.width == shape.width) return true;
    ++faults_.other_sizes;
    faults_.add(
        fmt::format("{}: is {}x{} (height x width), but {} {}x{}", shown(path),
                    image.height, image.width,
                    reading_.has_size() ? "--size is" : shown(first_) + " is",
                    shape.height, shape.width));
    return false;
  }

  void append(Image& image) {
    ImageShape& shape = data_.shape;
    const std::size_t area = std::size_t{shape.height} * shape.width;
    if (image.channels > shape.channels) {
      data_.pixels = grey_to_rgb(data_.pixels, area);
      shape.channels = image.channels;
    } else if (image.channels < shape.channels) {
      image.pixels = grey_to_rgb(image.pixels, area);
    }
    data_.pixels.insert(data_.pixels.end(), image.pixels.begin(),
                        image.pixels.end());
  }

  Result<void> check_classes(const FolderPlan& plan) const {
    std::vector<std::size_t> left(plan.class_names.size());
    for (const std::int32_t label : data_.labels)
      ++left[static_cast<std::size_t>(label)];
    for (std::size_t i = 0; i < plan.images.size() && !left.empty(); ++i)
      if (left[static_cast<std::size_t>(plan.labels[i])] == 0)
        return bad_data(
            plan.images[i].parent_path(),
            "none of the images of this class can be read; mend some or "
            "remove the folder");
    return {};
  }

  void warn_of_skipped() const {
    spdlog::warn("{}: {} of {} images cannot be read and are left out: {}{}",
                 shown(directory_), faults_.unreadable, images_,
                 fmt::join(skipped_, ", "),
                 faults_.unreadable > skipped_.size() ? ", ..." : "");
  }

  const fs::path& directory_;
  const ImageReading& reading_;
  std::size_t images_;
  Dataset data_;
  fs::path first_;
  std::optional<Range16> range_;
  Faults faults_;
  std::vector<std::string> skipped_;  // the first names
};

}  // namespace

Result<Dataset> load_image_folder(const fs::path& directory, DataPart part,
                                  const ImageReading& reading) {
  Result<FolderPlan> plan = plan_folder(directory, part);
  if (!plan) return plan.error();
  tell_of_what_is_left_out(directory, *plan);
  Loader loader(directory, reading, plan->images.size());
  for (std::size_t i = 0; i < plan->images.size(); ++i)
    loader.add(plan->images[i], plan->labels.empty() ? -1 : plan->labels[i]);
  return loader.finish(std::move(*plan));
}

}  // namespace mdgan
