// TensorBoard's files: what tests/tensorboard_test.py cannot bring about.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "server/run/tensorboard_events.h"
#include "server/run/tensorboard_file.h"
#include "tests/support/catch.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

TEST_CASE("a record has the sums that TensorFlow's reader expects") {
  CHECK(tensorboard::crc32c("123456789") == 0xE3069283U);
  CHECK(tensorboard::crc32c("") == 0);
  CHECK(tensorboard::record("abc").size() == 8 + 4 + 3 + 4);
}

TEST_CASE("what is no PNG makes no event, and no number none either") {
  CHECK(tensorboard::image_event({}, "samples", "").empty());
  CHECK(tensorboard::image_event({}, "samples", std::string(64, 'x')).empty());
  CHECK(tensorboard::image_event({}, "samples", "\x89PNG\r\n\x1a\n").empty());
  const double none = std::numeric_limits<double>::infinity();
  CHECK(tensorboard::scalars_event({1, 2}, {{"a", none}}) ==
        tensorboard::scalars_event({1, 2}, {}));
}

TEST_CASE("a disk that hangs or is full costs TensorBoard events alone") {
  const TemporaryDirectory folder;
  std::vector<std::function<void()>> tasks;
  auto file = TensorboardFile::open(
      folder / "tensorboard", Round{}, 1,
      [&](std::function<void()> task) { tasks.push_back(std::move(task)); });
  REQUIRE(file);
  const fs::path path = fs::directory_iterator(folder / "tensorboard")->path();
  const auto begun = fs::file_size(path);
  CHECK(begun > 0);
  for (std::uint64_t round = 1; round <= 1500; ++round) {
    StatsRecord record;
    record.round = round;
    file->on_tick(record);
  }
  REQUIRE(tasks.size() == 1);
  CHECK(fs::file_size(path) == begun);  // the loop writes nothing
  {
    // Room for some events and the half of one.
    const FileSizeLimit limit(begun + 10'000);
    tasks[0]();
  }
  const std::string written = read_text(path);
  CHECK(written.size() < begun + 10'000);
  StatsRecord last;
  last.round = 2000;
  file->on_tick(last);
  file->on_finished({});
  // The records after the torn one begin where it began.
  std::size_t records = 0;
  const std::string all = read_text(path);
  for (std::size_t at = 0; at < all.size(); ++records) {
    REQUIRE(at + 8 <= all.size());
    std::size_t length = 0;
    for (std::size_t i = 8; i-- > 0;)
      length = length << 8 | static_cast<unsigned char>(all[at + i]);
    REQUIRE(length < all.size());
    const std::string event = all.substr(at + 12, length);
    REQUIRE(all.substr(at, length + 16) == tensorboard::record(event));
    at += length + 16;
  }
  CHECK(all.size() > written.size());
  CHECK(records > 20);
}

}  // namespace mdgan::test
