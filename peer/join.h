// `mdgan-peer join`.
#pragma once

#include <string>

#include "common/base/result.h"
#include "peer/options.h"

namespace mdgan {

// Makes the key, or takes the one that is there, and leaves its public half at
// the server of the invitation, which it waits for. Returns what to show on
// stdout: the fingerprint, and what to do next. Fails with kAuthentication
// where the invitation is not good (any more) or the key file will not do, with
// kUnreachable after a minute without an answer.
Result<std::string> join(const PeerJoinOptions& options);

}  // namespace mdgan
