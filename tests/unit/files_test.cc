#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/files/atomic_write.h"
#include "common/files/hash.h"
#include "common/files/jsonl.h"
#include "common/files/line_writer.h"
#include "tests/support/catch.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

TEST_CASE("an atomic write replaces the file or leaves it alone",
          "[atomic_write]") {
  const TemporaryDirectory dir;
  REQUIRE(atomic_write(dir / "a", "old"));
  REQUIRE(atomic_write(dir / "a", "new"));
  CHECK(read_text(dir / "a") == "new");
  {
    const FileSizeLimit full(2);
    CHECK_FALSE(atomic_write(dir / "a", "newest"));
  }
  CHECK(read_text(dir / "a") == "new");
  const fs::directory_iterator left(dir.path());
  CHECK(std::distance(begin(left), end(left)) == 1);
}

TEST_CASE("an atomic write lets nobody read what they could not",
          "[atomic_write]") {
  const TemporaryDirectory dir;
  REQUIRE(atomic_write(dir / "a", "old"));
  fs::permissions(dir / "a", fs::perms::owner_read | fs::perms::owner_write);
  REQUIRE(atomic_write(dir / "a", "new"));
  CHECK(fs::status(dir / "a").permissions() ==
        (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("hexadecimal digits are read as they are written", "[hash]") {
  const std::array<std::byte, 3> bytes{std::byte{0x0f}, std::byte{0xa0},
                                       std::byte{0xff}};
  CHECK(to_hex(bytes) == "0fa0ff");
  std::array<std::byte, 3> read{};
  REQUIRE(from_hex("0fa0ff", read));
  CHECK(read == bytes);
  for (const std::string_view text :
       {"", "0fa0f", "0fa0ff00", "0fa0fg", "0FA0FF", " 0fa0f", "0fa0f "})
    CHECK_FALSE(from_hex(text, read));
}

TEST_CASE("SHA-256 is the standard's", "[hash]") {
  const std::string abc = "abc";
  const std::string expected =
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(to_hex(sha256(std::as_bytes(std::span(abc)))) == expected);
  const TemporaryDirectory dir;
  write_text(dir / "abc", abc);
  const auto hash = sha256_of_file(dir / "abc");
  REQUIRE(hash);
  CHECK(to_hex(*hash) == expected);
  // Longer than the buffer it is read through.
  const std::string big(300'000, 'x');
  write_text(dir / "big", big);
  CHECK(
      (*sha256_of_file(dir / "big") == sha256(std::as_bytes(std::span(big)))));
  CHECK_FALSE(sha256_of_file(dir / "missing"));
}

TEST_CASE("JSON lines are appended across openings", "[jsonl]") {
  const TemporaryDirectory dir;
  for (const char* line : {"{\"round\":1}", "{\"round\":2}"}) {
    auto writer = LineWriter::open(dir / "m.jsonl");
    REQUIRE(writer);
    CHECK(writer->append(line));
  }
  CHECK(read_text(dir / "m.jsonl") == "{\"round\":1}\n{\"round\":2}\n");
}

TEST_CASE("a last line without an end is cut off when opening", "[jsonl]") {
  const auto [before, after] = GENERATE(
      std::pair(std::string("{}\n{\"round\""), std::string("{}\n")),
      std::pair(std::string("{\"round\""), std::string()),
      std::pair("{}\n" + std::string(10'000, 'x'), std::string("{}\n")),
      std::pair(std::string("{}\n"), std::string("{}\n")));
  const TemporaryDirectory dir;
  write_text(dir / "m.jsonl", before);
  REQUIRE(LineWriter::open(dir / "m.jsonl"));
  CHECK(read_text(dir / "m.jsonl") == after);
}

TEST_CASE("a full disk leaves whole lines, and later lines succeed",
          "[jsonl]") {
  const TemporaryDirectory dir;
  auto writer = LineWriter::open(dir / "m.jsonl");
  REQUIRE(writer);
  REQUIRE(writer->append("{\"round\":1}"));
  {
    const FileSizeLimit full(16);  // a part of the line fits
    const auto appended = writer->append("{\"round\":2}");
    REQUIRE_FALSE(appended);
    CHECK(appended.error().message.find("m.jsonl") != std::string::npos);
  }
  CHECK(writer->append("{\"round\":3}"));
  CHECK(read_text(dir / "m.jsonl") == "{\"round\":1}\n{\"round\":3}\n");
  CHECK_FALSE(LineWriter::open("/dev/full"));
}

TEST_CASE("a resumed run forgets the lines of rounds it repeats", "[jsonl]") {
  const TemporaryDirectory dir;
  const fs::path path = dir / "m.jsonl";
  write_text(
      path,
      "{\"event\":\"start\"}\n{\"round\":1}\n{\"round\":2,\"x\":[1]}\n"
      "{\"round\":3}\nnot json\n{\"round\":\"4\"}\n{\"round\":5}\n{\"ro");
  REQUIRE(truncate_after_round(path, Round{2}));
  const std::string expected =
      "{\"event\":\"start\"}\n{\"round\":1}\n{\"round\":2,\"x\":[1]}\n"
      "not json\n{\"round\":\"4\"}\n";
  CHECK(read_text(path) == expected);
  REQUIRE(truncate_after_round(path, Round{2}));
  CHECK(read_text(path) == expected);
  CHECK(truncate_after_round(dir / "missing", Round{2}));
  CHECK_FALSE(fs::exists(dir / "missing"));
}

}  // namespace
}  // namespace mdgan::test
