#include "common/data/idx.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "common/data/gzip.h"
#include "common/files/read_file.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kClasses = 10;
constexpr std::uint32_t kUnsignedBytes = 0x08;  // the element type we read

struct IdxArray {
  std::string path;
  std::array<std::uint32_t, 3> dims{1, 1, 1};
  std::size_t header = 0;
  std::vector<std::uint8_t> bytes;  // header and values
  std::span<const std::uint8_t> values() const {
    return std::span(bytes).subspan(header);
  }
};

Error bad(std::string_view path, std::string_view what) {
  return {fmt::format("{}: {}", path, what), ExitCode::kData};
}

struct Names {
  const char* images;
  const char* labels;
};

Names names_of(DataPart part) {
  if (part == DataPart::kTest)
    return {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
  return {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"};
}

// The file by its publisher's name, or with the dot that Windows and Kaggle put
// before idx.
std::optional<fs::path> find(const fs::path& folder, const char* name) {
  std::string dotted = name;
  dotted.replace(dotted.find("-idx"), 1, ".");
  for (const std::string& stem : {std::string(name), dotted})
    for (const char* suffix : {"", ".gz"}) {
      fs::path path = folder / (stem + suffix);
      std::error_code ignored;
      if (fs::exists(path, ignored)) return path;
    }
  return std::nullopt;
}

// Where one of the files is: `directory`, or where torchvision puts it below.
// Both files are looked for there alone, lest labels be of other images.
std::optional<fs::path> folder_of(const fs::path& directory,
                                  const Names& names) {
  for (fs::path folder :
       {directory, directory / "raw", directory / "MNIST" / "raw"})
    if (find(folder, names.images) || find(folder, names.labels)) return folder;
  return std::nullopt;
}

// The first `most` bytes of the file's content; see inflate_gzip().
Result<std::vector<std::uint8_t>> content(std::span<const std::byte> raw,
                                          std::size_t most,
                                          const fs::path& path) {
  if (path.extension() == ".gz") return inflate_gzip(raw, most, path.string());
  const auto* first = reinterpret_cast<const std::uint8_t*>(raw.data());
  return std::vector<std::uint8_t>(first, first + std::min(most, raw.size()));
}

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  return (std::uint32_t{bytes[at]} << 24) |
         (std::uint32_t{bytes[at + 1]} << 16) |
         (std::uint32_t{bytes[at + 2]} << 8) | bytes[at + 3];
}

// Header: two zero bytes, the element type, the rank; then each dimension.
Result<IdxArray> read_header(std::span<const std::byte> raw,
                             const fs::path& path, std::uint32_t rank) {
  IdxArray array;
  array.path = path.string();
  array.header = 4 + 4 * std::size_t{rank};
  Result<std::vector<std::uint8_t>> head = content(raw, array.header, path);
  if (!head) return head.error();
  if (head->size() < array.header)
    return bad(array.path, fmt::format("truncated at byte {}: the header alone "
                                       "has {}; get the file again",
                                       head->size(), array.header));
  const std::uint32_t magic = big_endian(*head, 0);
  const std::uint32_t expected = (kUnsignedBytes << 8) | rank;
  if (magic != expected)
    return bad(array.path,
               fmt::format("begins with {:#010x} where an IDX file of {} has "
                           "{:#010x}",
                           magic, rank == 3 ? "images" : "labels", expected));
  for (std::uint32_t i = 0; i < rank; ++i)
    array.dims[i] = big_endian(*head, 4 + 4 * std::size_t{i});
  if (array.dims[0] == 0) return bad(array.path, "holds nothing");
  for (const std::uint32_t side : {array.dims[1], array.dims[2]})
    if (side == 0 || side > protocol::kMaxImageSide)
      return bad(
          array.path,
          fmt::format("has images of {}x{}; both sides must be in "
                      "[1, {}]",
                      array.dims[1], array.dims[2], protocol::kMaxImageSide));
  return array;
}

Result<IdxArray> read_idx(const fs::path& path, std::uint32_t rank) {
  const Result<std::vector<std::byte>> raw = read_file(path, ExitCode::kData);
  if (!raw) return raw.error();
  Result<IdxArray> array = read_header(*raw, path, rank);
  if (!array) return array.error();
  // This is at most 16 + 2^32 * 4096^2, which fits. One byte more is read, to
  // notice bytes that are left over.
  const std::uint64_t expected = array->header + std::uint64_t{array->dims[0]} *
                                                     array->dims[1] *
                                                     array->dims[2];
  Result<std::vector<std::uint8_t>> all = content(*raw, expected + 1, path);
  if (!all) return all.error();
  if (all->size() < expected)
    return bad(array->path,
               fmt::format("truncated at byte {}: its header announces {} "
                           "bytes; get the file again",
                           all->size(), expected));
  if (all->size() > expected)
    return bad(array->path,
               fmt::format("goes on after byte {}, where its header says that "
                           "it ends",
                           expected));
  array->bytes = std::move(*all);
  return array;
}

}  // namespace

bool has_idx_files(const fs::path& directory, DataPart part) {
  return folder_of(directory, names_of(part)).has_value();
}

Result<Dataset> load_idx(const fs::path& directory, DataPart part) {
  const Names names = names_of(part);
  const fs::path folder = folder_of(directory, names).value_or(directory);
  for (const char* name : {names.images, names.labels})
    if (!find(folder, name))
      return bad(folder.string(),
                 fmt::format("{}[.gz] is missing; put it beside the other "
                             "file of the data set",
                             name));
  const Result<IdxArray> images = read_idx(*find(folder, names.images), 3);
  if (!images) return images.error();
  const Result<IdxArray> labels = read_idx(*find(folder, names.labels), 1);
  if (!labels) return labels.error();
  if (images->dims[0] != labels->dims[0])
    return bad(images->path,
               fmt::format("has {} images, but {} has {} labels",
                           images->dims[0], labels->path, labels->dims[0]));
  const auto values = labels->values();
  const auto wrong = std::ranges::find_if(
      values, [](std::uint8_t label) { return label >= kClasses; });
  if (wrong != values.end())
    return bad(labels->path,
               fmt::format("label {} at byte {} is not in [0, {}]", *wrong,
                           labels->header +
                               static_cast<std::size_t>(wrong - values.begin()),
                           kClasses - 1));
  Dataset data;
  data.shape = {1, images->dims[1], images->dims[2], kClasses};
  data.pixels.assign(images->values().begin(), images->values().end());
  data.labels.assign(values.begin(), values.end());
  for (std::uint32_t i = 0; i < kClasses; ++i)
    data.class_names.push_back(std::to_string(i));
  return data;
}

}  // namespace mdgan
