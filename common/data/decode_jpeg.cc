#include <cstdio>  // jpeglib.h needs it

#include <jpeglib.h>
// This one goes on from jpeglib.h.
#include <jerror.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "common/data/image_decoders.h"

namespace mdgan {
namespace {

// A small progressive file can ask for unbounded work.
constexpr int kMostScans = 500;

struct JpegDecoder {
  JpegDecoder() {
    jpeg.err = jpeg_std_error(&errors);
    jpeg.client_data = this;
    errors.error_exit = &JpegDecoder::fail;
    errors.emit_message = &JpegDecoder::warn;
    progress.progress_monitor = &JpegDecoder::count_scans;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&jpeg); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  [[noreturn]] static void stop(j_common_ptr jpeg, const char* text) {
    auto* self = static_cast<JpegDecoder*>(jpeg->client_data);
    if (text != nullptr)
      std::strncpy(self->message.data(), text, self->message.size() - 1);
    else
      jpeg->err->format_message(jpeg, self->message.data());
    std::longjmp(self->jump, 1);  // NOLINT(cert-err52-cpp)
  }
  [[noreturn]] static void fail(j_common_ptr jpeg) {
    const int code = jpeg->err->msg_code;
    static_cast<JpegDecoder*>(jpeg->client_data)->unread =
        code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED ||
        code == JERR_ARITH_NOTIMPL;
    stop(jpeg, nullptr);
  }
  // Damage is a mere warning to the library, which makes up the pixels. What
  // lies between two parts or is missing after the last pixel harms none.
  static void warn(j_common_ptr jpeg, int level) {
    const int code = jpeg->err->msg_code;
    if (code == JWRN_JPEG_EOF)
      static_cast<JpegDecoder*>(jpeg->client_data)->unended = true;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JPEG_EOF &&
        code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM &&
        code != JWRN_NOT_SEQUENTIAL)
      stop(jpeg, nullptr);
  }
  static void count_scans(j_common_ptr jpeg) {
    if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number >
        kMostScans)
      stop(jpeg, "more than 500 scans");
  }

  jpeg_error_mgr errors{};
  jpeg_decompress_struct jpeg{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  std::array<char, JMSG_LENGTH_MAX> message{};
  bool unended = false;  // the end mark is missing
  bool unread = false;   // it is of a kind that the library does not read
};

// The library's errors jump out of these two functions, so that neither has a
// variable with a destructor.
bool read_header(JpegDecoder& decoder, const unsigned char* bytes,
                 unsigned long size) {
  if (setjmp(decoder.jump) != 0) return false;  // NOLINT(cert-err52-cpp)
  jpeg_decompress_struct& jpeg = decoder.jpeg;
  jpeg_create_decompress(&jpeg);
  jpeg.progress = &decoder.progress;
  jpeg_mem_src(&jpeg, bytes, size);
  jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&jpeg, TRUE);
  if (jpeg.num_components == 4)
    jpeg.out_color_space = JCS_CMYK;
  else if (jpeg.num_components == 3)
    jpeg.out_color_space = JCS_RGB;
  jpeg_calc_output_dimensions(&jpeg);
  return true;
}

bool read_jpeg(JpegDecoder& decoder, JSAMPROW first, std::size_t row_bytes) {
  if (setjmp(decoder.jump) != 0) return false;  // NOLINT(cert-err52-cpp)
  jpeg_start_decompress(&decoder.jpeg);
  while (decoder.jpeg.output_scanline < decoder.jpeg.output_height) {
    JSAMPROW row = first + decoder.jpeg.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder.jpeg, &row, 1);
  }
  // Then nobody knows how many scans are missing.
  if (decoder.unended && jpeg_has_multiple_scans(&decoder.jpeg) != 0)
    JpegDecoder::stop(reinterpret_cast<j_common_ptr>(&decoder.jpeg),
                      "it ends too early");
  return true;
}

unsigned orientation_of(const jpeg_decompress_struct& jpeg) {
  for (const auto* marker = jpeg.marker_list; marker != nullptr;
       marker = marker->next) {
    const auto data =
        std::as_bytes(std::span(marker->data, marker->data_length));
    if (data.size() >= kExifMark.size() &&
        std::memcmp(data.data(), kExifMark.data(), kExifMark.size()) == 0)
      return exif_orientation(data.subspan(kExifMark.size()));
  }
  return 1;
}

// Reduces pixels of four values to RGB, where they are. Programs store CMYK
// inverted, whether or not they leave Adobe's mark; Pillow reads it so, too.
void cmyk_to_rgb(std::vector<std::uint8_t>& rows) {
  std::size_t to = 0;
  for (std::size_t at = 0; at < rows.size(); at += 4) {
    const std::uint8_t light = rows[at + 3];
    for (std::size_t c = 0; c < 3; ++c)
      rows[to++] = scaled(rows[at + c], light);
  }
  rows.resize(to);
}

}  // namespace

Result<Image> decode_jpeg(std::span<const std::byte> bytes,
                          const std::string& name) {
  JpegDecoder decoder;
  jpeg_decompress_struct& jpeg = decoder.jpeg;
  const auto damaged = [&] {
    if (decoder.unread)
      return bad_image(name, fmt::format("is a JPEG file of a kind that is not "
                                         "read ({})",
                                         decoder.message.data()));
    return bad_image(name, fmt::format("damaged JPEG file of {} bytes ({})",
                                       bytes.size(), decoder.message.data()));
  };
  if (!read_header(decoder,
                   reinterpret_cast<const unsigned char*>(bytes.data()),
                   bytes.size()))
    return damaged();
  const std::uint32_t width = jpeg.output_width;
  const std::uint32_t height = jpeg.output_height;
  if (const auto size = check_size(name, width, height); !size)
    return size.error();
  const auto components = static_cast<std::uint32_t>(jpeg.num_components);
  if (components != 1 && components != 3 && components != 4)
    return bad_image(name, fmt::format("JPEG file of {} channels; 1, 3 and 4 "
                                       "are read",
                                       components));
  const std::size_t row_bytes = std::size_t{components} * width;
  std::vector<std::uint8_t> rows(row_bytes * height);
  if (!read_jpeg(decoder, rows.data(), row_bytes)) return damaged();
  if (components == 4) cmyk_to_rgb(rows);
  const std::uint32_t channels = components == 1 ? 1 : 3;
  Image image = image_of_rows(rows, channels, channels, height, width);
  turn_upright(image, orientation_of(jpeg));
  return image;
}

}  // namespace mdgan
