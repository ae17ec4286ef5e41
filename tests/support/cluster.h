// A whole run in virtual time: the coordinator, N sessions, and a network
// between them that is slow, breaks connections, loses messages and kills
// processes as a seed says. A discriminator is a number. Invariants are checked
// after every event; the first that fails ends the run with a sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "peer/core/session.h"
#include "server/core/coordinator.h"

namespace mdgan {

struct Faults {
  double break_connection = 0;  // per message
  double lose_message = 0;      // silently, which TCP does not do
  double kill_peer = 0;         // per round and peer; it restarts later
  double kill_server = 0;       // per round; it resumes from its checkpoint
  double bad_feedback = 0;      // not finite
  double bad_transfer = 0;      // not finite
  double slow_peer = 0;         // a computation takes 100 times as long
  // Faults end after so much virtual time; then everything must go on.
  std::chrono::seconds until{600};
};

class Cluster {
 public:
  Cluster(std::uint32_t peers, CoordinatorConfig config, Faults faults,
          std::uint64_t seed);
  ~Cluster();

  // Runs to the end of training. Returns an empty string, or which invariant
  // broke, or that nothing happened for too long.
  std::string run();

  // A peer that joins at this virtual time.
  void join_later(std::chrono::seconds at);

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
  struct Peer {
    std::uint32_t number = 0;
    Session session;
    std::uint64_t nonce = 0;
    std::uint64_t life = 0;  // events of an earlier process do not reach it
    bool up = true;
    bool trainer = false;
    ConnectionId connection;
    TimePoint heard{};
    TimePoint busy_until{};
    std::optional<std::uint64_t> discriminator;
    std::map<std::uint64_t, std::uint64_t> arrivals;
    std::map<std::uint64_t, std::uint64_t> checkpoints;  // round -> D
    RunId saved_run{};
  };
  struct Later {
    TimePoint at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator>(const Later& o) const {
      return at != o.at ? at > o.at : order > o.order;
    }
  };

  void after(Duration delay, std::function<void()> what);
  Duration latency();
  bool happens(double probability);
  void start_server(RunPosition position);
  void tick_server();
  void to_server(Peer& peer, protocol::Message message, std::string defect);
  void to_peer(ConnectionId connection, SessionEvent event);
  void feed_server(const ServerEvent& event);
  void feed(Peer& peer, const SessionEvent& event);
  void reconnect(Peer& peer);
  void kill(Peer& peer);
  void watch(Peer& peer);
  void compute(Peer& peer, Duration time, std::function<void()> then);
  Peer* on_connection(ConnectionId connection);
  void fail(const std::string& what);
  void check_invariants();

  void apply(const ServerEffect& effect);
  void apply(Peer& peer, const SessionEffect& effect);

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
  RunPosition saved_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::set<ConnectionId> open_;
  std::map<ConnectionId, TimePoint> in_order_;  // per connection and direction
  std::map<ConnectionId, TimePoint> out_order_;
  std::uint64_t next_connection_ = 1;
  std::uint64_t next_number_ = 1;
  std::set<PeerId> kept_;  // whose feedback of the open round is kept
  Round stepped_;
  std::vector<StepGenerator> steps_;
  std::optional<Finish> finish_;
  std::string failure_;
  TimePoint progress_at_ = now_;
};

}  // namespace mdgan
