// What peer_host.cc (the loop, the network) and peer_effects.cc (what sessions
// ask for) share, and nobody else includes.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/mailbox.h"
#include "common/base/permits.h"
#include "common/base/worker_pool.h"
#include "common/net/channel.h"
#include "peer/core/session.h"
#include "peer/io/hosted_session.h"
#include "peer/io/peer_host.h"

namespace mdgan {

// Threads that write checkpoints: what they do most is wait for the disk.
inline constexpr unsigned kWriters = 4;

struct PeerHost::Impl {
  zmq::context_t& context;
  PeerHostOptions options;
  std::shared_ptr<const Dataset> data;

  Mailbox mailbox;
  // Of discriminators that are being written. Outlives the sessions, whose
  // tasks give them back.
  Permits copies{kWriters};
  std::vector<std::unique_ptr<HostedSession>> sessions;
  std::optional<WorkerPool> file_pool;  // tasks of `pool` may wait for its
  std::optional<WorkerPool> pool;  // waits for its tasks, which use the above
  std::size_t computing = 0;       // tasks whose result has not come back

  std::optional<zmq::socket_t> server;
  std::optional<zmq::socket_t> listener;
  std::map<std::string, zmq::socket_t> links;  // to other peers, by endpoint
  std::string announced;                       // our listener, for hello

  // Whose welcome was the last; batches of others are not for us.
  RunId served_run{};
  std::uint32_t served_incarnation = 0;
  std::optional<DiscriminatorSpec> spec;  // once a session is welcomed
  WireCodecs codecs;                      // like it
  std::uint64_t parameters = 0;           // likewise
  using BatchKey = std::pair<Round, std::uint32_t>;
  std::map<BatchKey, SharedBatch> batches;

  // Who is concerned by what, so that a message or a moment that concerns few
  // of a thousand sessions costs no look at the others.
  std::map<PeerId, HostedSession*> welcomed;             // by address
  std::set<std::pair<TimePoint, std::uint32_t>> alarms;  // with session numbers
  std::map<BatchKey, std::vector<HostedSession*>> awaiting;
  std::size_t taking_part = 0;  // sessions that are not over

  TimePoint last_heard;
  TimePoint connected;
  TimePoint last_report;
  bool warned = false;
  std::uint64_t next_arrival = 1;
  PeerHostReport report;

  Impl(zmq::context_t& c, PeerHostOptions o, std::shared_ptr<const Dataset> d)
      : context(c), options(std::move(o)), data(std::move(d)) {}

  Result<PeerHostReport> run();
  Result<void> open();
  Result<void> connect();
  void poll();
  TimePoint next_deadline() const;
  void watch_server(TimePoint now);
  void report_progress(TimePoint now);
  bool over() const { return computing == 0 && taking_part == 0; }

  void on_server_message(Received received);
  void on_batch(const protocol::Message& message, std::vector<Blob> tensors);
  std::string defect_of_batch(const std::vector<Blob>& tensors) const;
  void on_transfer(const protocol::Message& message,
                   const std::vector<Blob>& tensors);
  void take_transfer(HostedSession& s, const protocol::Transfer& transfer,
                     DiscriminatorState state);
  void admit_transfer(HostedSession& s, const protocol::Transfer& transfer,
                      DiscriminatorState state);

  void feed(HostedSession& s, const SessionEvent& event);
  void feed_all(const SessionEvent& event);
  void ring_alarms(TimePoint now);
  void track(HostedSession& s, bool was_over);
  void await_batches(HostedSession& s, const protocol::Message& message);
  HostedSession* by_peer(PeerId peer);

  // One overload per effect: an effect without one does not compile.
  void apply(HostedSession& s, const SayHello& e);
  void apply(HostedSession& s, const SayToServer& e);
  void apply(HostedSession& s, const SendFeedback& e);
  void apply(HostedSession& s, const PrepareTrainer& e);
  void apply(HostedSession& s, const InitialiseDiscriminator& e);
  void apply(HostedSession& s, const RestoreDiscriminator& e);
  void apply(HostedSession& s, const Learn& e);
  void apply(HostedSession& s, const ComputeFeedback& e);
  void apply(HostedSession& s, const SendTransfer& e);
  void apply(HostedSession& s, const Install& e);
  void apply(HostedSession& s, const DropTransfer& e);
  void apply(HostedSession& s, const SaveDiscriminator& e);
  void apply(HostedSession& s, const Report& e);
  void apply(HostedSession& s, const Leave& e);

  void send_transfer(HostedSession& s, SendTransfer e,
                     const DiscriminatorState& state);
  std::string reachable(const std::string& endpoint) const;
  // Runs `work` on the session's strand. Nobody waits for it: its end wakes the
  // loop only if it fails.
  void compute(HostedSession& s, std::function<void()> work);
  // Likewise, and then, on the loop, what `work` returns: the host is not over
  // before that.
  void compute_then(HostedSession& s,
                    std::function<std::function<void()>()> work);
  void come_back(std::function<void()> then);  // a counted task, to the loop
  std::function<void()> trainer_failure(HostedSession& s, std::string what);
};

}  // namespace mdgan
