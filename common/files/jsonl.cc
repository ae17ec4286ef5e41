#include "common/files/jsonl.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/files/atomic_write.h"
#include "common/files/failpoint.h"
#include "common/files/plain_file.h"
#include "common/files/read_file.h"

namespace mdgan {
namespace {

Error jsonl_error(std::string_view what, std::string_view path) {
  return {fmt::format("cannot {} {}: {}", what, path, errno_text()),
          ExitCode::kCheckpoint};
}

// The size up to and including the last line end; negative on an error.
off_t end_of_last_line(int fd, off_t size) {
  std::array<char, 4096> block{};
  while (size > 0) {
    const auto want = std::min(static_cast<off_t>(block.size()), size);
    const ssize_t got =
        ::pread(fd, block.data(), static_cast<std::size_t>(want), size - want);
    if (got != want) return -1;
    const std::string_view text(block.data(), static_cast<std::size_t>(want));
    const auto found = text.rfind('\n');
    if (found != std::string_view::npos)
      return size - want + static_cast<off_t>(found) + 1;
    size -= want;
  }
  return 0;
}

bool is_after(std::string_view line, Round round) {
  const auto object =
      nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  const auto found = object.find("round");
  return found != object.end() && found->is_number_unsigned() &&
         found->get<std::uint64_t>() > round.value;
}

}  // namespace

Result<JsonlWriter> JsonlWriter::open(const std::filesystem::path& path) {
  auto file =
      open_plain(path, O_RDWR | O_CREAT | O_APPEND, ExitCode::kCheckpoint);
  if (!file) return file.error();
  struct stat status {};
  if (::fstat(file->get(), &status) != 0)
    return jsonl_error("open", path.string());
  const off_t end = end_of_last_line(file->get(), status.st_size);
  if (end < 0) return jsonl_error("read", path.string());
  if (end < status.st_size && ::ftruncate(file->get(), end) != 0)
    return jsonl_error("shorten", path.string());
  return JsonlWriter(path.string(), std::move(*file));
}

Result<void> JsonlWriter::append(std::string_view line) {
  MDGAN_CHECK(line.find('\n') == std::string_view::npos);
  const std::string text = fmt::format("{}\n", line);
  struct stat before {};
  if (::fstat(file_.get(), &before) != 0) return jsonl_error("write", path_);
  if (failpoint("before-append", path_)) return jsonl_error("write", path_);
  const ssize_t n = ::write(file_.get(), text.data(), text.size());
  if (failpoint("after-append", path_)) return jsonl_error("write", path_);
  if (n == static_cast<ssize_t>(text.size())) return {};
  if (n >= 0) errno = ENOSPC;  // what a short write to a file means
  Error error = jsonl_error("write", path_);
  if (n > 0 && ::ftruncate(file_.get(), before.st_size) != 0)
    error = jsonl_error("shorten", path_);
  return error;
}

Result<void> truncate_after_round(const std::filesystem::path& path,
                                  Round round) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  Result<std::vector<std::byte>> bytes = read_file(path, ExitCode::kCheckpoint);
  if (!bytes) return bytes.error();
  const std::string_view all(reinterpret_cast<const char*>(bytes->data()),
                             bytes->size());
  std::string kept;
  kept.reserve(all.size());
  std::size_t begin = 0;
  for (auto end = all.find('\n'); end != std::string_view::npos;
       end = all.find('\n', begin)) {
    const std::string_view line = all.substr(begin, end - begin);
    begin = end + 1;
    if (!is_after(line, round)) kept.append(line).push_back('\n');
  }
  if (kept.size() == all.size()) return {};
  return atomic_write(path, kept);
}

}  // namespace mdgan
