#include "common/data/unread_data.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "common/data/cifar.h"
#include "common/data/idx.h"
#include "common/data/shown.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNumPy =
    "is a file of NumPy arrays, such as MedMNIST's, which is not read; make "
    "folders of images of it: configs/README.md has the command";

}  // namespace

std::string unread_data(const fs::path& path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) {
    if (path.extension() == ".npz") return std::string(kNumPy);
    return {};
  }
  for (const char* name : {"data_batch_1", "batches.meta", "meta",
                           "data_batch_1.mat", "train.mat"})
    if (fs::is_regular_file(path / name, code))
      return fmt::format(
          "{} is of CIFAR's version for Python or MATLAB, which is not read; "
          "get the binary version: cifar-10-binary.tar.gz or "
          "cifar-100-binary.tar.gz",
          name);
  if (has_idx_files(path, DataPart::kTrain) ||
      has_cifar_files(path, DataPart::kTrain))
    return "holds a data set of its own; give this folder";
  std::vector<std::string> arrays;
  for (fs::directory_iterator it(path, code), end; !code && it != end;
       it.increment(code))
    if (it->path().extension() == ".npz")
      arrays.push_back(shown(it->path().filename()));
  if (arrays.empty()) return {};
  return fmt::format("{} {}", std::ranges::min(arrays), kNumPy);
}

}  // namespace mdgan
