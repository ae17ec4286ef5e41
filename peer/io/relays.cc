#include "peer/io/relays.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "protocol/codec.h"
#include "protocol/frames.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

Error unfit() {
  return {"the discriminator has other sizes or types than this run's"};
}

}  // namespace

OutgoingRelay::OutgoingRelay(const SealKey& key,
                             const protocol::Message& message,
                             std::vector<Blob> tensors)
    : envelope_(protocol::encode(message)),
      tensors_(std::move(tensors)),
      sealer_(key),
      count_(protocol::chunks_of(protocol::tensors_of(message.body))) {}

Blob OutgoingRelay::next_chunk() {
  std::span<const std::byte> plain = envelope_;
  if (next_ > 0) {
    const std::span<const std::byte> bytes = tensors_[tensor_].bytes;
    plain = bytes.subspan(
        offset_, std::min(protocol::kChunkBytes, bytes.size() - offset_));
    offset_ += plain.size();
    if (offset_ == bytes.size()) {
      ++tensor_;
      offset_ = 0;
    }
  }
  ++next_;
  const auto sealed = std::make_shared<const std::vector<std::byte>>(
      sealer_.seal(plain, ended()));
  return {{protocol::DType::kUint8, {sealed->size()}}, *sealed, sealed};
}

IncomingRelay::IncomingRelay(SwapId swap, const SealKey& key,
                             std::vector<protocol::TensorMeta> expected)
    : swap_(swap), opener_(key), expected_(std::move(expected)) {}

Result<void> IncomingRelay::take(std::span<const std::byte> sealed) {
  const auto chunk = opener_.open(sealed);
  if (!chunk)
    return Error{
        "what came by relay is not what its source sealed: it was changed on "
        "its way, or the two peers were told different keys"};
  Result<void> taken = std::exchange(begun_, true) ? take_tensor_bytes(*chunk)
                                                   : take_envelope(*chunk);
  if (!taken) return taken;
  complete_ = tensors_.size() == expected_.size();
  if (complete_ != opener_.ended()) return unfit();
  return {};
}

Result<void> IncomingRelay::take_envelope(std::span<const std::byte> envelope) {
  auto message = protocol::decode(envelope);
  if (!message) return message.error();
  const auto* transfer = std::get_if<protocol::Transfer>(&message->body);
  if (transfer == nullptr || transfer->tensors != expected_) return unfit();
  message_ = std::move(*message);
  return {};
}

Result<void> IncomingRelay::take_tensor_bytes(
    std::span<const std::byte> bytes) {
  if (!open_) {
    open_ = make_blob(expected_[tensors_.size()]);
    offset_ = 0;
  }
  const std::size_t due =
      std::min(protocol::kChunkBytes, open_->bytes.size() - offset_);
  if (bytes.size() != due) return unfit();
  std::ranges::copy(
      bytes, open_->bytes.begin() + static_cast<std::ptrdiff_t>(offset_));
  offset_ += due;
  if (offset_ == open_->bytes.size()) {
    tensors_.push_back(std::move(open_->blob));
    open_.reset();
  }
  return {};
}

}  // namespace mdgan
