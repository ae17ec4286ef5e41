#include "common/privacy/ledger_book.h"

#include <array>
#include <cstring>
#include <span>
#include <utility>

#include "common/files/hash.h"

namespace mdgan {
namespace {

ImageDigest digest_of(const ImageShape& shape,
                      std::span<const std::uint8_t> pixels) {
  // Images of different shapes are not the same for having the same bytes.
  std::vector<std::byte> bytes(3 * sizeof(std::uint32_t) + pixels.size());
  const std::array sides{shape.channels, shape.height, shape.width};
  std::memcpy(bytes.data(), sides.data(), sizeof sides);
  std::memcpy(bytes.data() + sizeof sides, pixels.data(), pixels.size());
  const Sha256 hash = sha256(bytes);
  ImageDigest digest = 0;
  std::memcpy(&digest, hash.data(), sizeof digest);
  return digest;
}

}  // namespace

LedgerBook::LedgerBook(const PrivacySpec& spec, std::filesystem::path folder,
                       const Dataset& data,
                       const std::vector<std::vector<std::uint32_t>>& shards)
    : spec_(spec), folder_(std::move(folder)) {
  const std::size_t size = data.shape.values();
  for (std::size_t i = 0; i < data.size(); ++i)
    images_.push_back(
        digest_of(data.shape, std::span(data.pixels).subspan(i * size, size)));
  for (const auto& shard : shards)
    fingerprints_.push_back(fingerprint_of(images_of(shard)));
}

Result<std::unique_ptr<LedgerFile>> LedgerBook::open(
    const std::vector<std::uint32_t>& shard, double rate) const {
  return LedgerFile::open(folder_, images_of(shard), fingerprints_, spec_,
                          rate);
}

std::vector<ImageDigest> LedgerBook::images_of(
    const std::vector<std::uint32_t>& shard) const {
  std::vector<ImageDigest> images;
  images.reserve(shard.size());
  for (const std::uint32_t index : shard) images.push_back(images_[index]);
  return images;
}

}  // namespace mdgan
