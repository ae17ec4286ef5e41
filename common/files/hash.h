// SHA-256 and random bytes, from libsodium.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace mdgan {

using Sha256 = std::array<std::byte, 32>;

Sha256 sha256(std::span<const std::byte> bytes);

// Hashes a file's content, which is read in pieces. Fails with kCheckpoint.
Result<Sha256> sha256_of_file(const std::filesystem::path& path);

// Lower-case, two digits a byte.
std::string to_hex(std::span<const std::byte> bytes);
// Fills `bytes` with what to_hex() wrote. False if `text` is anything else, or
// of another length.
bool from_hex(std::string_view text, std::span<std::byte> bytes);

// Bytes nobody can predict: run identifiers, tokens. Not for training: see
// common/base/random.h.
void fill_random(std::span<std::byte> out);
std::uint64_t random_number();

}  // namespace mdgan
