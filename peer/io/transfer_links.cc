#include "peer/io/transfer_links.h"

#include <algorithm>
#include <utility>

#include "common/files/failpoint.h"

namespace mdgan {
namespace {

// How long a link that was closed for another goes on sending, in ms: the
// default of the server's swap-timeout, after which no swap awaits its
// transfer.
constexpr int kLinger = 60'000;

}  // namespace

Result<void> TransferLinks::open(const std::string& endpoint,
                                 const PublicKey& key, std::size_t frames) {
  std::optional<ClientKeys> keys;
  if (own_) keys = ClientKeys{*own_, key};
  auto socket =
      connect_transfer_link(context_, endpoint, queued_ * frames, keys);
  if (!socket) return socket.error();
  links_.push_front({endpoint, key, {}, std::move(*socket)});
  if (links_.size() > most_) {
    links_.back().socket.set(zmq::sockopt::linger, kLinger);
    links_.pop_back();
  }
  return {};
}

Result<void> TransferLinks::send(const std::string& endpoint, SwapId swap,
                                 const protocol::Message& message,
                                 TensorFrames& frames, const PublicKey& key) {
  const auto known = std::ranges::find_if(links_, [&](const Link& link) {
    return link.endpoint == endpoint && link.key == key &&
           (!own_ || link.swap == swap);
  });
  if (known == links_.end()) {
    if (auto opened = open(endpoint, key, 1 + frames.count()); !opened)
      return opened;
  } else {
    links_.splice(links_.begin(), links_, known);
  }
  // Nothing fails here but the process.
  (void)failpoint("before-send", endpoint);
  const Sent sent =
      mdgan::send(links_.front().socket, "", message, &frames, &sent_);
  (void)failpoint("after-send", endpoint);
  links_.front().swap = swap;
  if (sent == Sent::kYes) return {};
  return Error{endpoint + " cannot be reached: " + std::to_string(queued_) +
                   " discriminators wait for it already",
               ExitCode::kUnreachable};
}

void TransferLinks::drop(SwapId swap) {
  std::erase_if(links_, [&](const Link& link) { return link.swap == swap; });
}

}  // namespace mdgan
