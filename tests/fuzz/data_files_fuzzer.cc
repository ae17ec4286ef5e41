// The files of data sets. The first byte says of which kind the rest is.

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/data/dataset.h"
#include "common/data/gzip.h"
#include "common/data/image_file.h"
#include "tests/fuzz/input.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

// So much is kept of what a gzip file holds.
constexpr std::size_t kMostInflated = std::size_t{1} << 20;

void load(const fs::path& folder, const ImageReading& reading = {}) {
  const Result<Dataset> data = load_dataset(folder, DataPart::kTrain, reading);
  if (!data) {
    require(data.error().code == ExitCode::kData,
            "damaged data is told as such");
    return;
  }
  require(data->size() > 0 &&
              data->pixels.size() == data->size() * data->shape.values(),
          "all images are whole");
  require(data->labels.empty() || data->labels.size() == data->size(),
          "each image has its label");
  require(!reading.has_size() || (data->shape.height == reading.height &&
                                  data->shape.width == reading.width),
          "images have the size that is wanted");
  for (const std::int32_t label : data->labels)
    require(
        label >= 0 && static_cast<std::uint32_t>(label) < data->shape.classes,
        "a label is one of the classes");
}

void read(const fs::path& file) {
  const Result<Image> image = read_image(file);
  if (!image) {
    require(image.error().code == ExitCode::kData,
            "a damaged image is told as such");
    return;
  }
  require(image->pixels.size() ==
              std::size_t{image->channels} * image->height * image->width,
          "an image is whole");
}

void inflate(std::span<const std::byte> bytes, std::size_t most) {
  const auto all = inflate_gzip(bytes, kMostInflated, "x.gz");
  if (all) require(all->size() <= kMostInflated, "no more than asked for");
  const auto head = inflate_gzip(bytes, most, "x.gz");
  if (!all || !head) return;
  require(std::ranges::equal(
              *head, std::span(*all).first(std::min(most, all->size()))),
          "the head is the beginning of all");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const TemporaryDirectory folder;
  spdlog::set_level(spdlog::level::off);
  const fs::path set = folder / "set";
  fs::remove_all(set);
  Input input(data, size);
  const unsigned kind = input.below(9);
  switch (kind) {
    case 0:
    case 1: {
      const std::string end = kind == 1 ? ".gz" : "";
      write(set / ("train-labels-idx1-ubyte" + end), input.part());
      write(set / ("train-images-idx3-ubyte" + end), input.rest());
      load(set);
      break;
    }
    case 2:
      write(set / "data_batch_1.bin", input.rest());
      load(set);
      break;
    case 3: {
      const std::size_t most = input.byte();
      inflate(input.rest(), most);
      break;
    }
    case 4:
      write(set / "x.png", input.rest());
      read(set / "x.png");
      break;
    case 5:
      write(set / "x.jpg", input.rest());
      read(set / "x.jpg");
      break;
    case 6:
      write(set / "a" / "x.png", input.part());
      write(set / "b" / "x.jpg", input.rest());
      load(set);
      break;
    case 7:
      write(set / "train.bin", input.rest());
      load(set);
      break;
    default: {
      ImageReading reading;
      reading.fit = input.below(2) == 0 ? Fit::kCrop : Fit::kPad;
      reading.height = 1U + input.below(64);
      reading.width = 1U + input.below(64);
      reading.channels = input.below(2) == 0 ? 1 : 3;
      reading.skip_bad = true;
      write(set / "x.png", input.part());
      write(set / "y.jpg", input.rest());
      load(set, reading);
    }
  }
  return 0;
}

}  // namespace mdgan::test
