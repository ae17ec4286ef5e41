// The state that the peer shell's sources share: peer_shell.cc (the loop),
// peer_connections.cc (the server), peer_listener.cc (other peers),
// peer_effects.cc (what sessions ask for), peer_evaluations.cc and
// peer_relay.cc (exchanges by relay). Only these include it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/lane.h"
#include "common/base/mailbox.h"
#include "common/base/permits.h"
#include "common/base/worker_pool.h"
#include "common/net/channel.h"
#include "common/net/complaints.h"
#include "common/net/connection_guard.h"
#include "common/net/receiver.h"
#include "peer/core/session.h"
#include "peer/io/peer_runtime.h"
#include "peer/io/peer_shell.h"
#include "peer/io/peer_status.h"
#include "peer/io/server_link.h"
#include "peer/io/transfer_links.h"

namespace mdgan {

// Threads that write checkpoints: what they do most is wait for the disk.
inline constexpr unsigned kWriters = 4;

// Discriminators that wait for a connection to another process: one for each
// peer here that swaps, or a few copies for those who join there.
inline constexpr std::size_t kQueuedTransfers = 16;

struct PeerShell::Impl {
  zmq::context_t& context;
  PeerShellOptions options;
  std::shared_ptr<const Dataset> data;
  PeerArithmetic arithmetic;

  Mailbox mailbox;
  LaneReturns returns{mailbox};
  // Permits for copies of discriminators that are being written. They outlive
  // the sessions, whose tasks give them back.
  Permits copies{kWriters, kDiskPatience};
  std::vector<std::unique_ptr<PeerRuntime>> sessions;
  // What waits to be measured is of no use. The pools' threads read it.
  std::atomic<bool> leaving = false;
  std::optional<WorkerPool> file_pool;  // tasks of `pool` may wait for its
  std::optional<WorkerPool> status_pool;
  std::optional<WorkerPool> evaluation_pool;
  std::optional<WorkerPool> pool;  // waits for its tasks, which use the above

  std::optional<ServerLink> server;
  std::optional<zmq::socket_t> listener;  // none: all comes by relay
  std::optional<ConnectionGuard> guard;   // of the listener
  Receiver receiver;                      // likewise
  Complaints complaints;
  // Connections to the listener that are closed, while frames of theirs may
  // still be there to be taken: descriptor and socket_cookie().
  std::vector<std::pair<int, std::uint64_t>> closed;
  // The keys that the listener lets in, where the run has keys, and for how
  // many exchanges; and the connections of those that have sent something.
  std::map<PublicKey, std::size_t> let_in;
  std::map<PublicKey, std::set<std::pair<int, std::uint64_t>>> senders;
  TransferLinks links;
  std::string announced;  // our listener, for hello; empty: there is none
  // The tensors of the message of the server's that is handled.
  std::vector<Blob> arrived;

  // The run and the server that sent the last welcome; batches of any other are
  // dropped.
  RunId served_run{};
  std::uint32_t served_incarnation = 0;
  std::optional<TrainingSpec> spec;  // once a session is welcomed
  TensorCodecs codecs;               // like it
  std::uint64_t parameters = 0;      // likewise
  using BatchKey = std::pair<Round, std::uint32_t>;
  std::map<BatchKey, SharedBatch> batches;
  std::size_t rounds_ahead = 0;  // the most that a session was asked in so far

  // Indexes of the sessions by peer, by alarm and by the batch that they await:
  // a message or an alarm that concerns few of a thousand sessions does not
  // scan the others.
  std::map<PeerId, PeerRuntime*> welcomed;               // by address
  std::set<std::pair<TimePoint, std::uint32_t>> alarms;  // with session numbers
  std::map<BatchKey, std::vector<PeerRuntime*>> awaiting;
  std::size_t taking_part = 0;  // sessions that are not over
  TimePoint part_told{};        // when sessions were last told of a part

  // What happened to which session, and was not handled yet.
  std::deque<std::pair<PeerRuntime*, SessionEvent>> events;

  TimePoint last_heard;
  TimePoint connected;
  TimePoint last_report;
  TimePoint status_due;
  std::chrono::system_clock::time_point link_since;  // connected, or not
  TimePoint next_warning;                            // of the server's silence
  bool was_connected = false;
  std::uint64_t next_arrival = 1;
  PeerShellReport report;
  ExitCode leave_code = ExitCode::kOk;  // as it was asked to leave with

  Impl(zmq::context_t& c, PeerShellOptions o, std::shared_ptr<const Dataset> d,
       PeerArithmetic computes)
      : context(c),
        options(std::move(o)),
        data(std::move(d)),
        arithmetic(std::move(computes)),
        links(c, std::max(kQueuedTransfers, options.peers.size()),
              options.keys) {}

  Result<PeerShellReport> run();
  Result<void> check_states() const;
  Result<void> open();
  Result<void> open_listener();
  void poll();
  void drain_server();
  void drain_listener();
  void watch_link(TimePoint now);
  TimePoint next_deadline() const;
  void watch_server(TimePoint now);
  void give_up(const Error& error);
  void report_progress(TimePoint now);
  void report_sent() const;
  SentBytes sent() const;  // all that left the process
  void write_status(TimePoint now);
  PeerStatus status_of(const PeerRuntime& s) const;
  bool over() const { return returns.awaited() == 0 && taking_part == 0; }

  void on_server_message(Received received);
  void on_part(TimePoint now);
  // Whether the bytes of a batch or a chunk that comes are kept.
  bool wants_from_server(const Received& received);
  void on_batch(const protocol::Message& message, std::vector<Blob> tensors);
  std::string defect_of_batch(const std::vector<Blob>& tensors) const;
  // Whether the bytes of a transfer that comes are kept.
  bool wants_transfer(const Received& received);
  // `key`: of the connection on which it came.
  void on_transfer(const protocol::Message& message,
                   const std::vector<Blob>& tensors, const PublicKey& key);
  void take_transfer(PeerRuntime& s, IncomingTransfer transfer);
  void admit_transfer(PeerRuntime& s, IncomingTransfer transfer);
  PublicKey key_of(const Received& received) const;
  PublicKey own_key() const;  // zeros in a run without keys

  // Queues an event for handle_events().
  void feed(PeerRuntime& s, SessionEvent event);
  void feed_all(const SessionEvent& event);
  // Has the sessions handle what is queued and carries out what they decide,
  // until nothing is left.
  void handle_events();
  void ring_alarms(TimePoint now);
  void track(PeerRuntime& s, bool was_over);
  void track_keys(PeerRuntime& s);
  void await_batches(PeerRuntime& s, const protocol::Message& message);
  PeerRuntime* by_peer(PeerId peer);

  // One overload per effect: an effect without one does not compile.
  void apply(PeerRuntime& s, const SayHello& e);
  void apply(PeerRuntime& s, const SayToServer& e);
  void apply(PeerRuntime& s, const SendFeedback& e);
  void apply(PeerRuntime& s, const PrepareTrainer& e);
  void apply(PeerRuntime& s, const InitialiseDiscriminator& e);
  void apply(PeerRuntime& s, const RestoreDiscriminator& e);
  void apply(PeerRuntime& s, const Learn& e);
  void apply(PeerRuntime& s, const ComputeFeedback& e);
  void apply(PeerRuntime& s, const MeasureGenerator& e);
  void apply(PeerRuntime& s, const SendEvaluated& e);
  void apply(PeerRuntime& s, const SendTransfer& e);
  void apply(PeerRuntime& s, const PrepareChunks& e);
  void apply(PeerRuntime& s, const SendChunk& e);
  void apply(PeerRuntime& s, const OpenChunk& e);
  void apply(PeerRuntime& s, const DropChunks& e);
  void apply(PeerRuntime& s, const SaveTransfer& e);
  void save_transfer(PeerRuntime& s, const SaveTransfer& e,
                     const std::vector<NamedBlob>& of_shard);
  void apply(PeerRuntime& s, const Install& e);
  void apply(PeerRuntime& s, const DropTransfer& e);
  void apply(PeerRuntime& s, const SaveDiscriminator& e);
  void apply(PeerRuntime& s, const Report& e);
  void apply(PeerRuntime& s, const Leave& e);

  void send_transfer(PeerRuntime& s, SendTransfer e, const PeerState& state);
  void prepare_chunks(PeerRuntime& s, PrepareChunks e, const PeerState& state);
  // Says in a transfer what is sent with it, and returns that.
  static std::vector<Blob> complete_transfer(protocol::Message& message,
                                             const PeerState& state);
  std::string reachable(const std::string& endpoint) const;
  void say_hello(PeerRuntime& s);
  // Keeps what was spent, and warns once of steps that are not taken.
  void note_privacy(PeerRuntime& s, const std::optional<PrivacySpent>& spent);
  // What ends a session whose arithmetic threw.
  Lane::Failure trainer_failure(PeerRuntime& s);
};

}  // namespace mdgan
