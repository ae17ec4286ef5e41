#include "common/data/image_file.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <string_view>

#include "common/data/image_decoders.h"
#include "common/files/read_file.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

using namespace std::string_view_literals;

// How files of a format begin; a '?' stands for any byte. Formats without a
// decoder are named, so that whoever has them knows what to convert.
struct Format {
  std::string_view begin;
  std::string_view name;
  Result<Image> (*decode)(std::span<const std::byte>,
                          const std::string&) = nullptr;
};
// After a preamble of any 128 bytes.
constexpr std::string_view kDicom =
    "????????????????????????????????????????????????????????????????"
    "????????????????????????????????????????????????????????????????DICM";
constexpr std::array kFormats{
    Format{"\x89PNG\r\n\x1a\n"sv, "PNG", &decode_png},
    Format{"\xff\xd8\xff"sv, "JPEG", &decode_jpeg},
    Format{"RIFF????WEBP"sv, "WebP", &decode_webp},
    Format{"II*\0"sv, "TIFF", &decode_tiff},
    Format{"MM\0*"sv, "TIFF", &decode_tiff},
    Format{"II+\0"sv, "TIFF", &decode_tiff},  // BigTIFF
    Format{"MM\0+"sv, "TIFF", &decode_tiff},
    Format{"BM????\0\0\0\0"sv, "BMP", &decode_bmp},
    Format{"GIF8"sv, "GIF"},
    Format{"????ftypavif"sv, "AVIF"},
    Format{"????ftyphei"sv, "HEIC"},
    Format{"????ftypmif1"sv, "HEIC"},
    Format{"\0\0\0\x0cjP  "sv, "JPEG 2000"},
    Format{"\xff\x4f\xff\x51"sv, "JPEG 2000"},
    Format{"\0\0\0\x0cJXL "sv, "JPEG XL"},
    Format{"\xff\x0a"sv, "JPEG XL"},
    Format{"P4\n"sv, "PBM"},
    Format{"P5\n"sv, "PGM"},
    Format{"P6\n"sv, "PPM"},
    Format{kDicom, "DICOM"},
};
constexpr std::size_t kLongestBegin = kDicom.size();

const Format* format_of(std::string_view begin) {
  const auto* found = std::ranges::find_if(kFormats, [&](const Format& format) {
    return begin.size() >= format.begin.size() &&
           std::ranges::equal(format.begin,
                              begin.substr(0, format.begin.size()),
                              [](char expected, char c) {
                                return expected == '?' || expected == c;
                              });
  });
  return found == kFormats.end() ? nullptr : found;
}

bool has_image_name(const std::filesystem::path& path) {
  std::string text = path.extension().string();
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  constexpr std::array kEnds{".png", ".jpg",  ".jpeg", ".webp",
                             ".tif", ".tiff", ".bmp"};
  return std::ranges::find(kEnds, text) != kEnds.end();
}

}  // namespace

bool is_image_file(const std::filesystem::path& path) {
  if (has_image_name(path)) return true;
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  std::ifstream file(path, std::ios::binary);
  std::array<char, kLongestBegin> begin{};
  file.read(begin.data(), begin.size());
  return format_of({begin.data(), static_cast<std::size_t>(file.gcount())}) !=
         nullptr;
}

Result<Image> read_image(const std::filesystem::path& path) {
  const Result<std::vector<std::byte>> bytes = read_file(path, ExitCode::kData);
  if (!bytes) return bytes.error();
  const std::string name = path.string();
  if (bytes->empty()) return bad_image(name, "is empty");
  const Format* format =
      format_of({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (format == nullptr)
    return bad_image(name, "is no image of a known format");
  if (format->decode != nullptr) return format->decode(*bytes, name);
  return Error{fmt::format("{}: is a {} file, which is not read; convert it to "
                           "PNG, as with: mogrify -format png FILE",
                           protocol::presentable(name), format->name),
               ExitCode::kData};
}

}  // namespace mdgan
