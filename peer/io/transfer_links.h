// The connections on which a process's peers send discriminators to others, one
// for each endpoint, kept for the next swap. Where they have keys a connection
// is for one exchange: after that the other end lets nobody in.
//
// What an endpoint that cannot be reached costs is bounded: a link queues few
// transfers, and gives them up when their swap is aborted.
//
// Threads: the loop's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <zmq.hpp>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/keys/key.h"
#include "common/net/channel.h"
#include "protocol/messages.h"

namespace mdgan {

class TransferLinks {
 public:
  // A link queues up to `queued` transfers. Of more links than `most`, the one
  // that was used least recently is closed; what it has still to send is sent
  // nevertheless.
  // With `own` each link has keys.
  TransferLinks(zmq::context_t& context, std::size_t queued,
                std::optional<KeyPair> own = {}, std::size_t most = 512)
      : context_(context), queued_(queued), own_(std::move(own)), most_(most) {}

  // Sends `message`, a Transfer of the swap `swap`, to `endpoint`, as soon as
  // there is a connection. Fails with kUsage for a malformed endpoint, with
  // kUnreachable when too many transfers wait there already. Nobody but the
  // holder of `key` can receive it, where links have keys.
  Result<void> send(const std::string& endpoint, SwapId swap,
                    const protocol::Message& message, TensorFrames& frames,
                    const PublicKey& key = {});

  // Forgets what still waits to be sent on the links that were last used for
  // this swap.
  void drop(SwapId swap);

  std::size_t size() const { return links_.size(); }
  // Bytes handed to ZeroMQ so far, also of transfers that were given up.
  std::uint64_t sent() const { return sent_; }

 private:
  struct Link {
    std::string endpoint;
    PublicKey key{};
    SwapId swap;  // of the last transfer
    zmq::socket_t socket;
  };
  // For transfers of `frames` each, the envelope included.
  Result<void> open(const std::string& endpoint, const PublicKey& key,
                    std::size_t frames);

  zmq::context_t& context_;
  std::size_t queued_;
  std::optional<KeyPair> own_;
  std::size_t most_;
  std::uint64_t sent_ = 0;
  std::list<Link> links_;  // the most recently used first
};

}  // namespace mdgan
