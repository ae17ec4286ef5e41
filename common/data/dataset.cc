#include "common/data/dataset.h"

#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/data/cifar.h"
#include "common/data/folder_plan.h"
#include "common/data/idx.h"
#include "common/data/image_file.h"
#include "common/data/image_fit.h"
#include "common/data/image_folder.h"
#include "common/data/shown.h"
#include "common/data/unread_data.h"
#include "common/files/failpoint.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

Result<void> check_directory(const fs::path& directory) {
  std::error_code code;
  const fs::file_status status = fs::status(directory, code);
  if (status.type() == fs::file_type::not_found)
    return bad_data(directory,
                    "there is no such directory; give the data set's");
  if (code) return bad_data(directory, code.message());
  if (fs::is_directory(status)) return {};
  if (const std::string known = unread_data(directory); !known.empty())
    return bad_data(directory, known);
  return bad_data(directory,
                  "is not a directory; give the one that holds the data set");
}

// Brings the images of a data set of one size to another.
Result<void> fit(Dataset& data, const ImageReading& reading,
                 const fs::path& directory) {
  ImageShape& shape = data.shape;
  Image image{shape.channels, shape.height, shape.width, {}, std::nullopt};
  if (!has_size(image, reading) && reading.fit == Fit::kError)
    return bad_data(
        directory,
        fmt::format("its images are {}x{} (height x width), "
                    "but --size is {}x{}; --fit crop or "
                    "--fit pad brings them to it",
                    shape.height, shape.width, reading.height, reading.width));
  if (has_size(image, reading) &&
      (reading.channels == 0 || reading.channels == shape.channels))
    return {};
  const std::span<const std::uint8_t> all(data.pixels);
  std::vector<std::uint8_t> pixels;
  for (std::size_t at = 0; at < all.size(); at += shape.values()) {
    const auto one = all.subspan(at, shape.values());
    image = {shape.channels,
             shape.height,
             shape.width,
             {one.begin(), one.end()},
             std::nullopt};
    fit_image(image, reading);
    pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
  }
  data.pixels = std::move(pixels);
  shape.channels = image.channels;
  shape.height = image.height;
  shape.width = image.width;
  return {};
}

Result<Dataset> load_arrays(const fs::path& directory, DataPart part) {
  const bool has_idx = has_idx_files(directory, part);
  if (has_idx && has_cifar_files(directory, part))
    return bad_data(directory,
                    "holds files of MNIST's kind and of CIFAR; have each in a "
                    "folder of its own");
  return has_idx ? load_idx(directory, part) : load_cifar(directory, part);
}

// Beside files of arrays no folder of images is read: somebody may think so.
void warn_of_class_folders(const fs::path& directory) {
  std::vector<std::string> folders;
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end;
       it.increment(code)) {
    std::error_code inner;
    if (is_left_by_system(it->path()) || !it->is_directory(inner)) continue;
    for (fs::directory_iterator at(it->path(), inner); !inner && at != end;
         at.increment(inner))
      if (is_image_file(at->path())) {
        folders.push_back(shown(it->path().filename()));
        break;
      }
  }
  if (folders.empty()) return;
  std::ranges::sort(folders);
  spdlog::warn(
      "{} has files of MNIST's kind or CIFAR's: the images in its "
      "folders ({}) are not read; have those in a folder of their own",
      shown(directory), fmt::join(folders, ", "));
}

Result<Dataset> load(const fs::path& directory, DataPart part,
                     const ImageReading& reading) {
  if (auto there = check_directory(directory); !there) return there.error();
  if (has_idx_files(directory, part) || has_cifar_files(directory, part)) {
    Result<Dataset> data = load_arrays(directory, part);
    if (!data) return data.error();
    if (part == DataPart::kTrain) warn_of_class_folders(directory);
    if (auto fitted = fit(*data, reading, directory); !fitted)
      return fitted.error();
    return data;
  }
  return load_image_folder(directory, part, reading);
}

}  // namespace

Result<Dataset> load_dataset(const fs::path& directory, DataPart part,
                             const ImageReading& reading) {
  if (failpoint("before-read", directory))
    return bad_data(directory, "cannot be read");
  try {
    Result<Dataset> data = load(directory, part, reading);
    // Shards name their images by 32-bit numbers.
    if (data && data->size() > std::numeric_limits<std::uint32_t>::max())
      return bad_data(
          directory,
          fmt::format("has {} images, more than 2^32 - 1", data->size()));
    return data;
  } catch (const std::bad_alloc&) {
    return bad_data(
        directory,
        "its images take more memory than there is: take some out, or "
        "give a smaller --size, with --fit crop or pad, to a folder of "
        "images");
  } catch (const std::exception& e) {
    return bad_data(directory, fmt::format("cannot be loaded: {}", e.what()));
  }
}

bool has_test_part(const fs::path& directory) {
  return has_idx_files(directory, DataPart::kTest) ||
         has_cifar_files(directory, DataPart::kTest) || has_split(directory);
}

}  // namespace mdgan
