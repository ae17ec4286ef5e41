#include "common/data/idx_file.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "common/data/gzip.h"
#include "common/data/shown.h"
#include "common/files/read_file.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

// How a file begins: two zero bytes, the type of its values, its dimensions.
constexpr std::uint32_t kImages = 0x0803;      // bytes
constexpr std::uint32_t kLabels = 0x0801;      // bytes
constexpr std::uint32_t kLabelTable = 0x0c02;  // 32-bit numbers
constexpr std::uint32_t kMostColumns = 64;     // QMNIST has 8

struct IdxArray {
  std::uint32_t magic = 0;
  std::array<std::uint32_t, 3> dims{1, 1, 1};
  std::size_t header = 0;
  std::vector<std::uint8_t> bytes;  // header and values
  std::size_t value_bytes() const { return magic == kLabelTable ? 4 : 1; }
  std::uint64_t size() const {  // at most 16 + 2^32 * 4096^2, which fits
    return header + std::uint64_t{dims[0]} * dims[1] * dims[2] * value_bytes();
  }
};

// The first `most` bytes of the file's content; see inflate_gzip().
Result<std::vector<std::uint8_t>> content(std::span<const std::byte> raw,
                                          std::size_t most,
                                          const fs::path& path) {
  // Unpackers leave the ending, or take it off what they did not unpack.
  constexpr std::array kGzip{std::byte{0x1f}, std::byte{0x8b}};
  if (raw.size() >= kGzip.size() &&
      std::ranges::equal(kGzip, raw.first(kGzip.size())))
    return inflate_gzip(raw, most, shown(path));
  const auto* first = reinterpret_cast<const std::uint8_t*>(raw.data());
  return std::vector<std::uint8_t>(first, first + std::min(most, raw.size()));
}

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  return (std::uint32_t{bytes[at]} << 24) |
         (std::uint32_t{bytes[at + 1]} << 16) |
         (std::uint32_t{bytes[at + 2]} << 8) | bytes[at + 3];
}

// Whether a side of what the header announces is out of range.
Result<void> check_dims(const IdxArray& array, const fs::path& path) {
  if (array.dims[0] == 0)
    return bad_data(path, "holds nothing; get the file again");
  if (array.magic == kLabelTable &&
      (array.dims[1] == 0 || array.dims[1] > kMostColumns))
    return bad_data(path, fmt::format("has {} label columns; [1, {}] can "
                                      "be read; get the file again",
                                      array.dims[1], kMostColumns));
  for (const std::uint32_t side : {array.dims[1], array.dims[2]})
    if (side == 0 || side > protocol::kMaxImageSide)
      return bad_data(
          path,
          fmt::format("has images of {}x{}; both sides must be in "
                      "[1, {}]: get the file again, or make images "
                      "of that size",
                      array.dims[1], array.dims[2], protocol::kMaxImageSide));
  return {};
}

// `expected`: how the file may begin; the first is the usual one.
Result<IdxArray> read_header(std::span<const std::byte> raw,
                             const fs::path& path,
                             std::span<const std::uint32_t> expected) {
  constexpr std::size_t kMagic = 4;
  Result<std::vector<std::uint8_t>> head = content(raw, kMagic, path);
  if (!head) return head.error();
  IdxArray array;
  array.magic = head->size() == kMagic ? big_endian(*head, 0) : expected[0];
  if (std::ranges::find(expected, array.magic) == expected.end())
    return bad_data(
        path,
        fmt::format("begins with {:#010x} where an IDX file of {} "
                    "has {:#010x}; get the file again",
                    array.magic, expected[0] == kImages ? "images" : "labels",
                    expected[0]));
  const std::uint32_t rank = array.magic & 0xff;
  array.header = kMagic + 4 * std::size_t{rank};
  head = content(raw, array.header, path);
  if (!head) return head.error();
  if (head->size() < array.header)
    return bad_data(path,
                    fmt::format("truncated at byte {}: the header alone has "
                                "{}; get the file again",
                                head->size(), array.header));
  for (std::uint32_t i = 0; i < rank; ++i)
    array.dims[i] = big_endian(*head, kMagic + 4 * std::size_t{i});
  if (const auto fits = check_dims(array, path); !fits) return fits.error();
  return array;
}

Result<IdxArray> read_idx(const fs::path& path,
                          std::span<const std::uint32_t> expected) {
  const Result<std::vector<std::byte>> raw = read_file(path, ExitCode::kData);
  if (!raw) return raw.error();
  Result<IdxArray> array = read_header(*raw, path, expected);
  if (!array) return array.error();
  // One byte more is read, to notice bytes that are left over.
  const std::uint64_t size = array->size();
  Result<std::vector<std::uint8_t>> all = content(*raw, size + 1, path);
  if (!all) return all.error();
  if (all->size() < size)
    return bad_data(path,
                    fmt::format("truncated at byte {}: its header announces "
                                "{} bytes; get the file again",
                                all->size(), size));
  if (all->size() > size)
    return bad_data(path,
                    fmt::format("goes on after byte {}, where its header says "
                                "that it ends; get the file again",
                                size));
  array->bytes = std::move(*all);
  return array;
}

}  // namespace

Result<IdxImages> read_idx_images(const fs::path& path) {
  Result<IdxArray> array = read_idx(path, std::array{kImages});
  if (!array) return array.error();
  IdxImages images{array->dims[0], array->dims[1], array->dims[2],
                   std::move(array->bytes)};
  images.pixels.erase(
      images.pixels.begin(),
      images.pixels.begin() + static_cast<std::ptrdiff_t>(array->header));
  return images;
}

Result<IdxLabels> read_idx_labels(const fs::path& path) {
  const Result<IdxArray> array =
      read_idx(path, std::array{kLabels, kLabelTable});
  if (!array) return array.error();
  IdxLabels labels;
  labels.header = array->header;
  labels.stride = array->dims[1] * array->value_bytes();
  labels.values.reserve(array->dims[0]);
  for (std::size_t i = 0; i < array->dims[0]; ++i) {
    const std::size_t at = labels.byte_of(i);
    labels.values.push_back(array->magic == kLabelTable
                                ? big_endian(array->bytes, at)
                                : array->bytes[at]);
  }
  return labels;
}

}  // namespace mdgan
