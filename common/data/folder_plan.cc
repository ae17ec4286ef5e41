#include "common/data/folder_plan.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "common/data/image_file.h"
#include "common/data/shown.h"
#include "common/data/unread_data.h"
#include "protocol/class_names.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

bool is_archive(const fs::path& path) {
  const std::string name = path.filename().string();
  return std::ranges::any_of(
      std::array{".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz",
                 ".7z", ".rar"},
      [&](const char* end) { return name.ends_with(end); });
}

// A folder's entries, sorted.
struct Listing {
  std::vector<fs::path> folders;
  std::vector<fs::path> images;
  std::vector<fs::path> others;
};

void add_others(const Listing& listing, FolderPlan& plan) {
  plan.others += listing.others.size();
  if (listing.images.empty()) return;
  // A class of images needs no folders.
  plan.passed_over.insert(plan.passed_over.end(), listing.folders.begin(),
                          listing.folders.end());
}

// It may be a class on a disk that is not mounted.
bool leads_nowhere(const fs::directory_entry& entry) {
  std::error_code ignored;
  return entry.is_symlink(ignored) && !entry.exists(ignored);
}

Result<Listing> list(const fs::path& directory) {
  Listing listing;
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end;
       it.increment(code)) {
    const fs::path& path = it->path();
    std::error_code ignored;
    if (is_left_by_system(path)) continue;
    if (it->is_directory(ignored))
      listing.folders.push_back(path);
    else if (is_image_file(path))
      listing.images.push_back(path);
    else if (leads_nowhere(*it))
      return bad_data(path,
                      "is a link, and what it leads to is not there; mount the "
                      "disk that has it, or mend or remove the link");
    else
      listing.others.push_back(path);
  }
  if (code)
    return bad_data(directory,
                    fmt::format("cannot be read: {}", code.message()));
  std::ranges::sort(listing.folders);
  std::ranges::sort(listing.images);
  std::ranges::sort(listing.others);
  return listing;
}

struct Split {
  fs::path train;
  std::vector<fs::path> tests;  // at least one: the first that will do
};

std::optional<Split> split_of(const fs::path& directory) {
  std::error_code ignored;
  Split split{directory / "train", {}};
  if (!fs::is_directory(split.train, ignored)) return std::nullopt;
  for (const char* name : {"test", "val"})
    if (fs::is_directory(directory / name, ignored))
      split.tests.push_back(directory / name);
  return split.tests.empty() ? std::nullopt : std::optional(split);
}

// Fails where the part is not one folder a class.
Result<Listing> list_part(const fs::path& part) {
  Result<Listing> listing = list(part);
  if (!listing) return listing.error();
  if (!listing->images.empty())
    return bad_data(
        part, fmt::format("is by its name a part of a data set, not a class, "
                          "but holds images ({}) and not one folder for each "
                          "class; for images without classes give this folder "
                          "itself, and if it is a class call it otherwise",
                          shown(listing->images.front().filename())));
  if (listing->folders.empty())
    return bad_data(part, "has no images; each class has a folder in it");
  return listing;
}

// A class's number where the classes are known; else it is the next.
Result<std::int32_t> label_of(const fs::path& folder,
                              const std::vector<std::string>& known) {
  const auto found = std::ranges::find(known, folder.filename().string());
  if (found == known.end())
    return bad_data(
        folder, fmt::format("this class is not one of the training part's: {}",
                            shown(listed(known))));
  return static_cast<std::int32_t>(found - known.begin());
}

// Adds nothing where the folder has no images.
Result<void> add_class(const fs::path& folder, std::int32_t label,
                       FolderPlan& plan) {
  Result<Listing> listing = list(folder);
  if (!listing) return listing.error();
  // Tiny ImageNet has CLASS/images/*.
  if (listing->images.empty() && listing->folders.size() == 1 &&
      listing->folders[0].filename() == "images") {
    plan.others += listing->others.size();
    listing = list(fs::path(listing->folders[0]));
    if (!listing) return listing.error();
  }
  if (listing->images.empty())
    if (const std::string known = unread_data(folder); !known.empty())
      return bad_data(folder, known);
  if (listing->images.empty() && !listing->folders.empty())
    return bad_data(
        folder, fmt::format("this class has no images, but folders ({}); give "
                            "the folder that has one for each class",
                            shown(listing->folders.front().filename())));
  if (listing->images.empty() && !listing->others.empty())
    plan.unread.push_back(listing->others.front());
  add_others(*listing, plan);
  for (fs::path& image : listing->images) {
    plan.images.push_back(std::move(image));
    plan.labels.push_back(label);
  }
  return {};
}

Result<void> check_number(const fs::path& directory,
                          const std::vector<fs::path>& folders) {
  if (folders.size() <= protocol::kMaxClasses) return {};
  return bad_data(directory,
                  fmt::format("has {} class folders, more than {}",
                              folders.size(), protocol::kMaxClasses));
}

Error no_images(const fs::path& directory, const FolderPlan& plan) {
  if (plan.unread.empty())
    return bad_data(directory, "no class folder holds an image; add some");
  return bad_data(
      directory,
      fmt::format("no class folder holds an image, but other files, as "
                  "{}: make PNG, JPEG, WebP, TIFF or BMP files of them",
                  shown(plan.unread.front())));
}

Result<FolderPlan> plan_classes(const fs::path& directory,
                                const Listing& listing) {
  if (auto few = check_number(directory, listing.folders); !few)
    return few.error();
  FolderPlan plan;
  plan.others = listing.others.size();
  for (const fs::path& folder : listing.folders) {
    const auto label = static_cast<std::int32_t>(plan.class_names.size());
    const std::size_t before = plan.images.size();
    const Result<void> added = add_class(folder, label, plan);
    if (!added) return added.error();
    (plan.images.size() > before ? plan.class_names : plan.empty_classes)
        .push_back(folder.filename().string());
  }
  if (plan.images.empty()) return no_images(directory, plan);
  return plan;
}

Result<FolderPlan> plan_split(const Split& split, DataPart part) {
  const Result<Listing> train = list_part(split.train);
  if (!train) return train.error();
  Result<FolderPlan> of_train = plan_classes(split.train, *train);
  if (!of_train || part == DataPart::kTrain) return of_train;
  const auto known = [&](const fs::path& folder) {
    return label_of(folder, of_train->class_names).ok();
  };
  // Tiny ImageNet's test part has no classes, and its val has.
  Result<Listing> test = list_part(split.tests[0]);
  fs::path from = split.tests[0];
  if (split.tests.size() > 1 &&
      (!test || std::ranges::none_of(test->folders, known))) {
    Result<Listing> other = list_part(split.tests[1]);
    if (other && std::ranges::any_of(other->folders, known)) {
      spdlog::warn("{} has no folder of a class: {} is the part to test with",
                   shown(from), shown(split.tests[1]));
      test = std::move(other);
      from = split.tests[1];
    }
  }
  if (!test) return test.error();
  FolderPlan plan;
  plan.others = test->others.size();
  plan.class_names = std::move(of_train->class_names);
  for (const fs::path& folder : test->folders) {
    const Result<std::int32_t> label = label_of(folder, plan.class_names);
    if (!label) return label.error();
    const Result<void> added = add_class(folder, *label, plan);
    if (!added) return added.error();
  }
  if (plan.images.empty()) return no_images(from, plan);
  return plan;
}

}  // namespace

bool is_left_by_system(const fs::path& path) {
  const std::string name = path.filename().string();
  constexpr std::array<std::string_view, 13> kOfSystems{
      "__MACOSX",     "@eaDir",   "#recycle",
      "#snapshot",    "@Recycle", "@Recently-Snapshot",
      "@__thumb",     "@tmp",     "lost+found",
      "$RECYCLE.BIN", "DICOMDIR", "System Volume Information",
      "__pycache__"};
  return name.starts_with('.') ||
         std::ranges::find(kOfSystems, name) != kOfSystems.end();
}

bool has_split(const fs::path& directory) {
  return split_of(directory).has_value();
}

Result<FolderPlan> plan_folder(const fs::path& directory, DataPart part) {
  if (const auto split = split_of(directory)) return plan_split(*split, part);
  Result<Listing> top = list(directory);
  if (!top) return top.error();
  if (top->folders.empty() && top->images.empty()) {
    if (const std::string known = unread_data(directory); !known.empty())
      return bad_data(directory, known);
    const auto archive = std::ranges::find_if(top->others, is_archive);
    if (archive == top->others.end())
      return bad_data(directory, "holds no MNIST or CIFAR files and no images");
    return bad_data(
        directory,
        fmt::format("{} is an archive, which is not read; unpack it here",
                    shown(archive->filename())));
  }
  if (!top->folders.empty() && !top->images.empty())
    return bad_data(
        directory,
        fmt::format("holds images ({}) beside folders ({}); have either "
                    "images alone or one folder for each class",
                    shown(top->images.front().filename()),
                    shown(top->folders.front().filename())));
  if (!top->folders.empty()) return plan_classes(directory, *top);
  FolderPlan plan;
  plan.others = top->others.size();
  plan.images = std::move(top->images);
  return plan;
}

}  // namespace mdgan
