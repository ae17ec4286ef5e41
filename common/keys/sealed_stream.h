// Seals what one peer sends another by way of the server: PROTOCOL.md, "Relay".
// What is changed, left out, repeated, reordered or cut off on the way cannot
// be opened.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/keys/key.h"

namespace mdgan {

// One transfer of an exchange, as the server has announced it to both ends.
struct SealedTransfer {
  RunId run{};
  SwapId swap;
  std::uint64_t token = 0;
  PublicKey source{};  // zeros, as `target`: the run has no keys
  PublicKey target{};
};

// The key of a transfer's chunks. Its memory is overwritten when it ends.
class SealKey {
 public:
  // `own` is the key of one of the two ends; nothing in a run without keys,
  // whose server can make this key, too. Fails with kAuthentication when
  // neither end has `own`, or the other end's key is none.
  static Result<SealKey> of(const SealedTransfer& transfer,
                            const std::optional<KeyPair>& own);

  SealKey(const SealKey&) = default;
  SealKey& operator=(const SealKey&) = default;
  ~SealKey();

  const std::array<unsigned char, 32>& bytes() const { return bytes_; }

 private:
  SealKey() = default;
  std::array<unsigned char, 32> bytes_{};
};

// Seals chunks, one after the other.
class Sealer {
 public:
  explicit Sealer(const SealKey& key);
  ~Sealer();
  Sealer(Sealer&&) noexcept;
  Sealer& operator=(Sealer&&) noexcept;

  // Longer than `chunk` by at most kSealAllowance. Nothing may follow the last.
  std::vector<std::byte> seal(std::span<const std::byte> chunk, bool last);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Opens them in the same order.
class Opener {
 public:
  explicit Opener(const SealKey& key);
  ~Opener();
  Opener(Opener&&) noexcept;
  Opener& operator=(Opener&&) noexcept;

  // Nothing if this is not the chunk that is due, or the last one has come.
  std::optional<std::vector<std::byte>> open(std::span<const std::byte> sealed);
  // Whether what was opened was sealed as the last.
  bool ended() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgan
