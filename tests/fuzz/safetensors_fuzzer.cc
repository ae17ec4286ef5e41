// A tensor file. What is read is written and read again alike; and to get past
// the header's length, the input is also taken as the header alone.

#include <algorithm>
#include <cstring>

#include "common/files/safetensors.h"
#include "tests/fuzz/input.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

void read(const std::filesystem::path& file) {
  const Result<SafetensorsFile> read = read_safetensors(file);
  if (!read) {
    require(read.error().code == ExitCode::kCheckpoint,
            "a damaged file is a checkpoint's fault");
    return;
  }
  std::uint64_t bytes = 0;
  for (const NamedBlob& tensor : read->tensors) {
    bytes += tensor.blob.bytes.size();
    // Touched, so that a view outside its buffer is noticed.
    (void)std::ranges::count(tensor.blob.bytes, std::byte{});
  }
  require(bytes <= std::filesystem::file_size(file),
          "tensors are not larger than their file");
  const std::filesystem::path again = file.string() + ".again";
  require(
      write_safetensors(again, read->tensors, read->metadata, write_new).ok(),
      "what was read can be written");
  const Result<SafetensorsFile> second = read_safetensors(again);
  require(second.ok(), "what was written can be read");
  require(second->metadata == read->metadata &&
              second->tensors.size() == read->tensors.size(),
          "nothing is lost");
  for (const NamedBlob& tensor : read->tensors) {
    const auto same =
        std::ranges::find(second->tensors, tensor.name, &NamedBlob::name);
    require(same != second->tensors.end() &&
                same->blob.meta == tensor.blob.meta &&
                std::ranges::equal(same->blob.bytes, tensor.blob.bytes),
            "each tensor is as it was");
  }
  std::filesystem::remove(again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const TemporaryDirectory folder;
  Input input(data, size);
  const bool header_alone = input.below(2) == 1;
  std::vector<std::byte> file;
  if (header_alone) {
    const auto header = input.part();
    const std::uint64_t length = header.size();
    file.resize(sizeof length);
    std::memcpy(file.data(), &length, sizeof length);
    file.insert(file.end(), header.begin(), header.end());
  }
  const auto rest = input.rest();
  file.insert(file.end(), rest.begin(), rest.end());
  write(folder / "x.safetensors", file);
  read(folder / "x.safetensors");
  return 0;
}

}  // namespace mdgan::test
