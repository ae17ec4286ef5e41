// Data sets that are told apart by their files: MNIST's kin, CIFAR's two, the
// parts of a folder, and what is known but not read.
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/files/png.h"
#include "tests/support/catch.h"
#include "tests/support/dataset_fails.h"
#include "tests/support/idx_text.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;
using Labels = std::vector<std::int32_t>;

void write_grey(const fs::path& path, std::uint8_t value) {
  fs::create_directories(path.parent_path());
  REQUIRE(write_png(path, 1, 1, 1, Bytes{value}));
}

void check_images_fail(const fs::path& directory, DataPart part,
                       const std::string& words) {
  const auto data = load_dataset(directory, part);
  REQUIRE_FALSE(data);
  INFO(data.error().message);
  CHECK(data.error().code == ExitCode::kData);
  CHECK(data.error().message.find(words) != std::string::npos);
}

TEST_CASE("EMNIST is read upright, with the labels of its kind",
          "[dataset][idx]") {
  const TemporaryDirectory dir;
  const std::string images = idx_images(2, 2, 3, 12);
  SECTION("letters have labels from 1") {
    write_text(dir / "emnist-letters-train-images-idx3-ubyte", images);
    write_text(dir / "emnist-letters-train-labels-idx1-ubyte",
               idx_labels(2, "\x01\x1a"));
    const auto data = load_dataset(dir.path());
    REQUIRE(data);
    CHECK((data->shape == ImageShape{1, 3, 2, 26}));
    CHECK(data->pixels == Bytes{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11});
    CHECK(data->labels == Labels{0, 25});
    CHECK(data->class_names.front() == "1");
    CHECK(data->class_names.back() == "26");
    write_text(dir / "emnist-letters-train-labels-idx1-ubyte",
               idx_labels(2, std::string("\x01\0", 2)));
    check_fails(dir.path(), "label 0 at byte 9 is not in [1, 26]");
  }
  SECTION("balanced has 47 classes, and a test part") {
    for (const std::string part : {"train", "test"}) {
      write_text(dir / ("emnist-balanced-" + part + "-images-idx3-ubyte"),
                 images);
      write_text(dir / ("emnist-balanced-" + part + "-labels-idx1-ubyte"),
                 idx_labels(2, part == "train" ? "\x02\x2e" : "\x03\x03"));
    }
    const auto data = load_dataset(dir.path());
    REQUIRE(data);
    CHECK(data->shape.classes == 47);
    CHECK(data->labels == Labels{2, 46});
    REQUIRE(has_test_part(dir.path()));
    const auto test = load_dataset(dir.path(), DataPart::kTest);
    REQUIRE(test);
    CHECK(test->labels == Labels{3, 3});
  }
  SECTION("several of its kinds in one folder are not chosen from") {
    write_text(dir / "emnist-letters-train-images-idx3-ubyte", images);
    write_text(dir / "emnist-digits-train-images-idx3-ubyte", images);
    check_fails(dir.path(), "holds several data sets");
  }
  SECTION("renamed to MNIST it is refused by its labels") {
    write_text(dir / "train-images-idx3-ubyte", images);
    write_text(dir / "train-labels-idx1-ubyte", idx_labels(2, "\x01\x1a"));
    check_fails(dir.path(), "label 26 at byte 9 is not in [0, 9]");
    check_fails(dir.path(), "if this is EMNIST");
  }
}

TEST_CASE("QMNIST's labels are the first of their numbers, whatever the name",
          "[dataset][idx]") {
  const TemporaryDirectory dir;
  const bool renamed = GENERATE(false, true);
  const std::string images =
      renamed ? "train-images-idx3-ubyte" : "qmnist-train-images-idx3-ubyte";
  const std::string labels =
      renamed ? "train-labels-idx1-ubyte" : "qmnist-train-labels-idx2-int";
  const std::string head = big_endian(0xc02) + big_endian(2) + big_endian(3);
  std::string table = head;
  for (const std::uint32_t value : {7U, 100U, 200U, 4U, 300U, 400U})
    table += big_endian(value);
  write_text(dir / images, idx_images(2, 2, 3, 12));
  write_text(dir / labels, table);
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK(data->labels == Labels{7, 4});
  CHECK(data->pixels[5] == 5);  // not transposed
  write_text(dir / labels, table.substr(0, table.size() - 1));
  check_fails(dir.path(), "truncated at byte 35");
  write_text(dir / labels, table + "x");
  check_fails(dir.path(), "goes on after byte 36");
  table[15] = 10;
  write_text(dir / labels, table);
  check_fails(dir.path(), "label 10 at byte 12");
  table.replace(8, 4, big_endian(0));
  write_text(dir / labels, table);
  check_fails(dir.path(), "has 0 label columns");
}

TEST_CASE("Fashion-MNIST where torchvision puts it", "[dataset][idx]") {
  const TemporaryDirectory dir;
  const auto put = [&](const char* name) {
    const fs::path raw = dir / name / "raw";
    fs::create_directories(raw);
    write_text(raw / "train-images-idx3-ubyte", idx_images(2, 2, 3, 12));
    write_text(raw / "train-labels-idx1-ubyte", idx_labels(2, "\x07\x01"));
  };
  put("FashionMNIST");
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK(data->labels == Labels{7, 1});
  put("MNIST");
  check_fails(dir.path(), "holds several data sets");
}

TEST_CASE("MNIST as Kaggle unpacks it", "[dataset][idx]") {
  const TemporaryDirectory dir;
  const bool has_dotted = GENERATE(true, false);
  const auto put = [&](const std::string& name, const std::string& bytes) {
    fs::create_directory(dir / name);  // a folder of the file's own name
    write_text(dir / name / name, bytes);
    std::string dotted = name;
    dotted.replace(dotted.find("-idx"), 1, ".");
    if (has_dotted) write_text(dir / dotted, bytes);
  };
  put("train-images-idx3-ubyte", idx_images(2, 2, 3, 12));
  put("train-labels-idx1-ubyte", idx_labels(2, "\x07\x01"));
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK(data->labels == Labels{7, 1});
}

std::string cifar100(char coarse, char fine, char fill) {
  std::string record(3074, fill);
  record[0] = coarse;
  record[1] = fine;
  return record;
}

TEST_CASE("CIFAR-100 has its hundred fine classes", "[dataset][cifar]") {
  const TemporaryDirectory dir;
  write_text(dir / "train.bin", cifar100(19, 99, 'a') + cifar100(0, 3, 'b'));
  write_text(dir / "test.bin", cifar100(1, 7, 'c'));
  const auto data = load_dataset(dir.path());
  REQUIRE(data);
  CHECK((data->shape == ImageShape{3, 32, 32, 100}));
  CHECK(data->labels == Labels{99, 3});
  CHECK(data->class_names[99] == "99");
  CHECK(data->pixels[0] == 'a');
  CHECK(data->pixels[3072] == 'b');
  REQUIRE(has_test_part(dir.path()));
  const auto test = load_dataset(dir.path(), DataPart::kTest);
  REQUIRE(test);
  CHECK(test->labels == Labels{7});
  write_text(dir / "train.bin", cifar100(20, 99, 'a'));
  check_fails(dir.path(), "label 20 at byte 0 is not in [0, 19]");
  write_text(dir / "data_batch_1.bin", std::string(3073, '\1'));
  write_text(dir / "train.bin", cifar100(19, 99, 'a'));
  check_fails(dir.path(), "holds files of CIFAR-10 and of CIFAR-100");
}

TEST_CASE("a CIFAR file under the other's name is told as what it is",
          "[dataset][cifar]") {
  const TemporaryDirectory dir;
  SECTION("CIFAR-100, also of as many bytes as CIFAR-10's records have") {
    const std::size_t records = GENERATE(3U, 3073U);
    std::string file;
    for (std::size_t i = 0; i < records; ++i) file += cifar100(3, 99, 'a');
    write_text(dir / "data_batch_1.bin", file);
    check_fails(dir.path(), "is a file of CIFAR-100");
    check_fails(dir.path(), "call it train.bin");
  }
  SECTION("CIFAR-10") {
    std::string record(3073, 'a');
    record[0] = 3;
    write_text(dir / "train.bin", record);
    check_fails(dir.path(), "is a file of CIFAR-10");
  }
}

TEST_CASE("train and test are the parts of a folder", "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "train" / "cat" / "1.png", 1);
  write_grey(dir / "train" / "dog" / "1.png", 2);
  write_grey(dir / "train" / "fox" / "1.png", 3);
  CHECK_FALSE(has_test_part(dir.path()));
  const std::string test_name = GENERATE("test", "val");
  write_grey(dir / test_name / "fox" / "1.png", 9);
  const auto train = load_dataset(dir.path());
  REQUIRE(train);
  CHECK(train->class_names == std::vector<std::string>{"cat", "dog", "fox"});
  CHECK(train->pixels == Bytes{1, 2, 3});
  REQUIRE(has_test_part(dir.path()));
  const auto test = load_dataset(dir.path(), DataPart::kTest);
  REQUIRE(test);
  CHECK(test->class_names == train->class_names);
  CHECK(test->labels == Labels{2});  // the number that fox has in train
  fs::remove(dir / test_name / "fox" / "1.png");
  check_images_fail(
      dir.path(), DataPart::kTest,
      test_name + std::string(": no class folder holds an image; add some"));
  CHECK(test->pixels == Bytes{9});
  write_grey(dir / test_name / "owl" / "1.png", 9);
  check_images_fail(dir.path(), DataPart::kTest,
                    "owl: this class is not one of the training part's: cat, "
                    "dog, fox");
}

TEST_CASE("where test has no classes and val has, val is the test part",
          "[dataset][folder]") {
  const TemporaryDirectory dir;  // as Tiny ImageNet
  write_grey(dir / "train" / "cat" / "images" / "1.png", 1);
  write_grey(dir / "train" / "dog" / "images" / "1.png", 2);
  write_grey(dir / "val" / "dog" / "1.png", 9);
  write_grey(dir / "test" / "images" / "1.png", 3);
  const auto test = load_dataset(dir.path(), DataPart::kTest);
  REQUIRE(test);
  CHECK(test->labels == Labels{1});
  CHECK(test->pixels == Bytes{9});
  fs::remove_all(dir / "val");
  check_images_fail(dir.path(), DataPart::kTest,
                    "images: this class is not one of the training part's");
}

TEST_CASE("parts that hold images and no classes are not two classes",
          "[dataset][folder]") {
  const TemporaryDirectory dir;
  write_grey(dir / "train" / "1.png", 1);
  write_grey(dir / "test" / "1.png", 2);
  check_fails(dir.path(), "train: is by its name a part of a data set");
}

TEST_CASE("data sets that are known and not read are named",
          "[dataset][folder]") {
  const TemporaryDirectory dir;
  SECTION("MedMNIST") {
    write_text(dir / "dermamnist.npz", "PK\3\4");
    check_fails(dir.path(), "dermamnist.npz is a file of NumPy arrays");
    check_fails(dir / "dermamnist.npz", "is a file of NumPy arrays");
    write_grey(dir / "cat" / "1.png", 1);  // beside classes it is passed over
    CHECK(load_dataset(dir.path()));
  }
  SECTION("archives") {
    write_text(dir / "images.tar.gz", "\x1f\x8b");
    write_text(dir / "readme.txt", "");
    check_fails(dir.path(), "images.tar.gz is an archive, which is not read");
    write_grey(dir / "cat" / "1.png", 1);
    CHECK(load_dataset(dir.path()));
  }
  SECTION("CIFAR-10 for Python") {
    write_text(dir / "data_batch_1", "\x80\x03}q");
    write_text(dir / "batches.meta", "\x80\x03}q");
    check_fails(dir.path(), "get the binary version");
  }
  SECTION("CIFAR-100 for Python, one folder too high") {
    fs::create_directory(dir / "cifar-100-python");
    write_text(dir / "cifar-100-python" / "train", "\x80\x03}q");
    write_text(dir / "cifar-100-python" / "meta", "\x80\x03}q");
    check_fails(dir.path(), "get the binary version");
  }
  SECTION("CIFAR-10 one folder too high") {
    fs::create_directory(dir / "cifar-10-batches-bin");
    write_text(dir / "cifar-10-batches-bin" / "data_batch_1.bin", "");
    check_fails(dir.path(), "cifar-10-batches-bin: holds a data set");
  }
  SECTION("classes one folder too high") {
    write_grey(dir / "photos" / "cat" / "1.png", 1);
    check_fails(dir.path(), "photos: this class has no images, but folders");
  }
}

}  // namespace
}  // namespace mdgan::test
