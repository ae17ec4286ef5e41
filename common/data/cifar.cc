#include "common/data/cifar.h"

#include <spdlog/fmt/fmt.h>

#include <span>

#include "common/files/read_file.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr ImageShape kShape{3, 32, 32, 10};
constexpr std::size_t kImageBytes = std::size_t{3} * 32 * 32;
constexpr std::size_t kRecordBytes = 1 + kImageBytes;

// The part's files that exist.
std::vector<fs::path> files_of(const fs::path& directory, DataPart part) {
  std::vector<fs::path> files;
  if (part == DataPart::kTest)
    files.push_back(directory / "test_batch.bin");
  else
    for (int i = 1; i <= 5; ++i)
      files.push_back(directory / fmt::format("data_batch_{}.bin", i));
  std::erase_if(files, [](const fs::path& file) {
    std::error_code ignored;
    return !fs::exists(file, ignored);
  });
  return files;
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

bool has_cifar_files(const fs::path& directory, DataPart part) {
  return !files_of(directory, part).empty();
}

Result<Dataset> load_cifar(const fs::path& directory, DataPart part) {
  Dataset data;
  data.shape = kShape;
  for (const fs::path& path : files_of(directory, part))
    if (const auto appended = append(path, data); !appended)
      return appended.error();
  for (std::uint32_t i = 0; i < kShape.classes; ++i)
    data.class_names.push_back(std::to_string(i));
  return data;
}

}  // namespace mdgan
