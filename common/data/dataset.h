// Images and labels in memory, as they came from the files: no tensors. Loaded
// once and shared, read-only, by all the peers of a process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/data/image_reading.h"
#include "protocol/training_spec.h"

namespace mdgan {

struct Dataset {
  ImageShape shape;                  // classes = 0: no labels
  std::vector<std::uint8_t> pixels;  // size() x channels x height x width
  std::vector<std::int32_t> labels;  // size() values in [0, classes), or empty
  ClassNames class_names;  // the folders' names; the files' numbers of others
  // Class folders without images: a run that has these classes lets them be.
  ClassNames empty_classes;
  std::size_t size() const {
    return pixels.empty() ? 0 : pixels.size() / shape.values();
  }
};

// The parts that the publishers of a data set keep apart.
enum class DataPart { kTrain, kTest };

// Reads a part of a data set; the layout is recognised by its files:
//   MNIST     train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz]; of
//             the test part t10k- instead of train-; also EMNIST and QMNIST by
//             their names, .idx3-ubyte for -idx3-ubyte, and all of it in
//             torchvision's MNIST/raw and the like
//   CIFAR-10  data_batch_1.bin ... data_batch_5.bin (whichever exist);
//             test_batch.bin
//   CIFAR-100 train.bin; test.bin
//   folder    PNG, JPEG, WebP, TIFF or BMP files, all directly inside (no
//             labels) or in subfolders, one per class, in the order of their
//             names; the parts are the subfolders train/ and test/, if there
//             are both
// Without a size in `reading`, images of different sizes are an error. On any
// damage the error (ExitCode::kData) names the file, the byte offset or image
// index, what was expected and what was found; so does the error for other data
// sets, which are known but not read. Never throws.
// REQUIRES: kTest only where has_test_part().
Result<Dataset> load_dataset(const std::filesystem::path& directory,
                             DataPart part = DataPart::kTrain,
                             const ImageReading& reading = {});
bool has_test_part(const std::filesystem::path& directory);

}  // namespace mdgan
