#include "common/keys/key.h"

#include <sodium.h>
#include <zmq.h>

#include <cstdint>
#include <cstring>
#include <span>

#include "common/base/result.h"
#include "common/files/hash.h"

namespace mdgan {
namespace {

constexpr std::size_t kGroups = 8;

using Bytes = std::array<std::byte, 32>;

std::string encode(const Bytes& bytes) {
  char text[kKeyCharacters + 1] = {};
  MDGAN_CHECK(
      zmq_z85_encode(text, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                     bytes.size()) != nullptr);
  std::string encoded(text, kKeyCharacters);
  sodium_memzero(text, sizeof text);
  return encoded;
}

std::optional<Bytes> decode(std::string_view text) {
  if (text.size() != kKeyCharacters) return std::nullopt;
  Bytes bytes{};
  const std::string terminated(text);
  if (zmq_z85_decode(reinterpret_cast<std::uint8_t*>(bytes.data()),
                     terminated.c_str()) == nullptr)
    return std::nullopt;
  // libzmq drops the bits of a group beyond 32, so several texts would decode
  // to one key: only the text that encode() makes is valid.
  if (encode(bytes) != text) return std::nullopt;
  return bytes;
}

bool can_be_written(std::string_view text) {
  return text.find('#') == text.npos && !text.starts_with('-');
}

}  // namespace

std::string to_z85(const PublicKey& key) { return encode(key); }

std::optional<PublicKey> public_key_of(std::string_view text) {
  const auto key = decode(text);
  if (!key || *key == PublicKey{}) return std::nullopt;
  return key;
}

std::string fingerprint(const PublicKey& key) {
  const std::string digits = to_hex(sha256(key));
  std::string text = digits.substr(0, 4);
  for (std::size_t group = 1; group < kGroups; ++group)
    text += "-" + digits.substr(4 * group, 4);
  return text;
}

std::optional<SecretKey> SecretKey::from_z85(std::string_view text) {
  auto bytes = decode(text);
  if (!bytes) return std::nullopt;
  SecretKey key;
  key.bytes_ = *bytes;
  sodium_memzero(bytes->data(), bytes->size());
  return key;
}

SecretKey SecretKey::from_bytes(const std::array<std::byte, 32>& bytes) {
  SecretKey key;
  key.bytes_ = bytes;
  return key;
}

SecretKey::~SecretKey() { sodium_memzero(bytes_.data(), bytes_.size()); }

std::string SecretKey::z85() const { return encode(bytes_); }

PublicKey SecretKey::public_key() const {
  char text[kKeyCharacters + 1] = {};
  MDGAN_CHECK(zmq_curve_public(text, z85().c_str()) == 0);
  const auto key = decode({text, kKeyCharacters});
  MDGAN_CHECK(key.has_value());
  return *key;
}

KeyPair make_key_pair() {
  while (true) {
    char public_text[kKeyCharacters + 1] = {};
    char secret_text[kKeyCharacters + 1] = {};
    MDGAN_CHECK(zmq_curve_keypair(public_text, secret_text) == 0);
    const bool fits = can_be_written({public_text, kKeyCharacters}) &&
                      can_be_written({secret_text, kKeyCharacters});
    const auto secret = SecretKey::from_z85({secret_text, kKeyCharacters});
    sodium_memzero(secret_text, sizeof secret_text);
    if (fits && secret) return {secret->public_key(), *secret};
  }
}

}  // namespace mdgan
