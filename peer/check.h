// `mdgan-peer check`: whether a peer started with these options would work.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "peer/hold_out.h"
#include "peer/options.h"
#include "peer/train/peer_trainer.h"

namespace mdgan {

// What a check computes with.
struct CheckArithmetic {
  // Readies --device and --precision; fails with kConfiguration.
  std::function<Result<void>()> set_device;
  PeerArithmetic peer;
  // Whether the classifier is one, of such images; fails with kConfiguration.
  std::function<Result<void>(const HeldOut&)> check_classifier;
};

// A part of the check and what was found: words for a person, or what is wrong
// and what to do.
using TellChecked = std::function<void(std::string_view part,
                                       const Result<std::string>& found)>;

// Looks up the server, connects, compares keys and versions, sees whether the
// folder of the peer's state can be written, reads the data, computes a few
// rounds, and reckons how long one takes on this link. It takes no part in the
// server's run and leaves nothing behind. Of several --sessions the first is
// looked at. A part that fails keeps back those that need it, not the others.
// Returns the code of the first that failed.
ExitCode check(const PeerCheckOptions& options, const std::string& hostname,
               const CheckArithmetic& arithmetic, const TellChecked& tell);

}  // namespace mdgan
