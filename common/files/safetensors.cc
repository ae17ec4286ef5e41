#include "common/files/safetensors.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "common/files/json_depth.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

using nlohmann::json;
using protocol::DType;
using protocol::TensorMeta;

static_assert(std::endian::native == std::endian::little,
              "tensors are written as they lie in memory");

constexpr std::uint64_t kLengthBytes = sizeof(std::uint64_t);
constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{1} << 20;
constexpr int kMaxNesting = 3;  // header, tensor, shape
constexpr const char* kMetadataKey = "__metadata__";
constexpr std::array<std::pair<DType, std::string_view>, 3> kDTypeNames{{
    {DType::kFloat32, "F32"},
    {DType::kInt32, "I32"},
    {DType::kInt64, "I64"},
}};

struct Entry {
  std::string name;
  TensorMeta meta;
  std::uint64_t begin = 0;  // in the data
  std::uint64_t end = 0;
};

struct Header {
  std::vector<Entry> entries;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

// The product of the dimensions and the element size; nothing when too large.
std::optional<std::uint64_t> data_bytes(const TensorMeta& meta) {
  // Looked for first: it makes the product small however large the others are.
  if (std::ranges::find(meta.dims, 0U) != meta.dims.end()) return 0;
  std::uint64_t bytes = bytes_of(meta.dtype);
  for (const std::uint64_t dim : meta.dims) {
    if (dim > protocol::kMaxTensorBytes / bytes) return std::nullopt;
    bytes *= dim;
  }
  return bytes;
}

std::optional<std::vector<std::uint64_t>> unsigned_list(const json& object,
                                                        const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return std::nullopt;
  std::vector<std::uint64_t> values;
  for (const json& value : *found) {
    if (!value.is_number_unsigned()) return std::nullopt;
    values.push_back(value.get<std::uint64_t>());
  }
  return values;
}

// What is wrong, or the entry.
Result<Entry> parse_entry(const std::string& name, const json& object) {
  const auto wrong = [&name](std::string_view what) {
    return Error{fmt::format("tensor '{}' {}", name, what),
                 ExitCode::kCheckpoint};
  };
  if (!object.is_object()) return wrong("is not described by an object");
  const auto dtype = object.find("dtype");
  if (dtype == object.end() || !dtype->is_string())
    return wrong("has no dtype");
  const auto known =
      value_of(kDTypeNames, dtype->get_ref<const std::string&>());
  if (!known) return wrong("has a dtype other than F32, I32 and I64");
  auto dims = unsigned_list(object, "shape");
  if (!dims || dims->size() > protocol::kMaxRank)
    return wrong("has no valid shape");
  const auto offsets = unsigned_list(object, "data_offsets");
  if (!offsets || offsets->size() != 2 || (*offsets)[1] < (*offsets)[0])
    return wrong("has no valid data_offsets");

  Entry entry{name, {*known, std::move(*dims)}, (*offsets)[0], (*offsets)[1]};
  const auto bytes = data_bytes(entry.meta);
  if (!bytes) return wrong("is larger than 2 GiB");
  if (*bytes != entry.end - entry.begin)
    return wrong(fmt::format("needs {} bytes but data_offsets give it {}",
                             *bytes, entry.end - entry.begin));
  return entry;
}

Result<Header> parse_header(std::string_view text, std::uint64_t data_size) {
  const auto wrong = [](std::string message) {
    return Error{std::move(message), ExitCode::kCheckpoint};
  };
  if (!nests_at_most(text, kMaxNesting))
    return wrong("its header is nested too deeply");
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return wrong("its header is not a JSON object");

  Header header;
  for (const auto& [name, value] : parsed.items()) {
    if (name == kMetadataKey) {
      if (!value.is_object()) return wrong("its metadata is not an object");
      for (const auto& [key, text_value] : value.items()) {
        if (!text_value.is_string())
          return wrong(fmt::format("its metadata '{}' is not a string", key));
        header.metadata[key] = text_value.get<std::string>();
      }
      continue;
    }
    Result<Entry> entry = parse_entry(name, value);
    if (!entry) return entry.error();
    header.entries.push_back(std::move(*entry));
  }

  std::ranges::sort(header.entries, [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t end = 0;
  for (const Entry& entry : header.entries) {
    if (entry.begin != end)
      return wrong(fmt::format("tensor '{}' begins at {} where {} was expected",
                               entry.name, entry.begin, end));
    end = entry.end;
  }
  if (end != data_size)
    return wrong(fmt::format("its header describes {} bytes of data, it has {}",
                             end, data_size));
  return header;
}

Error cannot_use(const std::string& name, std::string_view why) {
  return {fmt::format("cannot use {}: {}", name, why), ExitCode::kCheckpoint};
}

// From a stream of `size` bytes.
Result<SafetensorsFile> read(std::istream& file, std::uint64_t size,
                             const std::string& name) {
  const auto wrong = [&name](std::string_view why) {
    return cannot_use(name, why);
  };
  std::uint64_t length = 0;
  if (size < kLengthBytes ||
      !file.read(reinterpret_cast<char*>(&length), kLengthBytes))
    return wrong(fmt::format("it is truncated: {} bytes", size));
  if (length > kMaxHeaderBytes)
    return wrong(fmt::format("its header would be {} bytes, more than {}",
                             length, kMaxHeaderBytes));
  if (length > size - kLengthBytes)
    return wrong(fmt::format(
        "it is truncated: a header of {} bytes, a file of {}", length, size));
  std::string text(length, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(length)))
    return wrong("its header cannot be read");
  const std::uint64_t data_size = size - kLengthBytes - length;
  Result<Header> header = parse_header(text, data_size);
  if (!header) return wrong(header.error().message);

  const auto data = std::make_shared<std::vector<std::byte>>(
      static_cast<std::size_t>(data_size));
  if (!file.read(reinterpret_cast<char*>(data->data()),
                 static_cast<std::streamsize>(data_size)))
    return wrong("its data cannot be read");

  SafetensorsFile result;
  result.metadata = std::move(header->metadata);
  for (Entry& entry : header->entries) {
    const auto bytes = std::span<const std::byte>(*data).subspan(
        entry.begin, entry.end - entry.begin);
    // Files of others need not align their tensors.
    const bool aligned = entry.begin % bytes_of(entry.meta.dtype) == 0;
    result.tensors.push_back(
        {std::move(entry.name), aligned
                                    ? Blob{std::move(entry.meta), bytes, data}
                                    : copy_blob(std::move(entry.meta), bytes)});
  }
  return result;
}

Result<SafetensorsFile> read(const std::filesystem::path& path) {
  std::error_code code;
  const std::uint64_t size = std::filesystem::file_size(path, code);
  if (code) return cannot_use(path.string(), code.message());
  std::ifstream file(path, std::ios::binary);
  if (!file) return cannot_use(path.string(), "it cannot be opened");
  return read(file, size, path.string());
}

// The file's parts, one after the other; views of the tensors and of this.
struct Parts {
  Parts(std::span<const NamedBlob> tensors,
        const std::map<std::string, std::string>& metadata);
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  std::array<std::uint64_t, 1> length{};
  std::string text;  // the header
  std::vector<std::span<const std::byte>> parts;
};

Parts::Parts(std::span<const NamedBlob> tensors,
             const std::map<std::string, std::string>& metadata)
    : parts(2) {
  std::vector<const NamedBlob*> order;
  for (const NamedBlob& tensor : tensors) order.push_back(&tensor);
  std::stable_partition(order.begin(), order.end(), [](const NamedBlob* t) {
    return t->blob.meta.dtype == DType::kInt64;
  });

  json header = json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::uint64_t end = 0;
  for (const NamedBlob* tensor : order) {
    const auto& [meta, bytes, owner] = tensor->blob;
    MDGAN_CHECK(data_bytes(meta) == bytes.size());
    MDGAN_CHECK(!header.contains(tensor->name));
    header[tensor->name] = {
        {"dtype", name_of(kDTypeNames, meta.dtype)},
        {"shape", meta.dims},
        {"data_offsets", {end, end + bytes.size()}},
    };
    parts.push_back(bytes);
    end += bytes.size();
  }
  text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  MDGAN_CHECK(text.size() < kMaxHeaderBytes);
  text.append((8 - text.size() % 8) % 8, ' ');
  length[0] = text.size();
  parts[0] = std::as_bytes(std::span(length));
  parts[1] = std::as_bytes(std::span(text));
}

}  // namespace

Result<void> write_safetensors(
    const std::filesystem::path& path, std::span<const NamedBlob> tensors,
    const std::map<std::string, std::string>& metadata, WriteFile* write) {
  const Parts all(tensors, metadata);
  return write(path, all.parts);
}

Blob safetensors_file(std::span<const NamedBlob> tensors,
                      const std::map<std::string, std::string>& metadata) {
  const Parts all(tensors, metadata);
  std::uint64_t size = 0;
  for (const auto part : all.parts) size += part.size();
  NewBlob file = make_blob({DType::kUint8, {size}});
  auto at = file.bytes.begin();
  for (const auto part : all.parts) at = std::ranges::copy(part, at).out;
  return file.blob;
}

Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes,
                                          const std::string& what) {
  try {
    std::istringstream stream(
        std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    return read(stream, bytes.size(), what);
  } catch (const std::exception& e) {  // no memory
    return cannot_use(what, e.what());
  }
}

Result<SafetensorsFile> read_safetensors(const std::filesystem::path& path) {
  try {
    return read(path);
  } catch (const std::exception& e) {  // no memory
    return Error{fmt::format("cannot read {}: {}", path.string(), e.what()),
                 ExitCode::kCheckpoint};
  }
}

}  // namespace mdgan
