// The lines of a file that grows, each read once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace mdgan {

// A run that goes on drops lines of its files: they then are other files, or
// have another end than the one that was read, and are read anew.
class LineTail {
 public:
  static constexpr std::size_t kMostBytes = 8 << 20;  // a call of read()
  static constexpr std::size_t kMostLine = 1 << 20;  // longer ones are left out

  explicit LineTail(std::filesystem::path file) : file_(std::move(file)) {}

  // Gives the whole lines that have come since the last call to `take`, without
  // their ends; `clear` first where all that was given is void, as of a file
  // that is gone. Whether more is there than one call reads.
  bool read(const std::function<void()>& clear,
            const std::function<void(std::string_view)>& take);

 private:
  bool goes_on(int file, std::uint64_t device, std::uint64_t inode,
               std::uint64_t size) const;
  void take_lines(std::string_view bytes,
                  const std::function<void(std::string_view)>& take);

  std::filesystem::path file_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;  // 0: nothing was read
  std::uint64_t offset_ = 0;
  std::string end_;        // the last bytes before offset_
  std::string begun_;      // a line without its end yet
  bool skipping_ = false;  // the rest of a line that is too long
};

}  // namespace mdgan
