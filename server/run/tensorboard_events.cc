#include "server/run/tensorboard_events.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>

namespace mdgan::tensorboard {
namespace {

// Wire types of protocol buffers.
constexpr std::uint32_t kVarint = 0;
constexpr std::uint32_t kFixed64 = 1;
constexpr std::uint32_t kBytes = 2;
constexpr std::uint32_t kFixed32 = 5;

constexpr std::size_t kMostPicture = std::size_t{16} << 20;

template <typename Unsigned>
void put_little_endian(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
}

void put_varint(std::string& out, std::uint64_t value) {
  for (; value > 0x7F; value >>= 7)
    out.push_back(static_cast<char>((value & 0x7F) | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_key(std::string& out, std::uint32_t field, std::uint32_t wire_type) {
  put_varint(out, field << 3 | wire_type);
}
void put_number(std::string& out, std::uint32_t field, std::uint64_t value) {
  put_key(out, field, kVarint);
  put_varint(out, value);
}
void put_text(std::string& out, std::uint32_t field, std::string_view bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// Event: wall_time = 1 (double), step = 2.
std::string event_at(const Moment& moment) {
  std::string event;
  put_key(event, 1, kFixed64);
  put_little_endian(event, std::bit_cast<std::uint64_t>(moment.wall_time));
  put_number(event, 2, moment.step);
  return event;
}

// Event.summary = 5; Summary.value = 1.
std::string with_values(const Moment& moment,
                        const std::vector<std::string>& values) {
  std::string summary;
  for (const std::string& value : values) put_text(summary, 1, value);
  std::string event = event_at(moment);
  put_text(event, 5, summary);
  return event;
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

constexpr auto kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = value >> 1 ^ ((value & 1) != 0 ? 0x82F63B78U : 0U);
    table[i] = value;
  }
  return table;
}();

std::uint32_t masked(std::uint32_t crc) {
  return std::rotr(crc, 15) + 0xA282EAD8U;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes)
    crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  return ~crc;
}

std::string record(std::string_view event) {
  std::string out;
  put_little_endian(out, static_cast<std::uint64_t>(event.size()));
  put_little_endian(out, masked(crc32c(out)));
  out += event;
  put_little_endian(out, masked(crc32c(event)));
  return out;
}

// Event.file_version = 3.
std::string version_event(double wall_time) {
  std::string event = event_at({wall_time, 0});
  put_text(event, 3, "brain.Event:2");
  return event;
}

// Event.session_log = 7; SessionLog.status = 1, START = 1.
std::string start_event(const Moment& moment) {
  std::string log;
  put_number(log, 1, 1);
  std::string event = event_at(moment);
  put_text(event, 7, log);
  return event;
}

// Summary.Value: tag = 1, simple_value = 2 (float).
std::string scalars_event(const Moment& moment,
                          const std::vector<Scalar>& scalars) {
  std::vector<std::string> values;
  for (const Scalar& scalar : scalars) {
    const auto number = static_cast<float>(scalar.value);
    if (!std::isfinite(number)) continue;
    std::string& value = values.emplace_back();
    put_text(value, 1, scalar.tag);
    put_key(value, 2, kFixed32);
    put_little_endian(value, std::bit_cast<std::uint32_t>(number));
  }
  return with_values(moment, values);
}

// Summary.Value: tag = 1, image = 4; Image: height = 1, width = 2,
// colorspace = 3 (1 grey, 3 RGB), encoded_image_string = 4.
std::string image_event(const Moment& moment, std::string_view tag,
                        std::string_view png) {
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  constexpr std::size_t kWidthAt = 16;   // in IHDR, the first chunk
  constexpr std::size_t kColourAt = 25;  // 0: grey
  if (!png.starts_with(kSignature) || png.size() <= kColourAt ||
      png.size() > kMostPicture)
    return "";
  std::string image;
  put_number(image, 1, big_endian(png, kWidthAt + 4));
  put_number(image, 2, big_endian(png, kWidthAt));
  put_number(image, 3, png[kColourAt] == 0 ? 1 : 3);
  put_text(image, 4, png);
  std::string value;
  put_text(value, 1, tag);
  put_text(value, 4, image);
  return with_values(moment, {value});
}

}  // namespace mdgan::tensorboard
