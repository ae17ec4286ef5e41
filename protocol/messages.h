// The messages of MD-GAN as plain values. PROTOCOL.md explains each field, who
// sends it and when; the codec alone knows their bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "protocol/evaluation_messages.h"
#include "protocol/exchange_messages.h"
#include "protocol/tensor_meta.h"
#include "protocol/training_spec.h"

namespace mdgan::protocol {

// A receiver refuses another major version; a higher minor version may append
// fields to a message and add message types, which a receiver ignores.
inline constexpr std::uint32_t kMajor = 3;
inline constexpr std::uint32_t kMinor = 1;

// peer -> server, the first message of a session.
struct Hello {
  std::uint32_t session = 0;  // chosen by the sender; echoed by the welcome
  std::string name;           // unique in the run; the peer's identity
  std::int64_t index = -1;    // the PeerId it would like; -1: no wish
  std::uint64_t shard_size = 0;
  ImageShape image;
  // Where other peers reach it; host '*': "where I am". Empty: nowhere.
  std::string endpoint;
  std::uint64_t nonce = 0;  // drawn once per process: tells restart from retry
  // The discriminators it still has: the one in use, and those it could go back
  // or on to, saved ones and one that an exchange has brought, of any run.
  Held held;
  std::vector<Held> saved;
  // Codecs it can do besides float32, and algorithms besides MD-GAN.
  std::vector<std::string> abilities;
  // The names of its classes, by its own labels: image.classes of them, or none
  // where it has no labels or cannot tell them.
  ClassNames classes;
  // How many images of each class its shard has; or 1 for a class that it has
  // and 0 for one that it lacks; or nothing.
  std::vector<std::uint64_t> class_counts;
  friend bool operator==(const Hello&, const Hello&) = default;
};

// Where a welcomed peer's discriminator comes from. Wire values.
enum class Start : std::uint8_t {
  kFresh = 1,    // initialise it from the seed
  kKeep = 2,     // go on with the one in use
  kRestore = 3,  // take the one that was offered as saved in round `restore`
  kReceive = 4,  // another peer will send a copy
};

// server -> peer. The envelope carries the PeerId.
struct Welcome {
  std::uint32_t session = 0;
  TrainingSpec spec;
  // SHA-256 of the discriminator's schema; see PROTOCOL.md, "Schema".
  std::array<std::byte, 32> schema{};
  std::uint64_t parameters = 0;
  std::uint64_t rounds = 0;  // the run's last round
  Start start = Start::kFresh;
  Round restore;
  // The name of the discriminator that the peer has from now on; with kReceive
  // 0.
  DiscriminatorId discriminator;
  std::vector<std::string> codecs;  // in use where not float32
  // For a person at the peer: what is lost by this start; empty if nothing is.
  std::string warning;
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

// server -> peer: the round in the envelope begins. Batch indices in [0, k).
struct RoundBegin {
  std::uint32_t generated = 0;      // X^g: compute the feedback on this batch
  std::uint32_t discriminated = 0;  // X^d: train on this batch
  // How many rounds this message stands for: the envelope's is the last of
  // them. 1, but for FL-GAN.
  std::uint32_t steps = 1;
  friend bool operator==(const RoundBegin&, const RoundBegin&) = default;
};

// server -> connection: one generated batch of the round, once for all peers of
// the connection. Tensors: images [b,c,h,w] in [-1,1] as the image codec says;
// when the model is conditional also labels [b] int32. In FL-GAN and data
// parallelism: the replica [R] float32.
struct Batch {
  std::uint32_t index = 0;
  std::vector<TensorMeta> tensors;
  friend bool operator==(const Batch&, const Batch&) = default;
};

// peer -> server. Tensors: feedback [b,c,h,w] as the feedback codec says,
// logits [b] float32; with int8 also the scales [b] float32. In FL-GAN and data
// parallelism: the replica as it is now, or its gradient, [R] float32.
struct Feedback {
  std::uint32_t generated = 0;  // echoes RoundBegin
  double discriminator_loss = 0;
  double generator_loss = 0;
  double seconds = 0;  // what the round's arithmetic took
  std::vector<TensorMeta> tensors;
  friend bool operator==(const Feedback&, const Feedback&) = default;
};

// server -> peer: save your discriminator as of the round in the envelope.
struct Checkpoint {
  Round keep;  // the one of this round is still needed: the server's newest
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// What the server is doing. Wire values.
enum class Phase : std::uint8_t { kWaiting = 1, kTraining = 2, kPaused = 3 };

// server -> peer, at least every two seconds when nothing else is sent: proof
// of life, and what a person at the peer wants to see.
struct Progress {
  Phase phase = Phase::kWaiting;
  std::uint64_t rounds = 0;
  std::uint32_t live = 0;
  std::uint32_t needed = 0;
  friend bool operator==(const Progress&, const Progress&) = default;
};

// Either direction: the sender leaves. Wire values.
enum class Reason : std::uint8_t {
  kDone = 1,     // the run is complete
  kStopped = 2,  // the server was stopped; the run can be resumed
  kLeaving = 3,  // this peer leaves
  kFailed = 4,   // the sender cannot go on; the text says why
};
struct Goodbye {
  Reason reason = Reason::kDone;
  std::string text;
  // With kStopped: the server's supervisor is to start it again, and the
  // peer's likewise.
  bool again = false;
  friend bool operator==(const Goodbye&, const Goodbye&) = default;
};

// A refusal. Wire values.
enum class ErrorCode : std::uint8_t {
  kMalformed = 1,      // the message could not be read
  kVersion = 2,        // another major version
  kMismatch = 3,       // image shape, classes or schema differ
  kNameInUse = 4,      // a live peer has this name
  kUnknownPeer = 5,    // no such session here: say hello again
  kState = 6,          // not allowed now
  kFull = 7,           // the run takes no more peers
  kSetAside = 8,       // its answers were refused again and again
  kData = 9,           // the peer has fewer images than a batch
  kUnauthorised = 10,  // its key is not, or no more, let in, or under this name
};
struct ErrorReply {
  ErrorCode code = ErrorCode::kMalformed;
  std::string text;
  std::uint32_t session = 0;  // of the hello that is refused
  friend bool operator==(const ErrorReply&, const ErrorReply&) = default;
};

// invited -> server, the only message on a connection whose key is an
// invitation's: the key and the name that the peer is to be let in with.
struct Join {
  PublicKey key{};
  std::string name;
  friend bool operator==(const Join&, const Join&) = default;
};

// server -> invited: the key was noted, and is let in once a person says so.
struct Joined {
  std::string fingerprint;  // of the key, as the server's owner sees it
  friend bool operator==(const Joined&, const Joined&) = default;
};

// Wire values are in codec.cc and PROTOCOL.md, not the variant's order.
using Body = std::variant<Hello, Welcome, RoundBegin, Batch, Feedback, Swap,
                          Transfer, Staged, Commit, Abort, Checkpoint, Progress,
                          Goodbye, ErrorReply, Chunk, ChunksTaken, Join, Joined,
                          Evaluate, Evaluated>;

// The header every message carries. `run` and `incarnation` are zero until the
// welcome has told them.
struct Message {
  RunId run{};
  std::uint32_t incarnation = 0;  // grows with every start of the run's server
  Round round;
  PeerId peer;  // whom the message is about: its sender, or its addressee
  Body body;
  friend bool operator==(const Message&, const Message&) = default;
};

}  // namespace mdgan::protocol
