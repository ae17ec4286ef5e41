// The state that the server shell's sources share: server_shell.cc (the loop),
// server_connections.cc (the network), server_effects.cc (training, files),
// server_evaluations.cc, and server_admission.cc and server_enrolment.cc
// (keys). Only these include it.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/lane.h"
#include "common/base/mailbox.h"
#include "common/base/permits.h"
#include "common/base/work_sharer.h"
#include "common/base/worker_pool.h"
#include "common/files/checkpoint_store.h"
#include "common/keys/enrolment.h"
#include "common/net/channel.h"
#include "common/net/complaints.h"
#include "common/net/connection_guard.h"
#include "common/net/receiver.h"
#include "common/train/generator/sampler.h"
#include "server/io/server_shell.h"
#include "server/run/tick_statistics.h"
#include "server/train/round_trainer.h"

namespace mdgan {

// How often the list of those who are let in is looked at: who is taken out of
// it is to be gone within 2 s.
inline constexpr Duration kLookAtList = std::chrono::milliseconds(500);

// What changes with the file; empty if it is not there.
std::string file_state(const std::filesystem::path& file);

struct ServerShell::Impl {
  struct Connection {
    std::string routing_id;
    std::string address;
    int descriptor = -1;       // -1: it is of this process
    std::uint64_t cookie = 0;  // of its socket
    bool complained = false;   // about its messages, once
    bool welcomed = false;     // has a session, or had one
    std::size_t frame_bytes = protocol::kFrameBytes;  // that it wants
    PublicKey key{};                                  // zeros: it has none
    std::string user{};        // the name of the key when it was let in
    std::string first_name{};  // without keys: that of its first hello
    bool revoked = false;
    bool invited = false;  // its key is an invitation's: it may join, no more
  };
  struct ReadyBatch {
    TensorFrames& frames_of(std::size_t frame_bytes) {
      return frames.try_emplace(frame_bytes, tensors, frame_bytes)
          .first->second;
    }

    std::vector<Blob> tensors;
    std::vector<protocol::TensorMeta> metas;
    // By their size; made when the first connection wants them.
    std::map<std::size_t, TensorFrames> frames;
  };

  zmq::context_t& context;
  const ServerOptions& options;
  const RunDirectory& directory;
  RunState state;  // as it was loaded; the generator's part is moved out
  int stop_descriptor;
  Coordinator coordinator;
  CheckpointStore store;
  std::string endpoint;

  Mailbox mailbox;
  LaneReturns returns{mailbox};
  ServerArithmetic arithmetic;
  // Touched by tasks on the training lane alone, once made.
  std::unique_ptr<RoundTrainer> trainer;

  std::optional<zmq::socket_t> router;
  std::optional<ConnectionGuard> guard;  // of the router
  Receiver receiver;                     // likewise
  Complaints complaints;
  std::optional<ServerKeys> keys;
  std::string list_state;  // of the file with the keys let in, as last read
  std::string list_seen;   // likewise, as last seen
  TimePoint list_due{};    // when to look at it again
  Invitations invitations;
  PendingPeers pending;
  std::string invitations_state;  // like list_state
  bool noting = false;            // a peer that joins is being noted
  // Connections whose key was revoked, and when they are cut.
  std::vector<std::pair<TimePoint, ConnectionId>> revoked;
  // Closed, while frames of theirs may still be there to be taken.
  std::vector<std::pair<int, std::uint64_t>> closed;
  std::map<std::string, ConnectionId> by_routing_id;
  std::map<ConnectionId, Connection> connections;
  std::uint64_t next_connection = 1;

  std::deque<ServerEvent> events;
  // The tensors of the message that is being handled.
  std::vector<Blob> arrived;
  // The tensors of each peer's answer to a round that is not stepped yet.
  std::map<std::pair<Round, PeerId>, std::vector<Blob>> feedback;
  std::map<Round, std::vector<ReadyBatch>> batches;
  // Generators that peers measure: what they are sent, and what has come back.
  struct Measured {
    GeneratedImages images;
    std::map<PeerId, MeasuredSite> sites;
  };
  std::map<Round, Measured> measured;
  std::optional<TrainingSpec> spec;          // once the model is decided
  std::uint64_t parameters = 0;              // that peers keep, likewise
  std::vector<protocol::TensorMeta> answer;  // of the spec, likewise
  std::function<Result<void>()> begin;       // see ServerShell::run()
  std::size_t saves = 0;                     // checkpoints under way
  Round newest_save;                         // that has ended
  std::optional<Error> save_error;           // why it is not there
  std::uint64_t failed_saves = 0;
  // What peers are told at the end, once the last checkpoint is on the disk.
  std::vector<SendMessage> goodbyes;
  std::optional<Finish> finished;
  std::optional<Finish> outcome;  // what request_stop() asks for

  TickStatistics tick;
  bool falls_back = false;  // the last round had a batch that did
  // When the open round's last batch was handed over.
  TimePoint sent_at = std::chrono::steady_clock::now();
  std::uint64_t swapped_before = 0;  // bytes_swapped() when the tick began
  RunObserver* observer = nullptr;   // once it runs
  std::optional<ServerState> shown;  // what the observer was told last
  TimePoint view_due{};              // when it is to get the next view

  // Checkpoints and pictures are made from copies, while training goes on.
  // There is at most one copy for each: taking the next one waits until what
  // was made of the last one is on the disk.
  Permits checkpoint_copy{1, kDiskPatience};
  Permits picture_copy{1, kDiskPatience, /*once=*/true};
  std::unique_ptr<Sampler> sampler;  // reused by whoever has picture_copy

  // Evaluations too, but they may take longer than what is between them: some
  // copies may wait before training has to.
  Permits evaluation_copies{4};
  WorkerPool evaluation_pool;
  Lane evaluations;

  WorkerPool file_pool;  // a training task may wait for this one's
  Lane files;
  // Takes a part of the work of the pool's thread: while that generates and
  // steps, peers wait, and a core is idle.
  std::optional<WorkSharer> sharer;
  WorkerPool pool;  // destroyed first: its tasks use the above
  Lane training;

  Impl(zmq::context_t& c, const ServerOptions& o, const RunDirectory& d,
       RunState s, KnownData known, int stop, ServerArithmetic computes,
       std::optional<ServerKeys> with_keys);
  ~Impl();

  void start_training_thread();
  Result<void> open();
  void watch_connections();
  Finish run(RunObserver& told);
  Finish ending() const;
  void say_goodbye();
  void poll();
  // Takes what has arrived; false if more may be there.
  bool drain();
  void stop(ExitCode code);
  // Waits a moment for peers to leave that were told goodbye.
  void await_departures();
  // Tells the observer of a new state at once, of the rest once a second.
  void show_state();
  void handle_events();
  void on_received(Received received);
  void complain(const Received& received, ConnectionId id);
  // Whether a message's tensors are what a peer is to send in a round.
  bool wants_tensors(const Received& received) const;
  // Whether it is what a peer has measured, with the tensors that are due.
  bool wants_measured(ConnectionId sender, const Received& received) const;
  void give_up_closed();
  void forget(ConnectionId id);
  std::string defect_of(const protocol::Message& message,
                        const std::vector<Blob>& tensors) const;
  // See MessageArrived. REQUIRES: the message has no defect.
  double feedback_length(const protocol::Message& message,
                         const std::vector<Blob>& tensors) const;
  ConnectionId connection_of(const Received& received);
  // These decide who is let in (server_admission.cc).
  void admit_listed();
  void watch_list(TimePoint now);
  void revoke_unlisted(TimePoint now);
  void cut_revoked(TimePoint now);
  ZapDomain whom_to_let_in() const;
  // Those who are invited (server_enrolment.cc).
  Result<void> read_enrolment();
  void watch_invitations();
  void on_invited(ConnectionId id, const Received& received);
  void note_pending(ConnectionId id, const protocol::Join& join);
  void reply_to_invited(ConnectionId id, protocol::Body body);
  // A peer has no more images than its line in authorized_peers says.
  void bound_claims(const Connection& connection, protocol::Hello& hello) const;
  // Why the connection may not say this hello; empty if it may.
  std::string denial(const Connection& connection,
                     const protocol::Hello& hello) const;
  // The same without keys: a connection is of one process.
  std::string denial_of_name(Connection& connection,
                             const std::string& name) const;
  void forget_a_stranger();
  // `peers`: how many of the connection's the message is for.
  void deliver(ConnectionId id, const protocol::Message& message,
               ReadyBatch* batch, std::uint32_t peers = 1);

  // One overload per effect: an effect without one does not compile.
  void apply(const SendMessage& e);
  void apply(const ForwardMessage& e);
  void apply(const SendBatch& e);
  void apply(const DecideModel& e);
  void apply(const GenerateBatches& e);
  void apply(const KeepFeedback& e);
  void apply(const StepGenerator& e);
  void apply(const ReportRound& e);
  void apply(const MakeFeatures& e);
  void apply(const SendFeatures& e);
  void apply(const KeepEvaluated& e);
  void apply(const MergeEvaluations& e);
  void apply(const SaveCheckpoint& e);
  void apply(const Note& e);
  void note(std::string text, bool warning);
  void apply(const ReportRefusal& e);
  void apply(const Finish& e);

  // Runs `work` on the training lane, then what it returns on the loop; an
  // exception ends the run.
  void train(Lane::Work work);
  // Takes a copy on the training lane and writes it on the lane `writer`; an
  // exception is logged as "ACTION: why". Not done once the permits are closed.
  void write_copy(Lane& writer, Permits& permits, const char* action,
                  std::function<Lane::Work()> copy);
  // Says when the aggregation rule begins or ceases to lack answers.
  void tell_fallback(Round round, std::uint32_t fallbacks);
  void end_tick();
  // The bytes of tensors that peers have sent each other so far: computed, for
  // the server does not see them.
  std::uint64_t bytes_swapped() const;
  Result<void> save(Round round, std::span<const NamedBlob> tensors,
                    const std::string& meta);
  void saved(Round round, const Result<void>& result);
  void save_before_training(const std::string& meta);
  void draw_samples(Round round);
  void evaluate(Round round);
  // What the loop is to do with what was measured: tell of it and keep it.
  Lane::Continuation keep(const Result<EvaluationRecord>& measured);
};

}  // namespace mdgan
