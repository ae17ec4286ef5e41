// A whole run in virtual time: the coordinator, the sessions of several peer
// processes, their disks, and a network between them. A seed says what goes
// wrong: connections break or hang, messages are lost or come twice, processes
// are killed or stopped at any instant, disks are slow or full, strangers lie.
// A discriminator is a number. Invariants are checked as the run goes on; the
// first that fails ends it with a sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "peer/core/session.h"
#include "server/core/coordinator.h"
#include "tests/support/cluster_faults.h"

namespace mdgan::test {

// How long the last faults are felt: a process or a link is cut off for a
// while, and a process or a server takes a while to start again.
inline constexpr Duration kAftermath = std::chrono::seconds(80);

class Cluster {
 public:
  // `sessions` peers share a process and its connection.
  Cluster(std::uint32_t peers, CoordinatorConfig config, Faults faults,
          std::uint64_t seed, std::uint32_t sessions = 1);
  ~Cluster();

  // Runs to the end of training. Returns an empty string, or which invariant
  // broke, or that nothing happened for too long.
  std::string run();

  // A peer that joins at this virtual time, in a process of its own.
  void join_later(std::chrono::seconds at);

  // Every message and misfortune goes there as a line.
  void trace_to(std::ostream& out) { trace_ = &out; }

  std::uint64_t events() const { return events_; }
  const CoordinatorCounters& counters() const {
    return coordinator_->counters();
  }
  Round completed() const { return coordinator_->position().completed; }
  // The discriminators by PeerId.
  std::map<PeerId, std::uint64_t> discriminators() const;
  std::string finish() const { return finish_ ? finish_->text : "unfinished"; }
  const std::vector<StepGenerator>& steps() const { return steps_; }

 private:
  struct Saved {
    protocol::Held held;
    std::uint64_t d = 0;
  };
  struct Process;
  struct Peer {
    std::uint32_t number = 0;
    std::uint32_t place = 0;  // in its process: the session number
    Process* process = nullptr;
    Session session;
    bool trainer = false;
    TimePoint busy_until{};
    TimePoint disk_busy_until{};
    std::optional<std::uint64_t> d;  // the discriminator in use
    std::set<std::uint64_t> used;    // that it had in use at some time
    std::map<std::uint64_t, std::uint64_t> arrivals;
    std::set<SwapId> chunks;  // of transfers that it sends by relay
    std::map<Round, std::uint64_t> trained;  // with which D, by round
    // The disk, which survives the process: at most three checkpoints, and two
    // discriminators that exchanges have brought.
    std::map<Round, Saved> checkpoints;
    std::optional<Saved> swapped[2];
  };
  struct Process {
    std::uint32_t number = 0;
    std::vector<Peer*> peers;
    std::uint64_t nonce = 0;
    std::uint64_t life = 0;  // events of an earlier process do not reach it
    bool up = false;
    bool listens = true;
    ConnectionId connection;
    TimePoint heard{};
    TimePoint cut_until{};
    bool cut_in = false, cut_out = false;  // which direction
  };
  struct Later {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator>(const Later& o) const {
      return at != o.at ? at > o.at : order > o.order;
    }
  };

  // cluster.cc
  void after(Duration delay, std::function<void()> what);
  Duration latency();
  bool happens(double probability);
  void misfortune();
  void kill_any();
  void fail(const std::string& what);
  void trace(const std::string& line);
  void trace(const std::string& whose, const protocol::Message& message);
  Process& add_process(std::uint32_t sessions);
  void start_server();
  void restart_server_later();
  void tick_server();
  void feed_server(const ServerEvent& event);
  void apply(const ServerEffect& effect);
  void apply_evaluation(const ServerEffect& effect);
  void lie();
  // The run's end, after its last evaluation.
  bool over() const;
  void to_server(Process& process, protocol::Message message,
                 std::string defect);
  void deliver_to_server(ConnectionId connection,
                         const protocol::Message& message,
                         const std::string& defect);
  void to_connection(ConnectionId connection,
                     std::function<void(Process&)> deliver);

  // cluster_invariants.cc
  void check_invariants();
  void check_progress();
  void check_memory();
  void check_name(DiscriminatorId name, std::uint64_t d);
  void check_batches(Round round);
  void check_step(const StepGenerator& step);

  // cluster_peers.cc
  Process* on_connection(ConnectionId connection);
  void deliver(Process& process, const protocol::Message& message);
  void start(Process& process);
  void reconnect(Process& process);
  void kill(Process& process);
  void watch(Process& process);
  void compute(Peer& peer, Duration time, std::function<void()> then);
  void use_disk(Peer& peer, Duration time, std::function<void(bool ok)> then);
  void feed(Peer& peer, const SessionEvent& event);
  void apply(Peer& peer, const SessionEffect& effect);
  static std::string endpoint_of(const Process& process);
  protocol::Hello hello_of(Peer& peer);
  bool is_last_owner(const Peer& peer) const;
  // What it sends: its discriminator, or a copy.
  std::uint64_t sent_by(const Peer& peer, const protocol::Message& transfer);
  void send_transfer(Peer& peer, const SendTransfer& e);
  void prepare_chunks(Peer& peer, const PrepareChunks& e);
  void open_chunk(Peer& peer, const OpenChunk& e);
  void restore(Peer& peer, const RestoreDiscriminator& e);

  CoordinatorConfig config_;
  Faults faults_;
  Random random_;
  std::uint64_t seed_;
  TimePoint now_{std::chrono::hours(1)};
  TimePoint begin_ = now_;
  std::uint64_t order_ = 0;
  std::uint64_t events_ = 0;
  std::priority_queue<Later, std::vector<Later>, std::greater<>> queue_;
  std::unique_ptr<Coordinator> coordinator_;
  std::uint64_t server_life_ = 0;
  bool server_up_ = false;
  RunPosition saved_;
  TimePoint server_disk_busy_until_{};
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::set<ConnectionId> open_;
  std::map<ConnectionId, TimePoint> in_order_;  // per connection and direction
  std::map<ConnectionId, TimePoint> out_order_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, TimePoint> cut_links_;
  // Exchanges that are no swaps, with the incarnation of their server.
  std::set<std::pair<std::uint32_t, SwapId>> copies_;
  // What is sealed in the chunks of a swap for a target.
  struct Sealed {
    protocol::Transfer transfer;
    std::string defect;
    std::uint64_t d = 0;
  };
  std::map<std::pair<SwapId, PeerId>, Sealed> sealed_;
  std::vector<protocol::Message> overheard_;  // what a liar may repeat
  std::uint64_t next_connection_ = 1;
  std::uint64_t next_number_ = 1;
  const protocol::Message* arriving_ = nullptr;
  // The peers whose feedback is kept, by round, until that is stepped.
  std::set<std::pair<Round, PeerId>> kept_;
  // Those that were asked to measure and have not answered, by round; and the
  // rounds that are to be merged.
  std::set<std::pair<Round, PeerId>> asked_to_measure_;
  std::set<Round> to_merge_;
  std::vector<SendMessage> goodbyes_;  // once no evaluation is open
  Round stepped_;
  std::vector<StepGenerator> steps_;
  std::optional<Finish> finish_;
  std::string failure_;
  std::ostream* trace_ = nullptr;
  TimePoint progress_at_ = now_;
  // The server's deadline, and since when it has been over, if it is.
  std::optional<TimePoint> due_;
  TimePoint due_from_{};
  // The end of the last round that began when faults were over; nullopt: none.
  std::optional<TimePoint> calm_at_;
  // Each discriminator's name, and whose name each is.
  std::map<DiscriminatorId, std::uint64_t> by_name_;
  std::map<std::uint64_t, DiscriminatorId> names_;
};

}  // namespace mdgan::test
