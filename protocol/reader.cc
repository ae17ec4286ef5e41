#include "protocol/reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "protocol/messages.h"

namespace mdgan::protocol {
namespace {

std::string describe(const msgpack::object& object) {
  switch (object.type) {
    case msgpack::type::NIL:
      return "nil";
    case msgpack::type::BOOLEAN:
      return "a boolean";
    case msgpack::type::POSITIVE_INTEGER:
      return std::to_string(object.via.u64);
    case msgpack::type::NEGATIVE_INTEGER:
      return std::to_string(object.via.i64);
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return std::to_string(object.via.f64);
    case msgpack::type::STR:
      return "a string of " + std::to_string(object.via.str.size) + " bytes";
    case msgpack::type::BIN:
      return "binary of " + std::to_string(object.via.bin.size) + " bytes";
    case msgpack::type::ARRAY:
      return "an array of " + std::to_string(object.via.array.size);
    default:
      return "a type this protocol does not use";
  }
}

std::string range(const std::string& least, const std::string& most) {
  return "an integer in [" + least + ", " + most + "]";
}

}  // namespace

bool is_clean_text(std::string_view text) {
  std::size_t i = 0;
  const auto byte = [&](std::size_t at) -> std::uint32_t {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
  };
  while (i < text.size()) {
    const std::uint32_t lead = byte(i);
    const std::size_t length = lead < 0x80                    ? 1
                               : lead >= 0xc2 && lead <= 0xdf ? 2
                               : (lead & 0xf0U) == 0xe0       ? 3
                               : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                              : 0;
    if (length == 0) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t j = 1; j < length; ++j) {
      if ((byte(i + j) & 0xc0U) != 0x80) return false;
      point = (point << 6U) | (byte(i + j) & 0x3fU);
    }
    const bool overlong =
        (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    const bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
    if (overlong || surrogate || control || point > 0x10ffff) return false;
    i += length;
  }
  return true;
}

Reader::Reader(const msgpack::object& object, std::string path,
               std::uint32_t minor, std::string& error)
    : path_(std::move(path)), minor_(minor), error_(&error) {
  if (object.type != msgpack::type::ARRAY) {
    fail("", "an array, got " + describe(object));
    return;
  }
  fields_ = {object.via.array.ptr, object.via.array.size};
}

std::uint64_t Reader::integer(std::string_view field, std::uint64_t least,
                              std::uint64_t most) {
  const msgpack::object* object = next(field);
  if (object == nullptr) return least;
  if (object->type == msgpack::type::POSITIVE_INTEGER &&
      object->via.u64 >= least && object->via.u64 <= most)
    return object->via.u64;
  fail(field, range(std::to_string(least), std::to_string(most)) + ", got " +
                  describe(*object));
  return least;
}

std::uint32_t Reader::integer32(std::string_view field, std::uint32_t least,
                                std::uint32_t most) {
  return static_cast<std::uint32_t>(integer(field, least, most));
}

std::int64_t Reader::signed_integer(std::string_view field, std::int64_t least,
                                    std::int64_t most) {
  const msgpack::object* object = next(field);
  if (object == nullptr) return least;
  const bool negative = object->type == msgpack::type::NEGATIVE_INTEGER;
  const bool positive = object->type == msgpack::type::POSITIVE_INTEGER;
  const bool above =
      positive &&
      (most < 0 || object->via.u64 > static_cast<std::uint64_t>(most));
  if ((negative || positive) && !above) {
    const std::int64_t value =
        negative ? object->via.i64 : static_cast<std::int64_t>(object->via.u64);
    if (value >= least && value <= most) return value;
  }
  fail(field, range(std::to_string(least), std::to_string(most)) + ", got " +
                  describe(*object));
  return least;
}

double Reader::number(std::string_view field, double least) {
  const msgpack::object* object = next(field);
  if (object == nullptr) return 0;
  double value = std::numeric_limits<double>::quiet_NaN();
  switch (object->type) {
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      value = object->via.f64;
      break;
    case msgpack::type::POSITIVE_INTEGER:
      value = static_cast<double>(object->via.u64);
      break;
    case msgpack::type::NEGATIVE_INTEGER:
      value = static_cast<double>(object->via.i64);
      break;
    default:
      break;
  }
  if (std::isfinite(value) && value >= least) return value;
  const bool bounded = least > std::numeric_limits<double>::lowest();
  fail(field, "a finite number" +
                  (bounded ? " of at least " + std::to_string(least) : "") +
                  ", got " + describe(*object));
  return 0;
}

bool Reader::boolean(std::string_view field) {
  const msgpack::object* object = next(field);
  if (object == nullptr) return false;
  if (object->type == msgpack::type::BOOLEAN) return object->via.boolean;
  fail(field, "a boolean, got " + describe(*object));
  return false;
}

std::string Reader::text(std::string_view field, std::size_t least) {
  const msgpack::object* object = next(field);
  if (object == nullptr) return {};
  if (object->type == msgpack::type::STR) {
    const std::string_view text(object->via.str.ptr, object->via.str.size);
    if (text.size() >= least && text.size() <= kMaxString &&
        is_clean_text(text))
      return std::string(text);
  }
  fail(field, "a string of " + std::to_string(least) + " to " +
                  std::to_string(kMaxString) +
                  " bytes of UTF-8 without control characters, got " +
                  describe(*object));
  return {};
}

void Reader::binary(std::string_view field, std::span<std::byte> out) {
  const msgpack::object* object = next(field);
  if (object == nullptr) return;
  if (object->type == msgpack::type::BIN &&
      object->via.bin.size == out.size()) {
    std::memcpy(out.data(), object->via.bin.ptr, out.size());
    return;
  }
  fail(field, "binary of " + std::to_string(out.size()) + " bytes, got " +
                  describe(*object));
}

Reader Reader::record(std::string_view field) {
  static const msgpack::object kNil;  // NOLINT: a constant
  const msgpack::object* object = next(field);
  return {object == nullptr ? kNil : *object, path_of(field), minor_, *error_};
}

void Reader::finish() {
  if (!ok() || minor_ > kMinor || used_ == fields_.size()) return;
  fail("", "an array of " + std::to_string(used_) + " fields, got " +
               std::to_string(fields_.size()));
}

void Reader::fail(std::string_view field, const std::string& expected) {
  if (ok()) *error_ = path_of(field) + ": expected " + expected;
}

const msgpack::object* Reader::next(std::string_view field) {
  if (!ok()) return nullptr;
  if (used_ < fields_.size()) return &fields_[used_++];
  fail(field,
       "one more field, the array has only " + std::to_string(fields_.size()));
  return nullptr;
}

std::string Reader::path_of(std::string_view field) const {
  if (field.empty()) return path_;
  return path_ + "." + std::string(field);
}

}  // namespace mdgan::protocol
