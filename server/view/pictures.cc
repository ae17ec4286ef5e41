#include "server/view/pictures.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "common/files/file_descriptor.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 32 << 20;

struct Picture {
  std::uint64_t round = 0;
  std::string file;
};

std::optional<std::uint64_t> round_of(std::string_view name) {
  constexpr std::string_view kSuffix = ".png";
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  std::uint64_t round = 0;
  const char* const end = name.data() + name.size();
  const auto read = std::from_chars(name.data(), end, round);
  if (name.size() < 6 || read.ec != std::errc{} || read.ptr != end)
    return std::nullopt;
  return round;
}

}  // namespace

std::string pictures_json(const fs::path& samples) {
  std::vector<Picture> all;
  std::error_code error;  // no folder: no pictures
  for (fs::directory_iterator it(samples, error), end; !error && it != end;
       it.increment(error)) {
    std::string name = it->path().filename().string();
    if (const auto round = round_of(name))
      all.push_back({*round, std::move(name)});
  }
  std::ranges::sort(all, {}, &Picture::round);
  const std::size_t shown = std::min(all.size(), kMostPictures);
  std::string out = fmt::format("{{\"total\":{},\"pictures\":[", all.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const Picture& one =
        all[shown > 1 ? i * (all.size() - 1) / (shown - 1) : 0];
    out += fmt::format("{}{{\"round\":{},\"file\":\"{}\"}}", i ? "," : "",
                       one.round, one.file);
  }
  return out + "]}";
}

HttpResponse picture(const fs::path& samples, const std::string& name,
                     const std::string& if_none_match) {
  HttpResponse missing = text_response(404, "There is no such picture.\n");
  if (!round_of(name)) return missing;
  const FileDescriptor file(
      ::open((samples / name).c_str(),
             O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<std::uint64_t>(status.st_size) > kMostBytes)
    return missing;
  HttpResponse response{200, "image/png"};
  response.etag =
      fmt::format("\"{:x}-{:x}-{:x}-{:x}\"", status.st_ino, status.st_size,
                  status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  // The browser has it already: the server answers 304.
  if (if_none_match == response.etag) return response;
  response.body.resize(static_cast<std::size_t>(status.st_size));
  std::size_t have = 0;
  while (have < response.body.size()) {
    const ssize_t got = ::read(file.get(), response.body.data() + have,
                               response.body.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return missing;
    have += static_cast<std::size_t>(got);
  }
  return response;
}

}  // namespace mdgan
