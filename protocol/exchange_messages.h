// The messages of an exchange of discriminators, as plain values; see
// messages.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "protocol/tensor_meta.h"

namespace mdgan::protocol {

// A discriminator that a peer has, of which run, and as of which round: the
// last one in which it was trained. `discriminator` 0: there is none.
struct Held {
  RunId run{};
  Round round;
  DiscriminatorId discriminator;
  friend bool operator==(const Held&, const Held&) = default;
};

// server -> peer: an exchange of discriminators. A peer with `sends` sends its
// D to `target` at `endpoint`, or by relay if that is empty; a peer with
// `receives` will get one from `source`. Where the run has keys, D goes to
// nobody but the holder of `target_key`, and comes from nobody but the holder
// of `source_key`.
struct Swap {
  SwapId swap;
  bool sends = false;
  PeerId target;
  std::string endpoint;
  std::uint64_t send_token = 0;  // to be repeated in the transfer to `target`
  bool receives = false;
  PeerId source;
  std::uint64_t receive_token = 0;  // what the transfer of `source` repeats
  DiscriminatorId discriminator;    // the incoming one's name
  PublicKey target_key{};           // zeros: none
  PublicKey source_key{};           // likewise
  friend bool operator==(const Swap&, const Swap&) = default;
};

// peer -> peer: a discriminator. The envelope's peer is the receiver. Tensors:
// parameters [P]; with the optimiser also Adam's first and second moments [P];
// as the swap codec says.
struct Transfer {
  SwapId swap;
  std::uint64_t token = 0;
  PeerId source;
  std::uint64_t adam_steps = 0;
  std::array<std::byte, 32> schema{};
  std::vector<TensorMeta> tensors;
  friend bool operator==(const Transfer&, const Transfer&) = default;
};

// peer -> server -> peer: a part of a transfer that the server passes on from
// the exchange's source to its target, sealed. Tensor: its bytes, uint8 [n].
struct Chunk {
  SwapId swap;
  std::uint32_t index = 0;  // 0, 1, ...
  std::vector<TensorMeta> tensors;
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

// The other way: how many chunks the target has taken so far.
struct ChunksTaken {
  SwapId swap;
  std::uint32_t count = 0;
  friend bool operator==(const ChunksTaken&, const ChunksTaken&) = default;
};

// peer -> server: the incoming discriminator is complete and valid (or not, and
// why); the peer still uses its own.
struct Staged {
  SwapId swap;
  bool ok = false;
  std::string reason;
  friend bool operator==(const Staged&, const Staged&) = default;
};

// server -> peer: install what was staged, or throw it away.
struct Commit {
  SwapId swap;
  friend bool operator==(const Commit&, const Commit&) = default;
};
struct Abort {
  SwapId swap;
  std::string reason;  // for a person
  friend bool operator==(const Abort&, const Abort&) = default;
};

}  // namespace mdgan::protocol
