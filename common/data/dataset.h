// Images and labels in memory, as they came from the files: no tensors. Loaded
// once and shared, read-only, by all the peers of a process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "protocol/training_spec.h"

namespace mdgan {

struct Dataset {
  ImageShape shape;                  // classes = 0: no labels
  std::vector<std::uint8_t> pixels;  // size() x channels x height x width
  std::vector<std::int32_t> labels;  // size() values in [0, classes), or empty
  std::vector<std::string>
      class_names;  // of an image folder; else "0", "1", ..
  std::size_t size() const {
    return pixels.empty() ? 0 : pixels.size() / shape.values();
  }
};

// The parts that the publishers of a data set keep apart.
enum class DataPart { kTrain, kTest };

// Reads a part of a data set; the layout is recognised by its files:
//   MNIST     train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz]; of
//             the test part t10k- instead of train-; also .idx3-ubyte for
//             -idx3-ubyte, and all of it in torchvision's MNIST/raw
//   CIFAR-10  data_batch_1.bin ... data_batch_5.bin (whichever exist);
//             test_batch.bin
//   folder    PNG, JPEG, WebP or TIFF files, either all directly inside (no
//   labels) or in
//             subfolders, one per class, in the order of their names; it has
//             no test part
// Pixels are not resized: images of different sizes are an error. On any damage
// the error (ExitCode::kData) names the file, the byte offset or image index,
// what was expected and what was found. Never throws.
// REQUIRES: kTest only where has_test_part().
Result<Dataset> load_dataset(const std::filesystem::path& directory,
                             DataPart part = DataPart::kTrain);
bool has_test_part(const std::filesystem::path& directory);

}  // namespace mdgan
