#include "common/files/hash.h"

#include <fcntl.h>
#include <sodium.h>
#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <vector>

#include "common/files/plain_file.h"

namespace mdgan {
namespace {

static_assert(std::tuple_size_v<Sha256> == crypto_hash_sha256_BYTES);

const unsigned char* unsigned_chars(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

unsigned char* unsigned_chars(Sha256& digest) {
  return reinterpret_cast<unsigned char*>(digest.data());
}

}  // namespace

Sha256 sha256(std::span<const std::byte> bytes) {
  Sha256 digest{};
  crypto_hash_sha256(unsigned_chars(digest), unsigned_chars(bytes),
                     bytes.size());
  return digest;
}

Result<Sha256> sha256_of_file(const std::filesystem::path& path) {
  const auto cannot_read = [&path] {
    return Error{fmt::format("cannot read {}: {}", path.string(), errno_text()),
                 ExitCode::kCheckpoint};
  };
  const auto file = open_plain(path, O_RDONLY, ExitCode::kCheckpoint);
  if (!file) return file.error();
  crypto_hash_sha256_state state{};
  crypto_hash_sha256_init(&state);
  std::vector<unsigned char> buffer(std::size_t{1} << 16);
  while (true) {
    const ssize_t n = ::read(file->get(), buffer.data(), buffer.size());
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot_read();
    crypto_hash_sha256_update(&state, buffer.data(),
                              static_cast<unsigned long long>(n));
  }
  Sha256 digest{};
  crypto_hash_sha256_final(&state, unsigned_chars(digest));
  return digest;
}

std::string to_hex(std::span<const std::byte> bytes) {
  std::string text(2 * bytes.size() + 1, '\0');  // sodium adds a zero
  sodium_bin2hex(text.data(), text.size(), unsigned_chars(bytes), bytes.size());
  text.pop_back();
  return text;
}

bool from_hex(std::string_view text, std::span<std::byte> bytes) {
  std::size_t length = 0;
  return text.size() == 2 * bytes.size() &&
         sodium_hex2bin(reinterpret_cast<unsigned char*>(bytes.data()),
                        bytes.size(), text.data(), text.size(),
                        /*ignore=*/nullptr, &length,
                        /*hex_end=*/nullptr) == 0 &&
         length == bytes.size() && to_hex(bytes) == text;
}

void fill_random(std::span<std::byte> out) {
  static const bool ready = sodium_init() >= 0;
  MDGAN_CHECK(ready);
  randombytes_buf(out.data(), out.size());
}

std::uint64_t random_number() {
  std::uint64_t value = 0;
  fill_random(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

}  // namespace mdgan
