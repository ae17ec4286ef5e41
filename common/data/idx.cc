#include "common/data/idx.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/data/idx_file.h"
#include "common/data/shown.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

// A data set by its files' names, without "-images-..." and "-labels-...".
struct Family {
  std::string_view train;
  std::string_view test;
  std::string_view labels;  // how the name of the labels' file ends
  std::uint32_t classes;
  std::uint32_t first_label = 0;
  bool by_columns = false;  // the images' first axis is x
};
constexpr std::array kFamilies{
    Family{"train", "t10k", "idx1-ubyte", 10},
    Family{"qmnist-train", "qmnist-test", "idx2-int", 10},
    Family{"emnist-balanced-train", "emnist-balanced-test", "idx1-ubyte", 47, 0,
           true},
    Family{"emnist-byclass-train", "emnist-byclass-test", "idx1-ubyte", 62, 0,
           true},
    Family{"emnist-bymerge-train", "emnist-bymerge-test", "idx1-ubyte", 47, 0,
           true},
    Family{"emnist-digits-train", "emnist-digits-test", "idx1-ubyte", 10, 0,
           true},
    Family{"emnist-letters-train", "emnist-letters-test", "idx1-ubyte", 26, 1,
           true},
    Family{"emnist-mnist-train", "emnist-mnist-test", "idx1-ubyte", 10, 0,
           true}};

// A data set's part in a folder.
struct Found {
  fs::path folder;
  const Family* family;
  std::string images;
  std::string labels;
};

// The file by its publisher's name, or with the dot that Windows and Kaggle put
// before idx.
std::optional<fs::path> find(const fs::path& folder, const std::string& name) {
  std::string dotted = name;
  dotted.replace(dotted.find("-idx"), 1, ".");
  for (const std::string& stem : {name, dotted})
    for (const char* suffix : {"", ".gz"}) {
      // Some archives have each file in a folder of its name.
      for (const fs::path& path :
           {folder / (stem + suffix), folder / (stem + suffix) / stem}) {
        std::error_code ignored;
        if (fs::exists(path, ignored) && !fs::is_directory(path, ignored))
          return path;
      }
    }
  return std::nullopt;
}

std::vector<Found> found_in(const fs::path& folder, DataPart part) {
  std::vector<Found> all;
  for (const Family& family : kFamilies) {
    const auto stem = part == DataPart::kTest ? family.test : family.train;
    Found found{folder, &family, fmt::format("{}-images-idx3-ubyte", stem),
                fmt::format("{}-labels-{}", stem, family.labels)};
    if (find(folder, found.images) || find(folder, found.labels))
      all.push_back(std::move(found));
  }
  return all;
}

// The data sets in the directory; if there are none, where their archives and
// torchvision put them below. Both files of one are looked for in one folder,
// lest labels be of other images.
std::vector<Found> find_all(const fs::path& directory, DataPart part) {
  std::vector<Found> all = found_in(directory, part);
  for (const char* below : {"raw", "gzip", "MNIST/raw", "FashionMNIST/raw",
                            "KMNIST/raw", "QMNIST/raw", "EMNIST/raw"}) {
    if (!all.empty() && all.front().folder == directory) break;
    std::ranges::move(found_in(directory / below, part),
                      std::back_inserter(all));
  }
  return all;
}

// Swaps the axes of each image.
void transpose(IdxImages& images) {
  const std::size_t height = images.height;
  const std::size_t width = images.width;
  const std::vector<std::uint8_t> from = std::move(images.pixels);
  images.pixels.clear();
  images.pixels.reserve(from.size());
  for (std::size_t image = 0; image < images.count; ++image)
    for (std::size_t x = 0; x < width; ++x)
      for (std::size_t y = 0; y < height; ++y)
        images.pixels.push_back(from[(image * height + y) * width + x]);
  std::swap(images.height, images.width);
}

Result<void> check_labels(const IdxLabels& labels, const Family& family,
                          const fs::path& path) {
  const std::int64_t last = family.first_label + family.classes - 1;
  for (std::size_t i = 0; i < labels.values.size(); ++i) {
    const std::int64_t label = labels.values[i];
    if (label >= family.first_label && label <= last) continue;
    return bad_data(
        path, fmt::format("label {} at byte {} is not in [{}, {}]{}", label,
                          labels.byte_of(i), family.first_label, last,
                          family.by_columns
                              ? "; get the file again"
                              : "; if this is EMNIST, give its files their own "
                                "names back, as emnist-letters-train-images-"
                                "idx3-ubyte: they say which labels there are"));
  }
  return {};
}

}  // namespace

bool has_idx_files(const fs::path& directory, DataPart part) {
  return !find_all(directory, part).empty();
}

Result<Dataset> load_idx(const fs::path& directory, DataPart part) {
  const std::vector<Found> all = find_all(directory, part);
  if (all.empty())
    return bad_data(directory,
                    "holds no IDX files; give the folder that has them");
  if (all.size() > 1)
    return bad_data(
        directory,
        fmt::format("holds several data sets ({}, {}); give the folder "
                    "of one, or put its files into a folder of their "
                    "own",
                    (all[0].folder / all[0].images).string(),
                    (all[1].folder / all[1].images).string()));
  const Found& found = all.front();
  for (const std::string& name : {found.images, found.labels})
    if (!find(found.folder, name))
      return bad_data(found.folder,
                      fmt::format("{}[.gz] is missing; put it beside the other "
                                  "file of the data set",
                                  name));
  const Family& family = *found.family;
  const fs::path labels_path = *find(found.folder, found.labels);
  const fs::path images_path = *find(found.folder, found.images);
  Result<IdxImages> images = read_idx_images(images_path);
  if (!images) return images.error();
  const Result<IdxLabels> labels = read_idx_labels(labels_path);
  if (!labels) return labels.error();
  if (images->count != labels->values.size())
    return bad_data(
        images_path,
        fmt::format(
            "has {} images, but {} has {} labels; get both files again, "
            "from the same place",
            images->count, labels_path.string(), labels->values.size()));
  if (const auto fits = check_labels(*labels, family, labels_path); !fits)
    return fits.error();
  if (family.by_columns) transpose(*images);
  Dataset data;
  data.shape = {1, images->height, images->width, family.classes};
  data.pixels = std::move(images->pixels);
  for (const std::int64_t label : labels->values)
    data.labels.push_back(
        static_cast<std::int32_t>(label - family.first_label));
  for (std::uint32_t i = 0; i < family.classes; ++i)
    data.class_names.push_back(std::to_string(family.first_label + i));
  return data;
}

}  // namespace mdgan
