// Which files of a folder are the images of a data set, and of which class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/data/dataset.h"

namespace mdgan {

struct FolderPlan {
  std::vector<std::filesystem::path> images;
  std::vector<std::int32_t> labels;  // empty, or one for each image
  ClassNames class_names;            // of those with images
  ClassNames empty_classes;          // of the others
  std::size_t others = 0;            // files that are not images
  // One file of each class that has no images, but other files.
  std::vector<std::filesystem::path> unread;
  // Folders beside a class's images, whose content is not taken.
  std::vector<std::filesystem::path> passed_over;
};

// Whether an entry of a folder is what systems put there: archives made by a
// Mac, NAS indices and waste bins, file systems' own, Python's; hidden ones,
// too.
bool is_left_by_system(const std::filesystem::path& path);

// Whether the directory holds the parts of a data set: the folders `train` and
// `test`, or `val` in place of `test`.
bool has_split(const std::filesystem::path& directory);

// The images of one part; of a directory without parts, all. Where `test` has
// no folder of a class and `val` has, that is the test part. A class of the
// test part has the number that it has in the training part. Fails with kData
// like load_image_folder(). REQUIRES: kTest only where has_split().
Result<FolderPlan> plan_folder(const std::filesystem::path& directory,
                               DataPart part);

}  // namespace mdgan
