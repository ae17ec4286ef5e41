#include "common/data/dataset.h"

#include <spdlog/fmt/fmt.h>

#include <exception>
#include <limits>
#include <utility>

#include "common/data/cifar.h"
#include "common/data/idx.h"
#include "common/data/image_folder.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

Result<Dataset> load(const fs::path& directory, DataPart part) {
  std::error_code code;
  const fs::file_status status = fs::status(directory, code);
  const auto bad = [&directory](std::string_view what) {
    return Error{fmt::format("{}: {}", directory.string(), what),
                 ExitCode::kData};
  };
  if (status.type() == fs::file_type::not_found)
    return bad("there is no such directory; give the data set's");
  if (code) return bad(code.message());
  if (!fs::is_directory(status))
    return bad("is not a directory; give the one that holds the data set");
  if (has_idx_files(directory, part)) return load_idx(directory, part);
  if (has_cifar_files(directory, part)) return load_cifar(directory, part);
  return load_image_folder(directory);
}

}  // namespace

Result<Dataset> load_dataset(const fs::path& directory, DataPart part) {
  try {
    Result<Dataset> data = load(directory, part);
    // Shards name their images by 32-bit numbers.
    if (data && data->size() > std::numeric_limits<std::uint32_t>::max())
      return Error{fmt::format("{}: has {} images, more than 2^32 - 1",
                               directory.string(), data->size()),
                   ExitCode::kData};
    return data;
  } catch (const std::exception& e) {  // no memory
    return Error{
        fmt::format("{}: cannot be loaded: {}", directory.string(), e.what()),
        ExitCode::kData};
  }
}

bool has_test_part(const fs::path& directory) {
  return has_idx_files(directory, DataPart::kTest) ||
         has_cifar_files(directory, DataPart::kTest);
}

}  // namespace mdgan
