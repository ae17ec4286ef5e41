#include "common/keys/sealed_stream.h"

#include <sodium.h>

#include <string_view>

namespace mdgan {
namespace {

constexpr std::string_view kDomain{"mdgan relay, version 1\0", 23};
constexpr std::size_t kHeader =
    crypto_secretstream_xchacha20poly1305_HEADERBYTES;
constexpr std::size_t kSeal = crypto_secretstream_xchacha20poly1305_ABYTES;
static_assert(crypto_secretstream_xchacha20poly1305_KEYBYTES == 32);
static_assert(crypto_scalarmult_BYTES == 32);

const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

class Hash {
 public:
  Hash() { crypto_generichash_init(&state_, nullptr, 0, 32); }
  ~Hash() { sodium_memzero(&state_, sizeof state_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;

  void add(const unsigned char* bytes, std::size_t count) {
    crypto_generichash_update(&state_, bytes, count);
  }
  template <std::size_t N>
  void add(const std::array<std::byte, N>& bytes) {
    add(raw(bytes.data()), N);
  }
  void add(std::uint64_t value) {
    std::array<std::byte, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::byte>(value >> (8 * i) & 0xffU);
    add(bytes);
  }
  void finish(std::array<unsigned char, 32>& digest) {
    crypto_generichash_final(&state_, digest.data(), digest.size());
  }

 private:
  crypto_generichash_state state_{};
};

}  // namespace

// --- the key ----------------------------------------------------------------

Result<SealKey> SealKey::of(const SealedTransfer& transfer,
                            const std::optional<KeyPair>& own) {
  std::array<unsigned char, 32> shared{};
  if (own) {
    const bool sends = own->public_key == transfer.source;
    if (!sends && own->public_key != transfer.target)
      return Error{"the server took this peer's key for another's",
                   ExitCode::kAuthentication};
    const PublicKey& other = sends ? transfer.target : transfer.source;
    if (crypto_scalarmult(shared.data(), raw(own->secret_key.bytes().data()),
                          raw(other.data())) != 0)
      return Error{"the server named no key of the other peer",
                   ExitCode::kAuthentication};
  }
  Hash hash;
  hash.add(reinterpret_cast<const unsigned char*>(kDomain.data()),
           kDomain.size());
  hash.add(shared.data(), shared.size());
  sodium_memzero(shared.data(), shared.size());
  hash.add(transfer.source);
  hash.add(transfer.target);
  hash.add(transfer.run);
  hash.add(transfer.swap.value);
  hash.add(transfer.token);
  SealKey key;
  hash.finish(key.bytes_);
  return key;
}

SealKey::~SealKey() { sodium_memzero(bytes_.data(), bytes_.size()); }

// --- chunks -----------------------------------------------------------------

struct Sealer::State {
  ~State() { sodium_memzero(&stream, sizeof stream); }
  crypto_secretstream_xchacha20poly1305_state stream{};
  std::vector<std::byte> header;  // of the stream, until its first chunk
};

Sealer::Sealer(const SealKey& key) : state_(std::make_unique<State>()) {
  state_->header.resize(kHeader);
  crypto_secretstream_xchacha20poly1305_init_push(
      &state_->stream, raw(state_->header.data()), key.bytes().data());
}
Sealer::~Sealer() = default;
Sealer::Sealer(Sealer&&) noexcept = default;
Sealer& Sealer::operator=(Sealer&&) noexcept = default;

std::vector<std::byte> Sealer::seal(std::span<const std::byte> chunk,
                                    bool last) {
  std::vector<std::byte> sealed = std::move(state_->header);
  state_->header.clear();
  const std::size_t offset = sealed.size();
  sealed.resize(offset + chunk.size() + kSeal);
  crypto_secretstream_xchacha20poly1305_push(
      &state_->stream, raw(sealed.data()) + offset, nullptr, raw(chunk.data()),
      chunk.size(), nullptr, 0,
      last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
           : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
  return sealed;
}

struct Opener::State {
  explicit State(const SealKey& k) : key(k) {}
  ~State() { sodium_memzero(&stream, sizeof stream); }
  SealKey key;
  crypto_secretstream_xchacha20poly1305_state stream{};
  bool begun = false;
  bool ended = false;
};

Opener::Opener(const SealKey& key) : state_(std::make_unique<State>(key)) {}
Opener::~Opener() = default;
Opener::Opener(Opener&&) noexcept = default;
Opener& Opener::operator=(Opener&&) noexcept = default;

std::optional<std::vector<std::byte>> Opener::open(
    std::span<const std::byte> sealed) {
  State& s = *state_;
  if (s.ended) return std::nullopt;
  if (!s.begun) {
    if (sealed.size() < kHeader ||
        crypto_secretstream_xchacha20poly1305_init_pull(
            &s.stream, raw(sealed.data()), s.key.bytes().data()) != 0)
      return std::nullopt;
    sealed = sealed.subspan(kHeader);
    s.begun = true;
  }
  if (sealed.size() < kSeal) return std::nullopt;
  std::vector<std::byte> chunk(sealed.size() - kSeal);
  unsigned char tag = 0;
  if (crypto_secretstream_xchacha20poly1305_pull(
          &s.stream, raw(chunk.data()), nullptr, &tag, raw(sealed.data()),
          sealed.size(), nullptr, 0) != 0)
    return std::nullopt;
  s.ended = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
  if (!s.ended && tag != crypto_secretstream_xchacha20poly1305_TAG_MESSAGE)
    return std::nullopt;
  return chunk;
}

bool Opener::ended() const { return state_->ended; }

}  // namespace mdgan
