// What the fuzzers share: how bytes become values and files, and how a find is
// told. A fuzzer defines LLVMFuzzerTestOneInput, which libFuzzer or
// replay_main.cc calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);

namespace mdgan::test {

// Aborts, so that the fuzzer keeps the input: `what` does not hold.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// Values from the bytes of an input, in their order; zeros after their end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

  bool empty() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const std::uint8_t first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }
  // In [0, n), for n up to 256.
  std::uint8_t below(unsigned n) {
    return static_cast<std::uint8_t>(byte() % n);
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }
  std::span<const std::byte> bytes(std::size_t most) {
    const auto first = left_.first(most < left_.size() ? most : left_.size());
    left_ = left_.subspan(first.size());
    return std::as_bytes(first);
  }
  std::span<const std::byte> rest() { return bytes(left_.size()); }

  // What comes before the next "\n%%\n", or the rest: an input of several files
  // that a mutation of one does not shift.
  std::span<const std::byte> part() {
    constexpr std::string_view kBetween = "\n%%\n";
    const std::string_view text(reinterpret_cast<const char*>(left_.data()),
                                left_.size());
    const std::size_t end = text.find(kBetween);
    if (end == text.npos) return rest();
    const auto first = bytes(end);
    left_ = left_.subspan(kBetween.size());
    return first;
  }

 private:
  std::span<const std::uint8_t> left_;
};

// Writes the file, and its folder if need be.
inline void write(const std::filesystem::path& file,
                  std::span<const std::byte> bytes) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

}  // namespace mdgan::test
