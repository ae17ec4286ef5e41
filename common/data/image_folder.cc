#include "common/data/image_folder.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/data/image_file.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

Error bad(const fs::path& path, std::string_view what) {
  return {fmt::format("{}: {}", path.string(), what), ExitCode::kData};
}

// What systems put into folders: archives made by a Mac, NAS indices, file
// systems' own; hidden ones, too.
bool is_left_by_system(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') || name == "__MACOSX" || name == "@eaDir" ||
         name == "lost+found" || name == "$RECYCLE.BIN" ||
         name == "System Volume Information";
}

// A folder's entries, sorted.
struct Listing {
  std::vector<fs::path> folders;
  std::vector<fs::path> images;
  std::size_t others = 0;
};

Result<Listing> list(const fs::path& directory) {
  Listing listing;
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end;
       it.increment(code)) {
    const fs::path& path = it->path();
    std::error_code ignored;
    if (is_left_by_system(path)) continue;
    if (it->is_directory(ignored))
      listing.folders.push_back(path);
    else if (is_image_file(path))
      listing.images.push_back(path);
    else
      ++listing.others;
  }
  if (code)
    return bad(directory, fmt::format("cannot be read: {}", code.message()));
  std::ranges::sort(listing.folders);
  std::ranges::sort(listing.images);
  return listing;
}

// The files to read, and what is known before they are read.
struct Plan {
  std::vector<fs::path> images;
  std::vector<std::int32_t> labels;  // empty, or one for each image
  std::vector<std::string> class_names;
  std::size_t others = 0;
};

Result<void> add_class(const fs::path& folder, Plan& plan) {
  Result<Listing> listing = list(folder);
  if (!listing) return listing.error();
  // Tiny ImageNet has CLASS/images/*.
  if (listing->images.empty() && listing->folders.size() == 1 &&
      listing->folders[0].filename() == "images") {
    plan.others += listing->others;
    listing = list(fs::path(listing->folders[0]));
    if (!listing) return listing.error();
  }
  if (listing->images.empty())
    return bad(folder,
               "this class has no images; add some or remove the "
               "folder");
  plan.others += listing->others + listing->folders.size();
  const auto label = static_cast<std::int32_t>(plan.class_names.size());
  plan.class_names.push_back(folder.filename().string());
  for (fs::path& image : listing->images) {
    plan.images.push_back(std::move(image));
    plan.labels.push_back(label);
  }
  return {};
}

Result<Plan> make_plan(const fs::path& directory) {
  Result<Listing> top = list(directory);
  if (!top) return top.error();
  if (top->folders.empty() && top->images.empty())
    return bad(directory,
               "holds no MNIST or CIFAR-10 training files and no "
               "images");
  if (!top->folders.empty() && !top->images.empty())
    return bad(directory,
               fmt::format("holds images ({}) beside folders ({}); have either "
                           "images alone or one folder for each class",
                           top->images.front().filename().string(),
                           top->folders.front().filename().string()));
  if (top->folders.size() > protocol::kMaxClasses)
    return bad(directory,
               fmt::format("has {} class folders, more than {}",
                           top->folders.size(), protocol::kMaxClasses));
  Plan plan;
  plan.others = top->others;
  plan.images = std::move(top->images);
  for (const fs::path& folder : top->folders) {
    const Result<void> added = add_class(folder, plan);
    if (!added) return added.error();
  }
  return plan;
}

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
        directory.string(), range->lowest, range->highest);
}

// What is wrong with the files of a folder: all of it at once, so that a person
// mends a folder once and not file by file.
struct Faults {
  static constexpr std::size_t kShown = 20;
  std::vector<std::string> messages;  // the first kShown
  std::size_t count = 0;
  void add(const Error& error) {
    if (++count <= kShown) messages.push_back(error.message);
  }
};

Error error_of(const fs::path& directory, const Faults& faults,
               std::size_t images) {
  if (faults.count == 1) return {faults.messages[0], ExitCode::kData};
  std::string text =
      fmt::format("{} of {} images cannot be used:\n  {}", faults.count, images,
                  fmt::join(faults.messages, "\n  "));
  if (faults.count > faults.messages.size())
    text +=
        fmt::format("\n  and {} more", faults.count - faults.messages.size());
  return bad(directory, text);
}

// `first`: the image that decides on the size, once there is one.
Result<void> append(const fs::path& path, std::size_t images, fs::path& first,
                    Dataset& data, std::optional<Range16>& range) {
  Result<Image> image = read_image(path);
  if (!image) return image.error();
  ImageShape& shape = data.shape;
  if (first.empty()) {
    first = path;
    shape.channels = image->channels;
    shape.height = image->height;
    shape.width = image->width;
    data.pixels.reserve(images * shape.values());
  }
  if (image->height != shape.height || image->width != shape.width)
    return bad(path, fmt::format("is {}x{} but {} is {}x{}; bring all images "
                                 "to one size",
                                 image->width, image->height, first.string(),
                                 shape.width, shape.height));
  widen(range, image->range16);
  const std::size_t area = std::size_t{shape.height} * shape.width;
  if (image->channels > shape.channels) {
    data.pixels = grey_to_rgb(data.pixels, area);
    shape.channels = image->channels;
  } else if (image->channels < shape.channels) {
    image->pixels = grey_to_rgb(image->pixels, area);
  }
  data.pixels.insert(data.pixels.end(), image->pixels.begin(),
                     image->pixels.end());
  return {};
}

}  // namespace

Result<Dataset> load_image_folder(const fs::path& directory) {
  Result<Plan> plan = make_plan(directory);
  if (!plan) return plan.error();
  if (plan->others > 0)
    spdlog::info("{}: {} files that are not images left out",
                 directory.string(), plan->others);
  Dataset data;
  std::optional<Range16> range;
  fs::path first;
  Faults faults;
  for (const fs::path& path : plan->images) {
    const Result<void> appended =
        append(path, plan->images.size(), first, data, range);
    if (!appended) faults.add(appended.error());
  }
  if (faults.count > 0) return error_of(directory, faults, plan->images.size());
  warn_of_dark_values(directory, range);
  data.shape.classes = static_cast<std::uint32_t>(plan->class_names.size());
  data.labels = std::move(plan->labels);
  data.class_names = std::move(plan->class_names);
  return data;
}

}  // namespace mdgan
