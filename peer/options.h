// What a user can ask of mdgan-peer. configs/peer.ini documents the keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "common/data/image_reading.h"
#include "common/data/partition.h"
#include "common/options/options_parser.h"
#include "common/privacy/privacy_spec.h"
#include "common/tensor/precision.h"
#include "peer/io/told_classes.h"

namespace mdgan {

// Part `index` of `count`; {0, 0}: none was asked for.
struct ShardOption {
  std::uint32_t index = 0;
  std::uint32_t count = 0;
};

// The members' values are the defaults; what each is for is said once, in the
// help texts of options.cc.
struct PeerOptions {
  std::string config;
  std::string server;
  std::string data;
  ImageReading reading;  // of data
  ShardOption shard;
  std::uint32_t sessions = 1;
  Partition partition;
  TellClasses tell_classes = TellClasses::kCounts;
  std::string name;  // empty: the host's, see sessions_of()
  std::string listen = "tcp://*:0";
  std::string advertise;    // empty: where the server sees this peer
  bool no_listen = false;   // `listen` and `advertise` mean nothing then
  std::string key;          // the secret key's file; empty: no keys
  std::string server_key;   // the server's public key, or a file with it
  std::string known_peers;  // a file; empty: the server names the partners
  bool insecure = false;
  std::string evaluate_data;  // a folder; empty: this peer measures nothing
  std::string evaluate_classifier;  // a file; given where evaluate_data is
  std::string model_file;           // a model of the user's own; empty: none
  std::string device = "cpu";
  Precision precision = Precision::kFloat32;
  std::uint32_t threads = 1;
  std::string state_dir = "state";
  PrivacySpec privacy;
  Seconds connect_timeout{300};
  bool quiet = false;
};

// One peer of this process.
struct PeerSessionOptions {
  std::string name;             // unique in the run
  std::uint32_t shard = 0;      // the part of the data it trains on ...
  std::uint32_t shards = 1;     // ... of this many
  std::int64_t index = -1;      // the PeerId it wishes for: its shard; -1: none
  std::filesystem::path state;  // the folder of its checkpoints
};

// `mdgan-peer keygen`: the peer's key.
struct PeerKeygenOptions {
  std::string key = "peer.key";
  std::string name;  // empty: the host's
};

// `mdgan-peer join`: leaves this peer's key at the server that invited it.
struct PeerJoinOptions {
  std::string line;  // the invitation
  std::string key = "peer.key";
};

// `mdgan-peer status`: how a peer of this machine stands.
struct PeerStatusOptions {
  std::string name;  // empty: the one whose status is newest
  std::string state_dir = "state";
  bool json = false;
};

// `mdgan-peer classifier`: makes what generators are measured with.
struct PeerClassifierOptions {
  std::string data;
  ImageReading reading;
  std::string out = "classifier.safetensors";
  std::string device = "cpu";
};

// `mdgan-peer check`: whether such a peer would work.
struct PeerCheckOptions {
  PeerOptions peer;
  std::string model = "mlp";  // of the run
  std::uint32_t batch = 10;   // likewise
};

struct PeerVersionRequest {};
struct PeerHelpRequest {
  std::string text;
};
using ParsedPeer =
    std::variant<PeerOptions, PeerKeygenOptions, PeerJoinOptions,
                 PeerStatusOptions, PeerCheckOptions, PeerClassifierOptions,
                 PeerVersionRequest, PeerHelpRequest>;

// Reads the command line, the environment and the file they name. Errors have
// ExitCode::kUsage.
Result<ParsedPeer> parse_peer_options(int argc, const char* const* argv,
                                      const Environment& environment = {});

// The peers to host. One session with a name given is called exactly that;
// otherwise names are the name (or `hostname`) with "-SHARD" appended wherever
// the data is cut. A session that has all of the data wishes for no PeerId.
std::vector<PeerSessionOptions> sessions_of(const PeerOptions& options,
                                            const std::string& hostname);

// The text of configs/peer.ini.
std::string peer_configuration_template();

}  // namespace mdgan
