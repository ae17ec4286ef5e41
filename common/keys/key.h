// The keys of CURVE (rfc.zeromq.org/spec/26), and how people write them: Z85,
// 40 characters without blanks, quotes and backslashes.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace mdgan {

inline constexpr std::size_t kKeyCharacters = 40;

std::string to_z85(const PublicKey& key);
// Nothing if `text` is no key, or the key that stands for none.
std::optional<PublicKey> public_key_of(std::string_view text);

// What two people compare by telephone: eight groups of four hexadecimal
// digits, the first half of the key's SHA-256.
std::string fingerprint(const PublicKey& key);

// The secret half of a key. Its memory is overwritten when it ends.
class SecretKey {
 public:
  // Nothing if `text` is not 40 characters of Z85.
  static std::optional<SecretKey> from_z85(std::string_view text);

  static SecretKey from_bytes(const std::array<std::byte, 32>& bytes);

  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();

  const std::array<std::byte, 32>& bytes() const { return bytes_; }
  std::string z85() const;
  PublicKey public_key() const;

 private:
  SecretKey() = default;
  std::array<std::byte, 32> bytes_{};
};

struct KeyPair {
  PublicKey public_key{};
  SecretKey secret_key;
};

// A new key, at random. Neither half has a '#' or begins with a '-', so that a
// configuration file and a command line take the text as it is.
KeyPair make_key_pair();

}  // namespace mdgan
