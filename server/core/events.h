// What goes into the coordinator and what comes out of it: plain values. Events
// are named in the past tense, effects in the imperative.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "protocol/messages.h"
#include "server/core/note_kind.h"
#include "server/core/swap_cycle.h"

namespace mdgan {

// Monotonic, never the wall clock: a clock step must not time a peer out.
// One transport connection; it may carry several peers (peer/io/peer_shell.h).
using ConnectionId = StrongId<struct ConnectionIdTag, std::uint64_t>;

// --- events -----------------------------------------------------------------

// The shell is ready: the first event.
struct Started {};
// A well-formed envelope arrived. `defect` says what is wrong with what came
// with it (a tensor's shape, a value that is not finite, an endpoint); empty if
// nothing.
struct MessageArrived {
  ConnectionId connection;
  protocol::Message message;
  std::string defect;
  // The length of a feedback on images, as too_long() in feedback_bound.h takes
  // it; 0 for any other message.
  double feedback_length = 0;
  // The connection is authenticated by this key; zeros: it has none.
  PublicKey key{};
  // A hello that has a defect is refused with this code.
  protocol::ErrorCode refusal = protocol::ErrorCode::kMismatch;
};
// The key of a connection is let in no more, and why.
struct KeyRevoked {
  ConnectionId connection;
  std::string reason;
};
// A send found the connection gone.
struct ConnectionLost {
  ConnectionId connection;
};
// The model for the run's image shape exists; peers can be welcomed.
struct ModelReady {
  TrainingSpec spec;
  std::array<std::byte, 32> schema{};
  std::uint64_t parameters = 0;
};
// No model can be made for the shape that DecideModel asked about.
struct ModelRefused {
  Error error;
};
struct BatchesReady {
  Round round;
};
struct GeneratorStepped {
  Round round;
};
// The generator's step failed beyond repair (it diverged).
struct GeneratorFailed {
  Error error;
};
// The answer to MakeFeatures.
struct FeaturesReady {
  Round round;
  bool ok = false;
  std::array<std::byte, 32> classifier{};  // SHA-256 of the file
};
// The answer to SaveCheckpoint.
struct CheckpointSaved {
  Round round;
  bool ok = false;  // it is on the disk
};
// `code`: kOk when a person ends the run; kStopped when it is to be started
// again.
struct StopRequested {
  ExitCode code = ExitCode::kOk;
};
struct TimePassed {};

using ServerEvent =
    std::variant<Started, MessageArrived, KeyRevoked, ConnectionLost,
                 ModelReady, ModelRefused, BatchesReady, GeneratorStepped,
                 GeneratorFailed, FeaturesReady, CheckpointSaved, StopRequested,
                 TimePassed>;

// --- effects ----------------------------------------------------------------

// Send a message that carries no tensors.
struct SendMessage {
  ConnectionId connection;
  protocol::Message message;
};
// Send the message with the tensors of the message that this event brought.
struct ForwardMessage {
  ConnectionId connection;
  protocol::Message message;
};
// Send generated batch `index` of the round, once for all the connection's
// `peers` that need it.
struct SendBatch {
  ConnectionId connection;
  Round round;
  std::uint32_t index = 0;
  std::uint32_t peers = 1;
};
// Make the model for images of this shape and labels of these classes; answer
// ModelReady or ModelRefused.
struct DecideModel {
  ImageShape image;
  ClassNames classes;  // empty: labels play no part
};
// Which batches a round is to have.
struct BatchPlan {
  std::uint32_t batches = 1;
  // The class counts in whose proportions each batch's labels are drawn; empty:
  // each class is as likely.
  std::vector<ClassCounts> labels;
  friend bool operator==(const BatchPlan&, const BatchPlan&) = default;
};
// Answer BatchesReady.
struct GenerateBatches {
  Round round;
  BatchPlan plan;
};
// Keep the tensors of the message that this event brought until StepGenerator:
// they are the peer's valid answer to the round.
struct KeepFeedback {
  Round round;
  PeerId peer;
};
struct Contributor {
  PeerId peer;
  std::uint32_t batch = 0;
  std::uint64_t shard_size = 0;  // as its hello said
  friend bool operator==(const Contributor&, const Contributor&) = default;
};
// Merge the kept feedback of these peers in this order, step the generator;
// answer GeneratorStepped or GeneratorFailed.
struct StepGenerator {
  Round round;
  std::uint32_t steps = 1;  // rounds that this one stands for
  std::vector<Contributor> contributors;
};
// A round is complete: for statistics, samples and the progress line.
struct ReportRound {
  Round round;
  std::uint32_t steps = 1;  // rounds that this one stands for
  std::uint32_t asked = 0;
  std::uint32_t counted = 0;  // of them, for the quorum
  std::uint32_t contributed = 0;
  double discriminator_loss = 0;
  double generator_loss = 0;
};
// Draw images with the generator as it is after this round, to be measured by
// peers, and extract their features; answer FeaturesReady.
struct MakeFeatures {
  Round round;
};
// Send an `evaluate` with the features of its round.
struct SendFeatures {
  ConnectionId connection;
  protocol::Message message;  // the shell adds the tensors
};
// Keep what this peer measured, with the tensors of the message that this event
// brought, until MergeEvaluations.
struct KeepEvaluated {
  Round round;
  PeerId peer;
  std::string name;
  protocol::Evaluated evaluated;
};
// Merge what was kept of this round, by peer; it may be nothing.
struct MergeEvaluations {
  Round round;
};
// Save the server's own state as of this round; answer CheckpointSaved.
struct SaveCheckpoint {
  Round round;
};
// For log.txt, the terminal and events.jsonl; `warning` marks what a person
// should see.
struct Note {
  std::string text;
  bool warning = false;
  NoteKind kind = NoteKind::kOther;
  std::string peer = {};  // of which it tells; empty: of none, or of several
  std::vector<SwapEdge> edges = {};  // of a swap
};
// A hello was refused, and the peer is told so. It may ask again and again.
struct ReportRefusal {
  ConnectionId connection;
  std::string name;  // as the hello said
  std::string reason;
};
// The run ends, after everything above has been carried out.
struct Finish {
  ExitCode code = ExitCode::kOk;
  std::string text;
};

// Whether the `steps` rounds that end with `round` hold a multiple of `every`:
// how what happens every so many rounds happens when rounds come in strides.
inline bool passes(std::uint64_t round, std::uint64_t steps,
                   std::uint64_t every) {
  return round >= steps && round / every > (round - steps) / every;
}

using ServerEffect =
    std::variant<SendMessage, ForwardMessage, SendBatch, DecideModel,
                 GenerateBatches, KeepFeedback, StepGenerator, ReportRound,
                 MakeFeatures, SendFeatures, KeepEvaluated, MergeEvaluations,
                 SaveCheckpoint, Note, ReportRefusal, Finish>;

}  // namespace mdgan
