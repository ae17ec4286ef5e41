#include "common/data/cifar.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "common/data/shown.h"
#include "common/files/read_file.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kImageBytes = std::size_t{3} * 32 * 32;

struct Version {
  std::string_view name;
  std::vector<std::uint32_t> labels;  // how many values each label byte has
  std::vector<std::string_view> train;
  std::vector<std::string_view> test;
  std::uint32_t classes() const { return labels.back(); }  // the fine ones
  std::size_t record() const { return labels.size() + kImageBytes; }
  const auto& files(DataPart part) const {
    return part == DataPart::kTest ? test : train;
  }
};

const std::array<Version, 2>& versions() {
  static const std::array<Version, 2> all{
      Version{"CIFAR-10",
              {10},
              {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
               "data_batch_4.bin", "data_batch_5.bin"},
              {"test_batch.bin"}},
      Version{"CIFAR-100", {20, 100}, {"train.bin"}, {"test.bin"}}};
  return all;
}

// The part's files that exist.
std::vector<fs::path> files_of(const fs::path& directory,
                               const Version& version, DataPart part) {
  std::vector<fs::path> files;
  for (const std::string_view name : version.files(part)) {
    std::error_code ignored;
    if (fs::exists(directory / name, ignored) &&
        !fs::is_directory(directory / name, ignored))
      files.push_back(directory / name);
  }
  return files;
}

std::uint8_t at(std::span<const std::byte> bytes, std::size_t i) {
  return static_cast<std::uint8_t>(bytes[i]);
}

// The first label byte that has no such value; the file's size if all do.
std::size_t wrong_label(std::span<const std::byte> bytes,
                        const Version& version) {
  for (std::size_t record = 0; record + version.record() <= bytes.size();
       record += version.record())
    for (std::size_t i = 0; i < version.labels.size(); ++i)
      if (at(bytes, record + i) >= version.labels[i]) return record + i;
  return bytes.size();
}

// What is wrong with a file of `version`; empty: nothing.
std::string fault_of(std::span<const std::byte> bytes, const Version& version) {
  if (bytes.empty()) return "is empty; get the file again";
  const std::size_t record = version.record();
  const std::size_t wrong = wrong_label(bytes, version);
  if (wrong < bytes.size())
    return fmt::format(
        "label {} at byte {} is not in [0, {}]; get the file again",
        at(bytes, wrong), wrong, version.labels[wrong % record] - 1);
  if (bytes.size() % record != 0)
    return fmt::format(
        "truncated at byte {}, inside record {} of {} bytes "
        "each; get the file again",
        bytes.size(), bytes.size() / record, record);
  return {};
}

Result<void> append(const fs::path& path, const Version& version,
                    Dataset& data) {
  const Result<std::vector<std::byte>> bytes = read_file(path, ExitCode::kData);
  if (!bytes) return bytes.error();
  if (std::string fault = fault_of(*bytes, version); !fault.empty()) {
    for (const Version& other : versions())
      if (other.name != version.name && fault_of(*bytes, other).empty())
        fault = fmt::format("is a file of {} under a name of {}'s; call it {}",
                            other.name, version.name, other.train.front());
    return Error{fmt::format("{}: {}", shown(path), fault), ExitCode::kData};
  }
  const std::size_t label = version.labels.size() - 1;
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes->data());
  for (std::size_t record = 0; record < bytes->size();
       record += version.record()) {
    data.labels.push_back(first[record + label]);
    data.pixels.insert(data.pixels.end(), first + record + label + 1,
                       first + record + version.record());
  }
  return {};
}

}  // namespace

bool has_cifar_files(const fs::path& directory, DataPart part) {
  return std::ranges::any_of(versions(), [&](const Version& version) {
    return !files_of(directory, version, part).empty();
  });
}

Result<Dataset> load_cifar(const fs::path& directory, DataPart part) {
  Dataset data;
  std::string_view read;
  for (const Version& version : versions()) {
    const std::vector<fs::path> files = files_of(directory, version, part);
    const std::size_t all = version.files(part).size();
    if (!files.empty() && files.size() < all)
      spdlog::warn("{}: has {} of the {} files of {}; their images are used",
                   shown(directory), files.size(), all, version.name);
    for (const fs::path& path : files) {
      if (!read.empty() && read != version.name)
        return Error{fmt::format("{}: holds files of {} and of {}; have each "
                                 "in a folder of its own",
                                 shown(directory), read, version.name),
                     ExitCode::kData};
      read = version.name;
      if (const auto appended = append(path, version, data); !appended)
        return appended.error();
      data.shape = {3, 32, 32, version.classes()};
    }
  }
  for (std::uint32_t i = 0; i < data.shape.classes; ++i)
    data.class_names.push_back(std::to_string(i));
  return data;
}

}  // namespace mdgan
