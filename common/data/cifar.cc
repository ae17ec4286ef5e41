#include "common/data/cifar.h"

#include <spdlog/fmt/fmt.h>

#include <span>

#include "common/files/read_file.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr int kFiles = 5;
constexpr ImageShape kShape{3, 32, 32, 10};
constexpr std::size_t kImageBytes = std::size_t{3} * 32 * 32;
constexpr std::size_t kRecordBytes = 1 + kImageBytes;

fs::path file_path(const fs::path& directory, int number) {
  return directory / fmt::format("data_batch_{}.bin", number);
}

Result<void> append(const fs::path& path, Dataset& data) {
  const auto bad = [&path](std::string_view what) {
    return Error{fmt::format("{}: {}", path.string(), what), ExitCode::kData};
  };
  const Result<std::vector<std::byte>> bytes = read_file(path, ExitCode::kData);
  if (!bytes) return bytes.error();
  if (bytes->empty()) return bad("is empty; get the file again");
  if (bytes->size() % kRecordBytes != 0)
    return bad(
        fmt::format("truncated at byte {}, inside record {} of {} bytes "
                    "each; get the file again",
                    bytes->size(), bytes->size() / kRecordBytes, kRecordBytes));
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes->data());
  for (std::size_t at = 0; at < bytes->size(); at += kRecordBytes) {
    if (first[at] >= kShape.classes)
      return bad(fmt::format("label {} at byte {} is not in [0, {}]", first[at],
                             at, kShape.classes - 1));
    data.labels.push_back(first[at]);
    data.pixels.insert(data.pixels.end(), first + at + 1,
                       first + at + kRecordBytes);
  }
  return {};
}

}  // namespace

bool has_cifar_files(const fs::path& directory) {
  std::error_code ignored;
  for (int i = 1; i <= kFiles; ++i)
    if (fs::exists(file_path(directory, i), ignored)) return true;
  return false;
}

Result<Dataset> load_cifar(const fs::path& directory) {
  Dataset data;
  data.shape = kShape;
  for (int i = 1; i <= kFiles; ++i) {
    const fs::path path = file_path(directory, i);
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;
    const Result<void> appended = append(path, data);
    if (!appended) return appended.error();
  }
  for (std::uint32_t i = 0; i < kShape.classes; ++i)
    data.class_names.push_back(std::to_string(i));
  return data;
}

}  // namespace mdgan
