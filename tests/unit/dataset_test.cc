#include "common/data/dataset.h"
#include "common/data/partition.h"

#include <zlib.h>

#include <algorithm>
#include <numeric>

#include "tests/support/catch.h"
#include "tests/support/dataset_fails.h"
#include "tests/support/idx_text.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

std::string gzip(std::string_view text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8,
                       Z_DEFAULT_STRATEGY) == Z_OK);
  std::string input(text);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// Two images of 2x3.
const std::string kImages = idx_images(2, 2, 3, 12);
const std::string kLabels = idx_labels(2, "\x07\x01");
constexpr const char* kImagesName = "train-images-idx3-ubyte";
constexpr const char* kLabelsName = "train-labels-idx1-ubyte";

void check_small_mnist(const fs::path& directory) {
  const auto data = load_dataset(directory);
  REQUIRE(data);
  CHECK((data->shape == ImageShape{1, 2, 3, 10}));
  CHECK(data->size() == 2);
  Bytes pixels(12);
  std::iota(pixels.begin(), pixels.end(), std::uint8_t{0});
  CHECK(data->pixels == pixels);
  CHECK(data->labels == std::vector<std::int32_t>{7, 1});
  CHECK(data->class_names.size() == 10);
  CHECK(data->class_names.back() == "9");
}

TEST_CASE("a path that is no data set is refused with a reason", "[dataset]") {
  const TemporaryDirectory dir;
  check_fails(dir / "missing", "no such directory");
  write_text(dir / "file", "");
  check_fails(dir / "file", "not a directory");
  fs::create_directory(dir / "empty");
  check_fails(dir / "empty", "and no images");
}

TEST_CASE("MNIST is read, plain and compressed", "[dataset][idx]") {
  const TemporaryDirectory dir;
  SECTION("plain") {
    write_text(dir / kImagesName, kImages);
    write_text(dir / kLabelsName, kLabels);
    check_small_mnist(dir.path());
  }
  SECTION("gzip") {
    write_text(dir / (std::string(kImagesName) + ".gz"), gzip(kImages));
    write_text(dir / (std::string(kLabelsName) + ".gz"), gzip(kLabels));
    check_small_mnist(dir.path());
  }
  SECTION("names with dots") {
    write_text(dir / "train-images.idx3-ubyte", kImages);
    write_text(dir / "train-labels.idx1-ubyte", kLabels);
    check_small_mnist(dir.path());
  }
  SECTION("where torchvision puts it") {
    fs::create_directories(dir / "MNIST" / "raw");
    write_text(dir / "MNIST" / "raw" / kImagesName, kImages);
    write_text(dir / "MNIST" / "raw" / kLabelsName, kLabels);
    check_small_mnist(dir.path());
    check_small_mnist(dir / "MNIST");
    write_text(dir / kImagesName, kImages);  // not with the others' labels
    check_fails(dir.path(), "train-labels-idx1-ubyte[.gz] is missing");
  }
  SECTION("mixed") {
    write_text(dir / kImagesName, kImages);
    write_text(dir / (std::string(kLabelsName) + ".gz"), gzip(kLabels));
    check_small_mnist(dir.path());
  }
}

TEST_CASE("the test part is read where there is one", "[dataset]") {
  const TemporaryDirectory dir;
  write_text(dir / kImagesName, kImages);
  write_text(dir / kLabelsName, kLabels);
  CHECK_FALSE(has_test_part(dir.path()));
  write_text(dir / "t10k-images-idx3-ubyte", idx_images(1, 2, 3, 6));
  CHECK(has_test_part(dir.path()));
  CHECK_FALSE(load_dataset(dir.path(), DataPart::kTest));
  write_text(dir / "t10k-labels-idx1-ubyte", idx_labels(1, "\x04"));
  const auto test = load_dataset(dir.path(), DataPart::kTest);
  REQUIRE(test);
  CHECK(test->size() == 1);
  CHECK(test->labels == std::vector<std::int32_t>{4});
  check_small_mnist(dir.path());
}

TEST_CASE("compressed MNIST of more than one piece is read", "[dataset][idx]") {
  const TemporaryDirectory dir;
  const std::uint32_t count = 4000;
  const std::size_t values = std::size_t{count} * 28 * 28;
  write_text(dir / (std::string(kImagesName) + ".gz"),
             gzip(idx_images(count, 28, 28, values)));
  write_text(dir / kLabelsName, idx_labels(count, std::string(count, '\3')));
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK(data->size() == count);
  REQUIRE(data->pixels.size() == values);
  CHECK(data->pixels.back() == static_cast<std::uint8_t>(values - 1));
}

TEST_CASE("either missing MNIST file is named", "[dataset][idx]") {
  const TemporaryDirectory dir;
  write_text(dir / kImagesName, kImages);
  check_fails(dir.path(), kLabelsName);
  fs::rename(dir / kImagesName, dir / kLabelsName);
  check_fails(dir.path(), kImagesName);
}

TEST_CASE("every truncation of an MNIST file is refused", "[dataset][idx]") {
  const bool compressed = GENERATE(false, true);
  const TemporaryDirectory dir;
  const std::string suffix = compressed ? ".gz" : "";
  const auto pack = [&](const std::string& text) {
    return compressed ? gzip(text) : text;
  };
  const std::string images = pack(kImages);
  const std::string labels = pack(kLabels);
  const auto put = [&](const std::string& a, const std::string& b) {
    write_text(dir / (kImagesName + suffix), a);
    write_text(dir / (kLabelsName + suffix), b);
  };
  for (std::size_t n = 0; n < images.size(); ++n) {
    put(images.substr(0, n), labels);
    check_fails(dir.path(), kImagesName + suffix);
  }
  for (std::size_t n = 0; n < labels.size(); ++n) {
    put(images, labels.substr(0, n));
    check_fails(dir.path(), kLabelsName + suffix);
  }
  put(images + "x", labels);
  check_fails(dir.path(), kImagesName + suffix);
  put(images, pack(kLabels + "x"));
  check_fails(dir.path(), kLabelsName + suffix);
  put(images, labels);
  check_small_mnist(dir.path());
}

TEST_CASE("a gzip file may have several members", "[dataset][idx]") {
  const TemporaryDirectory dir;
  const fs::path path = dir / (std::string(kImagesName) + ".gz");
  write_text(dir / kLabelsName, kLabels);
  const std::string two =
      gzip(kImages.substr(0, 20)) + gzip(kImages.substr(20));
  write_text(path, two);
  check_small_mnist(dir.path());
  write_text(path, gzip("") + two + gzip(""));
  check_small_mnist(dir.path());
  write_text(path, two + std::string(512, '\0'));  // padding
  check_small_mnist(dir.path());
  write_text(path, two.substr(0, two.size() - 3));
  check_fails(dir.path(),
              "truncated gzip data at byte " + std::to_string(two.size() - 3));
  write_text(path, two + "x");
  check_fails(dir.path(),
              "more bytes follow at byte " + std::to_string(two.size()));
}

TEST_CASE("gzip damage is noticed", "[dataset][idx]") {
  const TemporaryDirectory dir;
  const fs::path path = dir / (std::string(kImagesName) + ".gz");
  write_text(dir / kLabelsName, kLabels);
  const std::string whole = gzip(kImages);
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    write_text(path, damaged);
    INFO("bit " << bit);
    // Some bits have no meaning: the header's time, padding between blocks.
    if (load_dataset(dir.path()))
      check_small_mnist(dir.path());
    else
      ++refused;
  }
  CHECK(refused > 6 * whole.size());
  // Whether it is compressed its content says.
  write_text(path, kImages);
  check_small_mnist(dir.path());
  write_text(path, gzip(kImages));
  fs::rename(path, dir / kImagesName);
  check_small_mnist(dir.path());
}

TEST_CASE("MNIST files that contradict themselves are refused",
          "[dataset][idx]") {
  const TemporaryDirectory dir;
  write_text(dir / kImagesName, kImages);
  write_text(dir / kLabelsName, kLabels);
  SECTION("wrong magic number") {
    write_text(dir / kImagesName,
               "\x7f"
               "ELF" +
                   kImages.substr(4));
    check_fails(dir.path(), "0x7f454c46");
  }
  SECTION("exchanged files") {
    write_text(dir / kImagesName, kLabels);
    check_fails(dir.path(), kImagesName);
  }
  SECTION("other counts") {
    write_text(dir / kLabelsName, idx_labels(3, "\1\2\3"));
    check_fails(dir.path(), "2 images");
  }
  SECTION("a label out of range") {
    write_text(dir / kLabelsName, idx_labels(2, "\x01\x0a"));
    check_fails(dir.path(), "label 10 at byte 9");
  }
  SECTION("no images") {
    write_text(dir / kImagesName, idx_images(0, 2, 3, 0));
    write_text(dir / kLabelsName, idx_labels(0, ""));
    check_fails(dir.path(), kImagesName);
  }
  SECTION("images without a side") {
    write_text(dir / kImagesName, idx_images(2, 0, 3, 0));
    check_fails(dir.path(), "0x3");
  }
  SECTION("images that are too large") {
    write_text(dir / kImagesName, idx_images(2, 4097, 1, 2 * 4097));
    check_fails(dir.path(), "4097x1");
  }
  SECTION("a header that announces 2^56 bytes") {
    write_text(dir / kImagesName, idx_images(0xFFFFFFFF, 4096, 4096, 12));
    check_fails(dir.path(), "truncated");
    fs::remove(dir / kImagesName);
    write_text(dir / (std::string(kImagesName) + ".gz"),
               gzip(idx_images(0xFFFFFFFF, 4096, 4096, 12)));
    check_fails(dir.path(), "truncated");
  }
  SECTION("a directory in place of a file") {
    fs::remove(dir / kLabelsName);
    fs::create_directory(dir / kLabelsName);
    check_fails(dir.path(), "train-labels-idx1-ubyte[.gz] is missing");
  }
}

std::string cifar_record(char label, char fill) {
  std::string record(3073, fill);
  record[0] = label;
  record[1] = 'R';
  record[1 + 1024] = 'G';
  record[1 + 2048] = 'B';
  return record;
}

TEST_CASE("CIFAR-10 is read from whichever files exist", "[dataset][cifar]") {
  const TemporaryDirectory dir;
  write_text(dir / "data_batch_2.bin", cifar_record(9, 'a'));
  write_text(dir / "data_batch_1.bin",
             cifar_record(0, 'b') + cifar_record(3, 'c'));
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK((data->shape == ImageShape{3, 32, 32, 10}));
  CHECK(data->labels == std::vector<std::int32_t>{0, 3, 9});
  CHECK(data->class_names[3] == "3");
  const std::string last = cifar_record(9, 'a').substr(1);
  CHECK(std::string(data->pixels.end() - 3072, data->pixels.end()) == last);
}

TEST_CASE("CIFAR-10's test part is its own file", "[dataset][cifar]") {
  const TemporaryDirectory dir;
  write_text(dir / "data_batch_1.bin", cifar_record(9, 'a'));
  CHECK_FALSE(has_test_part(dir.path()));
  write_text(dir / "test_batch.bin",
             cifar_record(0, 'b') + cifar_record(3, 'c'));
  CHECK(has_test_part(dir.path()));
  const auto test = load_dataset(dir.path(), DataPart::kTest);
  REQUIRE(test);
  CHECK(test->labels == std::vector<std::int32_t>{0, 3});
  const auto train = load_dataset(dir.path());
  REQUIRE(train);
  CHECK(train->labels == std::vector<std::int32_t>{9});
}

TEST_CASE("damaged CIFAR-10 files are refused", "[dataset][cifar]") {
  const TemporaryDirectory dir;
  const fs::path path = dir / "data_batch_1.bin";
  const std::string record = cifar_record(1, 'x');
  for (std::size_t n = 0; n < record.size(); n += n < 8 ? 1 : 61) {
    write_text(path, record.substr(0, n));
    check_fails(dir.path(), "data_batch_1.bin");
  }
  write_text(path, record + record.substr(0, 3072));
  check_fails(dir.path(), "byte 6145");
  write_text(path, record + record + "x");
  check_fails(dir.path(), "byte 6147");
  write_text(path, record + cifar_record(10, 'x'));
  check_fails(dir.path(), "label 10 at byte 3073");
}

TEST_CASE("shards are disjoint, complete, even, and always the same",
          "[dataset][shard]") {
  const auto [size, count] =
      GENERATE(std::pair(100U, 7U), std::pair(5U, 5U), std::pair(3U, 5U),
               std::pair(60'000U, 10U), std::pair(10U, 1U));
  std::vector<std::uint32_t> all;
  const Shards shards = cut_evenly(size, count);
  CHECK(shards == cut_evenly(size, count));
  REQUIRE(shards.size() == count);
  std::size_t smallest = size;
  std::size_t largest = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& shard = shards[i];
    smallest = std::min(smallest, shard.size());
    largest = std::max(largest, shard.size());
    all.insert(all.end(), shard.begin(), shard.end());
  }
  CHECK(largest - smallest <= 1);
  std::sort(all.begin(), all.end());
  std::vector<std::uint32_t> expected(size);
  std::iota(expected.begin(), expected.end(), 0U);
  CHECK(all == expected);
}

TEST_CASE("a shard is drawn from the whole data set", "[dataset][shard]") {
  const auto shard = cut_evenly(60'000, 10).front();
  const double mean = std::accumulate(shard.begin(), shard.end(), 0.0) / 6000.0;
  CHECK(std::abs(mean - 30'000) < 1500);
}

}  // namespace
}  // namespace mdgan::test
