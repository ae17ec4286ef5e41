// IDX files for the tests to read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mdgan::test {

inline std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<char>(value >> shift & 0xFF));
  return bytes;
}

inline std::string idx_images(std::uint32_t count, std::uint32_t height,
                              std::uint32_t width, std::size_t values) {
  std::string file = big_endian(0x803) + big_endian(count) +
                     big_endian(height) + big_endian(width);
  for (std::size_t i = 0; i < values; ++i) file.push_back(static_cast<char>(i));
  return file;
}

inline std::string idx_labels(std::uint32_t count, std::string_view labels) {
  return big_endian(0x801) + big_endian(count) + std::string(labels);
}

}  // namespace mdgan::test
