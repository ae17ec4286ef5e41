#include "protocol/reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "protocol/clean_text.h"
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
  const double value = any_number(field);
  if (!ok() || (std::isfinite(value) && value >= least)) return value;
  const bool bounded = least > std::numeric_limits<double>::lowest();
  fail(field, "a finite number" +
                  (bounded ? " of at least " + std::to_string(least) : "") +
                  ", got " + std::to_string(value));
  return 0;
}

double Reader::any_number(std::string_view field) {
  const msgpack::object* object = next(field);
  if (object == nullptr) return 0;
  switch (object->type) {
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return object->via.f64;
    case msgpack::type::POSITIVE_INTEGER:
      return static_cast<double>(object->via.u64);
    case msgpack::type::NEGATIVE_INTEGER:
      return static_cast<double>(object->via.i64);
    default:
      fail(field, "a number, got " + describe(*object));
      return 0;
  }
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
  fail(field,
       "a string of " + std::to_string(least) + " to " +
           std::to_string(kMaxString) +
           " bytes of UTF-8 without control and format characters, got " +
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
