// What a server tells one who takes no part in its run, and how long that
// takes: for `mdgan-peer check`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/tensor/blob.h"
#include "peer/io/server_link.h"
#include "protocol/messages.h"

namespace mdgan {

struct LinkSpeed {
  Duration round_trip{};
  // To the server; nullopt: too fast for what was sent.
  std::optional<double> bytes_per_second;
};

// Threads: one at a time; every call waits.
class ServerProbe {
 public:
  // As ServerLink's.
  ServerProbe(zmq::context_t& context, std::string endpoint,
              std::optional<ClientKeys> keys);

  // Connects: both ends have the key that the other expects. Fails with
  // kAuthentication where the keys do not fit, with kUnreachable where nothing
  // comes of it in time, with kUsage for what is no endpoint.
  Result<void> connect(Duration patience);

  // REQUIRES of these: connect() has succeeded. They ask with messages of no
  // session, which every server answers by an error (PROTOCOL.md, section 5)
  // and forgets. They fail with kUnreachable without an answer.

  // Fails with kConfiguration where the server speaks another major version.
  Result<void> compare_versions();
  // Takes a few seconds at most, unless an answer takes longer.
  Result<LinkSpeed> measure();

 private:
  // Until the server has answered what is sent.
  Result<Duration> ask(const protocol::Message& message,
                       const Blob& tensor = {});
  void wait_for_socket(TimePoint end);

  ServerLink link_;
};

}  // namespace mdgan
