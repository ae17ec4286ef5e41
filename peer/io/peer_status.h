// state/NAME/status.json: how a peer stands, for its owner and for programs.
//
//   schema          1; fields may be added, one that changes its meaning makes
//                   it 2
//   pid             the peer's process; killed, it leaves its last state
//   name, images    the peer's name, and how many images it trains on
//   server          where it connects to
//   connected       whether it is, and
//   since           since when, or since when not: seconds since 1970 (UTC)
//   insecure        whether others can read along (--insecure)
//   peer            its number in the run; null before its welcome
//   round, rounds   of which its discriminator is; the run's last one
//   live, needed    peers of the run, as the server said last
//   answer_seconds  what the last answer took to compute; null: none yet
//   swaps           discriminators received
//   privacy         null, or with --dp {"epsilon", "limit", "delta", "steps",
//                   "refusal"}: what was spent of the budget, of its images'
//                   by all runs; why the last step was not taken, or ""
//   sent            bytes that left the process, by kind: an object. They are
//                   those of all peers of the process
//   exit            null, or of a peer that has ended {"code", "reason"}
//   updated         when this was written, seconds since 1970 (UTC)
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/privacy/privacy_spec.h"

namespace mdgan {

struct PeerStatus {
  struct Exit {
    int code = 0;
    std::string reason;
  };

  std::int64_t pid = 0;
  std::string name;
  std::uint64_t images = 0;
  std::string server;
  bool connected = false;
  double since = 0;
  bool insecure = false;
  std::optional<std::uint64_t> peer;
  std::uint64_t round = 0;
  std::uint64_t rounds = 0;
  std::uint64_t live = 0;
  std::uint64_t needed = 0;
  std::optional<double> answer_seconds;
  std::uint64_t swaps = 0;
  std::optional<PrivacySpent> privacy;
  std::map<std::string, std::uint64_t> sent;
  std::optional<Exit> exit;
  double updated = 0;
};

// "epsilon 3.42 of 10 at delta 1e-05".
std::string privacy_words(const PrivacySpent& spent);

// The file's text. What is not UTF-8 becomes U+FFFD; with `indent` < 0 one line
// of ASCII.
std::string to_json(const PeerStatus& status, int indent = 1);

// Fails with kCheckpoint, naming the file, when it is not there, damaged or of
// another schema. Fields of other types are as if they were not there.
Result<PeerStatus> read_peer_status(const std::filesystem::path& file);

// A sentence. `runs` and `now` as below.
std::string peer_sentence(const PeerStatus& status, bool runs, double now);

// The sentence, then what left the process. `runs`: whether there is a process
// `status.pid`. `now`: seconds since 1970.
std::string peer_status_text(const PeerStatus& status, bool runs, double now);

}  // namespace mdgan
