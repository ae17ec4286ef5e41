// Reads the fields of a msgpack array one after the other, checking each.
// Private to the codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <msgpack.hpp>
#include <span>
#include <string>
#include <string_view>

#include "protocol/limits.h"

namespace mdgan::protocol {

// Whether `text` is UTF-8 (RFC 3629) without control characters, so that it can
// be shown on a terminal and written to a log.
bool is_clean_text(std::string_view text);

// The first failure is kept and every later read returns a default, so that the
// code that reads a message needs to ask once, at its end.
class Reader {
 public:
  // Reads `object`, called `path` in errors. An array of fixed fields may be
  // longer than expected when `minor`, the sender's version, is above ours.
  // `error` must outlive the reader; empty means no failure so far.
  Reader(const msgpack::object& object, std::string path, std::uint32_t minor,
         std::string& error);

  std::uint64_t integer(
      std::string_view field, std::uint64_t least = 0,
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
  std::uint32_t integer32(
      std::string_view field, std::uint32_t least = 0,
      std::uint32_t most = std::numeric_limits<std::uint32_t>::max());
  std::int64_t signed_integer(std::string_view field, std::int64_t least,
                              std::int64_t most);
  // Finite; float32, float64 and integers are taken.
  double number(std::string_view field,
                double least = std::numeric_limits<double>::lowest());
  bool boolean(std::string_view field);
  // At most kMaxString bytes of clean text.
  std::string text(std::string_view field, std::size_t least = 0);
  // Exactly out.size() bytes.
  void binary(std::string_view field, std::span<std::byte> out);
  // A nested array of fixed fields; call its finish().
  Reader record(std::string_view field);
  // A nested array of at most `most` equal elements: calls element(reader) for
  // each, which reads one field with the empty name.
  template <typename Element>
  void list(std::string_view field, std::size_t most, Element element);
  // No field may be left, unless the sender is newer.
  void finish();

  bool ok() const { return error_->empty(); }
  // Notes that the field just read is wrong: "path.field: expected ...".
  void fail(std::string_view field, const std::string& expected);

 private:
  // The next field, or nullptr when there is none or something failed before.
  const msgpack::object* next(std::string_view field);
  std::string path_of(std::string_view field) const;

  std::string path_;
  std::span<const msgpack::object> fields_;
  std::size_t used_ = 0;
  std::uint32_t minor_;
  std::string* error_;
};

template <typename Element>
void Reader::list(std::string_view field, std::size_t most, Element element) {
  Reader items = record(field);
  if (!ok()) return;
  if (items.fields_.size() > most) {
    fail(field, "at most " + std::to_string(most) + " elements, there are " +
                    std::to_string(items.fields_.size()));
    return;
  }
  while (ok() && items.used_ < items.fields_.size()) element(items);
}

}  // namespace mdgan::protocol
