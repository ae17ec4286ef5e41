#include "common/data/gzip.h"

#include <spdlog/fmt/fmt.h>
#include <zlib.h>

#include <algorithm>

namespace mdgan {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib: largest window, gzip header
constexpr std::size_t kMostAtOnce = std::size_t{1} << 20;

// RFC 1952: a file may hold several members, one after the other.
bool begins_member(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} &&
         bytes[1] == std::byte{0x8b};
}

class Inflater {
 public:
  Inflater() : ready_(inflateInit2(&stream, kGzipWindow) == Z_OK) {}
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  bool ready() const { return ready_; }
  z_stream stream{};

 private:
  bool ready_;
};

}  // namespace

Result<std::vector<std::uint8_t>> inflate_gzip(
    std::span<const std::byte> compressed, std::size_t most,
    const std::string& name) {
  Inflater inflater;
  if (!inflater.ready())
    return Error{name + ": there is no memory to decompress it",
                 ExitCode::kData};
  z_stream& stream = inflater.stream;
  std::vector<std::uint8_t> out;
  std::size_t consumed = 0;
  const auto damaged = [&](std::string_view what) {
    return Error{fmt::format("{}: {} at byte {} of {}; get the file again",
                             name, what, consumed, compressed.size()),
                 ExitCode::kData};
  };

  while (out.size() < most) {
    const std::size_t produced = out.size();
    const std::size_t in = std::min(compressed.size() - consumed, kMostAtOnce);
    const std::size_t room = std::min(most - produced, kMostAtOnce);
    out.resize(produced + room);
    // zlib does not write to its input; its C interface predates const.
    stream.next_in = const_cast<Bytef*>(
        reinterpret_cast<const Bytef*>(compressed.data() + consumed));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = out.data() + produced;
    stream.avail_out = static_cast<uInt>(room);
    const int code = inflate(&stream, Z_NO_FLUSH);
    consumed += in - stream.avail_in;
    out.resize(produced + room - stream.avail_out);
    if (code == Z_STREAM_END) {
      const auto rest = compressed.subspan(consumed);
      // Padding, as on a tape; gzip leaves it out, too.
      if (std::ranges::all_of(rest,
                              [](std::byte b) { return b == std::byte{}; }))
        break;
      if (!begins_member(rest))
        return damaged("gzip data ends, but more bytes follow");
      if (inflateReset(&stream) != Z_OK)
        return damaged("unreadable gzip member");
      continue;
    }
    if (code != Z_OK && code != Z_BUF_ERROR)
      return damaged(fmt::format("damaged gzip data ({})", stream.msg != nullptr
                                                               ? stream.msg
                                                               : zError(code)));
    if (out.size() < most && consumed == compressed.size() &&
        stream.avail_out > 0)
      return damaged("truncated gzip data");
  }
  return out;
}

}  // namespace mdgan
