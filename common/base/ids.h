// Identifiers that cannot be mixed up.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace mdgan {

template <typename Tag, typename Rep>
struct StrongId {
  Rep value{};
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
};

// A peer's place in the run: 0, 1, 2, ... It survives reconnects, restarts and
// resumes. It orders the sum of the feedback, seeds the peer's random streams
// and, among the peers of a round, decides which batches the peer gets.
using PeerId = StrongId<struct PeerIdTag, std::uint32_t>;

// Rounds are counted from 1; round 0 is the state before training.
using Round = StrongId<struct RoundTag, std::uint64_t>;

// An exchange of discriminators: a swap, or a copy for a late joiner.
using SwapId = StrongId<struct SwapIdTag, std::uint64_t>;

// Names one discriminator for as long as the run lasts: it keeps its name while
// it is trained and when a swap hands it to another peer; a copy gets a name of
// its own. Drawn by the server; 0 names none.
using DiscriminatorId = StrongId<struct DiscriminatorIdTag, std::uint64_t>;

// Names one training run; drawn at random by the server when the run is made.
using RunId = std::array<std::byte, 16>;

// Names a process by its CURVE key, of which it alone has the secret half. All
// zeros: it has none.
using PublicKey = std::array<std::byte, 32>;

}  // namespace mdgan
