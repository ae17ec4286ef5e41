#include <spdlog/fmt/fmt.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "common/data/image_decoders.h"

namespace mdgan {
namespace {

unsigned orientation_of(const WebPData& file) {
  const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer(
      WebPDemux(&file), &WebPDemuxDelete);
  WebPChunkIterator chunk{};
  if (!demuxer || WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) == 0)
    return 1;
  auto exif = std::span(chunk.chunk.bytes, chunk.chunk.size);
  if (exif.size() >= kExifMark.size() &&
      std::equal(kExifMark.begin(), kExifMark.end(), exif.begin()))
    exif = exif.subspan(kExifMark.size());
  const unsigned orientation = exif_orientation(std::as_bytes(exif));
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

}  // namespace

Result<Image> decode_webp(std::span<const std::byte> bytes,
                          const std::string& name) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto damaged = [&] {
    return bad_image(
        name, fmt::format("damaged WebP file of {} bytes", bytes.size()));
  };
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK)
    return damaged();
  const auto width = static_cast<std::uint32_t>(features.width);
  const auto height = static_cast<std::uint32_t>(features.height);
  if (const auto size = check_size(name, width, height); !size)
    return size.error();
  if (features.has_animation != 0)
    return bad_image(name, "is an animation, and images are read");
  const std::uint32_t stride = features.has_alpha != 0 ? 4 : 3;
  std::vector<std::uint8_t> rows(std::size_t{stride} * width * height);
  const auto decode = stride == 4 ? &WebPDecodeRGBAInto : &WebPDecodeRGBInto;
  if (decode(data, bytes.size(), rows.data(), rows.size(),
             static_cast<int>(stride * width)) == nullptr)
    return damaged();
  Image image = image_of_rows(rows, stride, 3, height, width);
  turn_upright(image, orientation_of({data, bytes.size()}));
  return image;
}

}  // namespace mdgan
