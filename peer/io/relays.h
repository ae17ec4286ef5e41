// A transfer that goes by way of the server, cut into sealed chunks and put
// together again: PROTOCOL.md, "Relay".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "common/keys/sealed_stream.h"
#include "common/tensor/blob.h"
#include "protocol/messages.h"

namespace mdgan {

class OutgoingRelay {
 public:
  // `message` is a Transfer whose list describes `tensors`.
  OutgoingRelay(const SealKey& key, const protocol::Message& message,
                std::vector<Blob> tensors);

  std::uint32_t chunks() const { return static_cast<std::uint32_t>(count_); }
  bool ended() const { return next_ == count_; }
  // The next one, sealed. REQUIRES: !ended().
  Blob next_chunk();

 private:
  std::vector<std::byte> envelope_;
  std::vector<Blob> tensors_;
  Sealer sealer_;
  std::size_t count_;
  std::size_t next_ = 0;    // chunk
  std::size_t tensor_ = 0;  // which one the next chunk is cut from
  std::size_t offset_ = 0;  // and where in it that begins
};

class IncomingRelay {
 public:
  // The tensors of the transfer must be these.
  IncomingRelay(SwapId swap, const SealKey& key,
                std::vector<protocol::TensorMeta> expected);

  SwapId swap() const { return swap_; }

  // Fails if this is not the chunk that is due, or brings no such transfer;
  // then nothing can follow. Reserves memory only for what was sealed by the
  // source.
  Result<void> take(std::span<const std::byte> sealed);
  bool complete() const { return complete_; }
  // REQUIRES: complete().
  const protocol::Message& message() const { return message_; }
  const std::vector<Blob>& tensors() const { return tensors_; }

 private:
  Result<void> take_envelope(std::span<const std::byte> envelope);
  Result<void> take_tensor_bytes(std::span<const std::byte> bytes);

  SwapId swap_;
  Opener opener_;
  std::vector<protocol::TensorMeta> expected_;
  protocol::Message message_;
  std::vector<Blob> tensors_;
  std::optional<NewBlob> open_;  // the one that is coming
  std::size_t offset_ = 0;       // in that
  bool begun_ = false;
  bool complete_ = false;
};

}  // namespace mdgan
