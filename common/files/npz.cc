#include "common/files/npz.h"

#include <spdlog/fmt/fmt.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>

#include "common/files/read_file.h"

namespace mdgan {
namespace {

// ZIP: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
constexpr std::uint32_t kLocal = 0x04034B50;
constexpr std::uint32_t kEntry = 0x02014B50;
constexpr std::uint32_t kEnd = 0x06054B50;
constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kEntrySize = 46;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kMostComment = 0xFFFF;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;

constexpr std::uint64_t kMostValues = std::uint64_t{1} << 27;
constexpr std::size_t kMostHeader = 0xFFFF;  // of an array
constexpr std::size_t kMostDims = 8;
constexpr std::string_view kMagic = "\x93NUMPY";

template <typename Unsigned>
void put(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
}

// Little-endian. REQUIRES: the bytes are there.
std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

struct Member {
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0;  // bytes
  std::uint64_t size = 0;
  std::uint64_t local = 0;  // where its local header is
};

using Found = Result<std::optional<Member>>;

Error bad(std::string why) { return {std::move(why), ExitCode::kData}; }

// The archive's directory is at its end, before a comment.
Found find_member(std::string_view zip, std::string_view name) {
  const std::size_t last = zip.size() < kEndSize ? 0 : zip.size() - kEndSize;
  const std::size_t first = last - std::min(last, kMostComment);
  std::optional<std::size_t> end;
  for (std::size_t at = last + 1; !end && at-- > first;)
    if (zip.size() >= kEndSize && number(zip, at, 4) == kEnd) end = at;
  if (!end) return bad("is no .npz file, or is cut off");
  const std::uint64_t entries = number(zip, *end + 10, 2);
  std::uint64_t at = number(zip, *end + 16, 4);
  for (std::uint64_t i = 0; i < entries; ++i) {
    if (at + kEntrySize > zip.size() || number(zip, at, 4) != kEntry)
      return bad("has a damaged directory");
    const std::uint64_t length = number(zip, at + 28, 2);
    if (at + kEntrySize + length > zip.size())
      return bad("has a damaged directory");
    if (zip.substr(at + kEntrySize, length) == name)
      return std::optional(
          Member{static_cast<std::uint16_t>(number(zip, at + 10, 2)),
                 static_cast<std::uint32_t>(number(zip, at + 16, 4)),
                 number(zip, at + 20, 4), number(zip, at + 24, 4),
                 number(zip, at + 42, 4)});
    at +=
        kEntrySize + length + number(zip, at + 30, 2) + number(zip, at + 32, 2);
  }
  return std::optional<Member>();
}

// Exactly `size` bytes; nothing if it is another number or damaged.
std::optional<std::string> inflate_raw(std::string_view packed,
                                       std::size_t size) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return std::nullopt;
  std::string bytes(size, '\0');
  // zlib does not write to what it reads.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(size);
  const int done = inflate(&stream, Z_FINISH);
  const bool whole = done == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!whole) return std::nullopt;
  return bytes;
}

std::uint32_t crc_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()),
              static_cast<uInt>(bytes.size())));
}

Result<std::string> unpack(std::string_view zip, const Member& member) {
  constexpr std::uint64_t kMost = 8 * kMostValues + kMostHeader + 16;
  if (member.size > kMost || member.packed > kMost)
    return bad("is too large: more than 2^27 values");
  if (member.local + kLocalSize > zip.size() ||
      number(zip, member.local, 4) != kLocal)
    return bad("has a damaged header");
  const std::uint64_t at = member.local + kLocalSize +
                           number(zip, member.local + 26, 2) +
                           number(zip, member.local + 28, 2);
  if (at > zip.size() || member.packed > zip.size() - at)
    return bad("is cut off");
  const std::string_view packed = zip.substr(at, member.packed);
  std::optional<std::string> bytes;
  // Deflate makes at most 1032 bytes of one: no more memory is taken.
  if (member.method == kStored && member.size == member.packed)
    bytes = std::string(packed);
  else if (member.method == kDeflated && member.size / 1032 <= member.packed)
    bytes = inflate_raw(packed, member.size);
  if (!bytes || crc_of(*bytes) != member.crc) return bad("is damaged");
  return std::move(*bytes);
}

// What follows 'key': in the header's dictionary, without spaces.
std::string_view entry_of(std::string_view header, std::string_view key) {
  std::size_t at = header.find(fmt::format("'{}':", key));
  if (at == header.npos) return "";
  at = header.find_first_not_of(' ', at + key.size() + 3);
  return at == header.npos ? "" : header.substr(at);
}

std::optional<std::vector<std::uint64_t>> shape_of(std::string_view text) {
  if (!text.starts_with('(')) return std::nullopt;
  text.remove_prefix(1);
  std::vector<std::uint64_t> dims;
  std::uint64_t values = 1;
  while (!text.empty()) {
    if (text.front() == ' ' || text.front() == ',') {
      text.remove_prefix(1);
      continue;
    }
    if (text.front() == ')') return dims;
    std::uint64_t dim = 0;
    const auto read =
        std::from_chars(text.data(), text.data() + text.size(), dim);
    if (read.ec != std::errc{} || dims.size() == kMostDims || dim == 0 ||
        dim > kMostValues / values)
      return std::nullopt;
    values *= dim;
    dims.push_back(dim);
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  }
  return std::nullopt;
}

template <typename Float, typename Bits>
std::vector<double> values_of(std::string_view bytes, std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<double>(std::bit_cast<Float>(
        static_cast<Bits>(number(bytes, i * sizeof(Float), sizeof(Float)))));
  return values;
}

// NEP 1: magic, version, the header's length, a Python dictionary, the values.
Result<NpzArray> array_of(std::string_view npy) {
  if (!npy.starts_with(kMagic) || npy.size() < 12) return bad("is no array");
  const bool is_old = npy[6] == 1;
  const std::size_t start = is_old ? 10 : 12;
  const std::uint64_t length = number(npy, 8, is_old ? 2 : 4);
  if (length > kMostHeader || start + length > npy.size())
    return bad("has a damaged header");
  const std::string_view header = npy.substr(start, length);
  const auto dims = shape_of(entry_of(header, "shape"));
  if (!dims) return bad("has a shape that is not read here");
  if (!entry_of(header, "fortran_order").starts_with("False") &&
      dims->size() > 1)
    return bad("is in Fortran's order: save numpy.ascontiguousarray() of it");
  std::size_t count = 1;
  for (const std::uint64_t dim : *dims) count *= dim;
  const std::string_view type = entry_of(header, "descr");
  const bool is_double = type.starts_with("'<f8'");
  if (!is_double && !type.starts_with("'<f4'"))
    return bad("has numbers that are neither float32 nor float64");
  const std::string_view bytes = npy.substr(start + length);
  if (bytes.size() != count * (is_double ? 8 : 4))
    return bad("has more or fewer bytes than its shape says");
  return NpzArray{*dims, is_double
                             ? values_of<double, std::uint64_t>(bytes, count)
                             : values_of<float, std::uint32_t>(bytes, count)};
}

std::string npy_bytes(const NpzArray& array) {
  std::string shape;
  for (const std::uint64_t dim : array.dims) shape += fmt::format("{}, ", dim);
  std::string header = fmt::format(
      "{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}", shape);
  // The values begin at a multiple of 64.
  constexpr std::size_t kAlign = 64;
  header.append((kAlign - (10 + header.size() + 1) % kAlign) % kAlign, ' ');
  header.push_back('\n');
  std::string bytes(kMagic);
  put(bytes, std::uint8_t{1});
  put(bytes, std::uint8_t{0});
  put(bytes, static_cast<std::uint16_t>(header.size()));
  bytes += header;
  for (const double value : array.values)
    put(bytes, std::bit_cast<std::uint64_t>(value));
  return bytes;
}

// What local header and directory have alike, from the version on.
std::string common_header(std::string_view npy, std::string_view name) {
  std::string header;
  put(header, std::uint16_t{20});  // the version that is needed
  put(header, std::uint16_t{0});
  put(header, kStored);
  put(header, std::uint16_t{0});     // midnight ...
  put(header, std::uint16_t{0x21});  // ... of 1980-01-01: the same bytes always
  put(header, crc_of(npy));
  put(header, static_cast<std::uint32_t>(npy.size()));
  put(header, static_cast<std::uint32_t>(npy.size()));
  put(header, static_cast<std::uint16_t>(name.size()));
  put(header, std::uint16_t{0});
  return header;
}

}  // namespace

Result<NpzArray> read_npz(const std::filesystem::path& file,
                          std::string_view name) {
  const auto bytes = read_file(file, ExitCode::kData);
  if (!bytes) return bytes.error();
  const std::string_view zip(reinterpret_cast<const char*>(bytes->data()),
                             bytes->size());
  const auto explained = [&](const Error& error) {
    return Error{fmt::format("{}: '{}' {}", file.string(), name, error.message),
                 error.code};
  };
  const Found member = find_member(zip, fmt::format("{}.npy", name));
  if (!member)
    return Error{file.string() + " " + member.error().message, ExitCode::kData};
  if (!*member) return explained(bad("is not in it"));
  const auto npy = unpack(zip, **member);
  if (!npy) return explained(npy.error());
  auto array = array_of(*npy);
  if (!array) return explained(array.error());
  return array;
}

std::string npz_bytes(const std::vector<NamedArray>& arrays) {
  std::string zip;
  std::string directory;
  for (const NamedArray& one : arrays) {
    const std::string name = one.name + ".npy";
    const std::string npy = npy_bytes(one.array);
    const std::string header = common_header(npy, name);
    put(directory, kEntry);
    put(directory, std::uint16_t{20});
    directory += header;
    put(directory, std::uint16_t{0});  // no comment, the first disk, no
    put(directory, std::uint16_t{0});  // attributes
    put(directory, std::uint16_t{0});
    put(directory, std::uint32_t{0});
    put(directory, static_cast<std::uint32_t>(zip.size()));
    directory += name;
    put(zip, kLocal);
    zip += header;
    zip += name;
    zip += npy;
  }
  const std::size_t begin = zip.size();
  zip += directory;
  put(zip, kEnd);
  put(zip, std::uint32_t{0});
  put(zip, static_cast<std::uint16_t>(arrays.size()));
  put(zip, static_cast<std::uint16_t>(arrays.size()));
  put(zip, static_cast<std::uint32_t>(directory.size()));
  put(zip, static_cast<std::uint32_t>(begin));
  put(zip, std::uint16_t{0});
  MDGAN_CHECK(zip.size() <= 0xFFFFFFFF);
  return zip;
}

}  // namespace mdgan
