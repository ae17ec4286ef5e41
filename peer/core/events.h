// What goes into a session and what comes out of it: plain values. Events are
// named in the past tense, effects in the imperative.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "protocol/messages.h"
#include "protocol/tensor_codecs.h"

namespace mdgan {

// --- events -----------------------------------------------------------------

// The connection to the server exists anew: nothing said before counts.
struct Connected {};
// From the server, for this peer; never a Batch.
struct ServerSaid {
  protocol::Message message;
};
// A generated batch has arrived whole on this peer's connection.
struct BatchArrived {
  Round round;
  std::uint32_t index = 0;
};
// A discriminator from another peer. `defect` says why it cannot be used, empty
// if it can; the host keeps the tensors under the number `arrival` until
// Install or DropTransfer. Anybody can send one: the session finds out whose it
// is.
struct TransferArrived {
  protocol::Transfer transfer;
  std::string defect;
  std::uint64_t arrival = 0;
  PublicKey key{};  // of the connection on which it came; zeros: none
};
// Answers: TrainerPrepared to PrepareTrainer, FeedbackComputed to
// ComputeFeedback, RestoreFailed to RestoreDiscriminator, TransferFailed to
// SendTransfer, ChunksReady to PrepareChunks, ChunkRefused to OpenChunk,
// TransferSaved to SaveTransfer.
struct TrainerPrepared {
  std::optional<Error> error;  // the data or the model will not do
};
struct FeedbackComputed {
  std::uint64_t ask = 0;  // of the ComputeFeedback
};
// The answer to MeasureGenerator.
struct GeneratorMeasured {
  RunId run{};
  std::uint32_t incarnation = 0;
  Round round;
};
// A part of what the server sends has come: it is not silent, though the whole
// takes long.
struct PartArrived {};
struct Restored {};
struct RestoreFailed {
  std::string reason;
};
struct TransferFailed {
  SwapId swap;
  std::string reason;
};
// A transfer is there to be relayed, in so many chunks; 0: the target is in
// this process and has it.
struct ChunksReady {
  SwapId swap;
  std::uint32_t chunks = 0;
};
// What has come by relay is not what the source sealed, or is no transfer.
struct ChunkRefused {
  SwapId swap;
  std::string reason;
};
// It is on the disk, or as nearly as the disk allows.
struct TransferSaved {
  std::uint64_t arrival = 0;
};
// This peer cannot go on: its arithmetic failed, or its discriminator diverged.
struct Failed {
  Error error;
};
// Nothing has been heard of the server for as long as this peer waits.
struct ServerLost {
  Error error;
};
// A person wants this peer to leave once its round is done; said again: at
// once.
struct LeaveRequested {};
struct ClockTicked {};

using SessionEvent =
    std::variant<Connected, ServerSaid, BatchArrived, TransferArrived,
                 TrainerPrepared, FeedbackComputed, GeneratorMeasured,
                 PartArrived, Restored, RestoreFailed, TransferFailed,
                 ChunksReady, ChunkRefused, TransferSaved, Failed, ServerLost,
                 LeaveRequested, ClockTicked>;

// --- effects ----------------------------------------------------------------

// Say hello: the host fills in what it knows (name, data, what is saved), and
// Session::held() and staged().
struct SayHello {};
struct SayToServer {
  protocol::Message message;  // carries no tensors
};
// Send the feedback computed for the round, with its tensors.
struct SendFeedback {
  protocol::Message message;  // the host adds losses and tensors
};
// Make the trainer for this spec, or check that the one there fits; answer
// TrainerPrepared. The expected schema and parameter count are the welcome's.
struct PrepareTrainer {
  PeerId peer;
  protocol::Welcome welcome;
  TensorCodecs codecs;  // those that the welcome names
};
struct InitialiseDiscriminator {};
// Load the checkpoint; answer Restored or RestoreFailed.
struct RestoreDiscriminator {
  Round round;
  DiscriminatorId discriminator;
};
// L discriminator steps on batch `index` of the round; in FL-GAN, `steps`
// rounds of training that end with this one.
struct Learn {
  Round round;
  std::uint32_t index = 0;
  std::uint32_t steps = 1;
};
// The error feedback on batch `index`; answer FeedbackComputed.
struct ComputeFeedback {
  Round round;
  std::uint32_t index = 0;
  std::uint64_t ask = 0;  // tells a round asked anew from the first time
};
// Measure the generator of this round with the features that this event
// brought, beside training; answer GeneratorMeasured.
struct MeasureGenerator {
  RunId run{};
  std::uint32_t incarnation = 0;
  Round round;
  std::array<std::byte, 32> classifier{};
};
// Send what was measured of this round, with its tensors.
struct SendEvaluated {
  protocol::Message message;  // the host adds numbers and tensors
};
// Copy the discriminator as it is now and send it to `target` at `endpoint`;
// answer TransferFailed if that cannot be.
struct SendTransfer {
  std::string endpoint;
  PeerId target;
  protocol::Message message;  // the host adds the tensors
  PublicKey key{};            // of the target; zeros: the server named none
};
// Copy the discriminator as it is now, to be sent to `target` by relay; answer
// ChunksReady or TransferFailed. Nobody but the holder of `key` is to read it.
struct PrepareChunks {
  PeerId target;
  protocol::Message message;  // a transfer's
  PublicKey key{};            // zeros: the server named none
};
// Send the next chunk of that transfer, sealed.
struct SendChunk {
  protocol::Message message;  // the host adds the tensor
};
// Open the chunk that this event brought, one after the other from 0. The last
// one makes a TransferArrived.
struct OpenChunk {
  SwapId swap;
  std::uint32_t index = 0;
  PeerId source;
  std::uint64_t token = 0;
  PublicKey key{};  // of the source; zeros: the server named none
};
// What is there of a relayed transfer, to be sent or coming, is of no use.
struct DropChunks {
  SwapId swap;
};
// Write the transfer that arrived under this number to the disk, in the place
// of an earlier one that is not `in_use`; answer TransferSaved.
struct SaveTransfer {
  std::uint64_t arrival = 0;
  Round round;
  DiscriminatorId discriminator;  // its name
  DiscriminatorId in_use;
};
// Load the transfer that arrived under this number.
struct Install {
  std::uint64_t arrival = 0;
};
struct DropTransfer {
  std::uint64_t arrival = 0;
};
struct SaveDiscriminator {
  Round round;
  DiscriminatorId discriminator;
  Round keep;  // the checkpoint of this round stays, too
};
struct Report {  // for the log and the person at the terminal
  std::string text;
  bool warning = false;
};
// The session is over.
struct Leave {
  ExitCode code = ExitCode::kOk;
  std::string text;
};

using SessionEffect =
    std::variant<SayHello, SayToServer, SendFeedback, PrepareTrainer,
                 InitialiseDiscriminator, RestoreDiscriminator, Learn,
                 ComputeFeedback, MeasureGenerator, SendEvaluated, SendTransfer,
                 PrepareChunks, SendChunk, OpenChunk, DropChunks, SaveTransfer,
                 Install, DropTransfer, SaveDiscriminator, Report, Leave>;

}  // namespace mdgan
