// One peer's side of a run, and nothing else: no sockets, no threads, no
// tensors, no clock. Inputs are events plus the current time; outputs are
// effects for the host (peer/io/peer_shell.h), which carries out those that
// work on the discriminator strictly in the order they were given.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "peer/core/events.h"

namespace mdgan {

struct SessionCounters {
  std::uint64_t rounds = 0;
  std::uint64_t swaps_sent = 0;
  std::uint64_t swaps_installed = 0;
  std::uint64_t refused = 0;  // messages that the state did not allow
};

// Why a peer exchanges no discriminator with the holder of a key; empty: it
// does.
using Objection = std::function<std::string(const PublicKey& key)>;

class Session {
 public:
  // Without `objection` the server alone decides who exchanges with whom.
  explicit Session(Objection objection = {})
      : objection_(std::move(objection)) {}

  // Feeds one event and appends what is to be done. Never throws.
  void handle(const SessionEvent& event, TimePoint now,
              std::vector<SessionEffect>& out);

  std::optional<TimePoint> next_deadline() const;

  // The address of this session once welcomed.
  std::optional<PeerId> peer() const;
  bool over() const { return state_ == State::kOver; }
  RunId run() const { return run_; }
  // The round of which the discriminator in use is; 0: untrained, or none.
  Round held_round() const { return held_round_; }
  // What hello says: the discriminator in use, and the one that an exchange has
  // brought, as long as it is not known whether it is to be used.
  protocol::Held held() const { return {run_, held_round_, discriminator_}; }
  std::optional<protocol::Held> staged() const;
  const SessionCounters& counters() const { return counters_; }
  // Whether a transfer, on a connection with this key, is the one that the
  // server has announced; or may be one that it is yet to announce.
  bool awaits(const protocol::Transfer& transfer, const PublicKey& key) const;
  bool may_await(const protocol::Transfer& transfer,
                 const PublicKey& key) const;
  // The keys whose discriminators it waits for: nobody else need be let in.
  std::vector<PublicKey> awaited_keys() const;
  // The progress that the server told last.
  const protocol::Progress& progress() const { return progress_; }
  // The run's last round; 0 before the first welcome.
  std::uint64_t rounds() const { return welcome_.rounds; }
  // How many rounds it has been asked in besides the one that is open.
  std::size_t rounds_ahead() const { return ahead_.size(); }
  bool is_asked_ahead_in(Round round) const;

 private:
  enum class State {
    kGreeting,   // hello is out, or about to be
    kPreparing,  // welcomed; the trainer is being made
    kReceiving,  // waits for another peer's copy
    kReady,      // has a discriminator; rounds come
    kOver,
  };
  struct OpenRound {
    Round round;
    std::uint32_t generated = 0;
    std::uint32_t discriminated = 0;
    std::uint32_t steps = 1;
    std::uint64_t ask = 0;
    bool learning = false;
    bool computing = false;
  };
  using Out = std::vector<SessionEffect>;

  void on(const Connected& e, TimePoint now, Out& out);
  void on(const ServerSaid& e, TimePoint now, Out& out);
  void on(const BatchArrived& e, TimePoint now, Out& out);
  void on(const TransferArrived& e, TimePoint now, Out& out);
  void on(const TrainerPrepared& e, TimePoint now, Out& out);
  void on(const FeedbackComputed& e, TimePoint now, Out& out);
  void on(const GeneratorMeasured& e, TimePoint now, Out& out);
  void on(const PartArrived& e, TimePoint now, Out& out);
  void on(const Restored& e, TimePoint now, Out& out);
  void on(const RestoreFailed& e, TimePoint now, Out& out);
  void on(const TransferFailed& e, TimePoint now, Out& out);
  void on(const ChunksReady& e, TimePoint now, Out& out);
  void on(const ChunkRefused& e, TimePoint now, Out& out);
  void on(const TransferSaved& e, TimePoint now, Out& out);
  void on(const Failed& e, TimePoint now, Out& out);
  void on(const ServerLost& e, TimePoint now, Out& out);
  void on(const LeaveRequested& e, TimePoint now, Out& out);
  void on(const ClockTicked& e, TimePoint now, Out& out);

  void start(Out& out);
  void greet(TimePoint now, Out& out);
  void hear(TimePoint now);
  void on_welcome(const protocol::Message& message, TimePoint now, Out& out);
  void on_round(const protocol::Message& message, TimePoint now, Out& out);
  void enter(State next, const char* why);
  void on_commit(const protocol::Commit& commit, Round round, Out& out);
  bool end_is_missing() const;
  void on_swap(const protocol::Message& message, Out& out);
  // Why this peer does not exchange with `peer`, in words; empty: it does.
  std::string objection_to(PeerId peer, const PublicKey& key) const;
  void refuse(SwapId swap, const std::string& why, Out& out) const;
  void send_chunks(SwapId swap, Out& out);
  void on_chunk(const protocol::Chunk& chunk, Out& out);
  void on_chunks_taken(const protocol::ChunksTaken& taken, Out& out);
  void on_abort(const protocol::Abort& abort, Out& out);
  void decline(SwapId swap, const std::string& why, Out& out) const;
  void defer(const protocol::Message& message, Out& out);
  void obey_deferred(Out& out);
  void on_error(const protocol::ErrorReply& error, TimePoint now, Out& out);
  void advance_round(Out& out);
  bool is_asked_in(Round round) const;
  void forget_rounds();
  void stage(const TransferArrived& e, Out& out);
  void install_staged(Out& out);
  void drop_staged(Out& out);
  void drop_transfers(Out& out);
  void save_if_clean(Out& out);
  protocol::Message to_server(protocol::Body body) const;
  void leave(ExitCode code, const std::string& text, Out& out);

  Objection objection_;
  State state_ = State::kGreeting;
  RunId run_{};
  std::uint32_t incarnation_ = 0;
  PeerId peer_;
  protocol::Welcome welcome_;
  Round held_round_;
  DiscriminatorId discriminator_;  // in use; 0: none yet
  std::optional<OpenRound> open_;
  std::deque<OpenRound> ahead_;  // asked meanwhile, in that order
  std::uint64_t asks_ = 0;
  std::vector<std::pair<Round, std::uint32_t>> batches_;  // of these rounds
  std::optional<protocol::Swap> swap_;  // announced, not ended
  Round swap_round_;                    // in its envelope
  // Why this peer does not send for it: the server is told once what comes has
  // been staged, since it takes an earlier refusal for one to receive.
  std::string not_sent_;
  std::uint32_t next_chunk_ = 0;        // of what it brings, if by relay
  Round keep_;                          // as the last checkpoint message said
  std::vector<TransferArrived> early_;  // before their swap message
  // Swaps that this peer sends for, and checkpoints: until the trainer is
  // ready.
  std::vector<protocol::Message> deferred_;
  // The incoming discriminator. Once the server has been told of it, only the
  // server's word decides whether it is used: also if that comes with the next
  // welcome.
  struct Staged {
    std::uint64_t arrival = 0;
    SwapId swap;
    Round round;  // of which it is
    DiscriminatorId discriminator;
    bool told = false;
  };
  std::optional<Staged> staged_;
  // Transfers that this peer sends by relay.
  struct SentByRelay {
    std::uint32_t chunks = 0;  // 0: not prepared yet
    std::uint32_t sent = 0;
    std::uint32_t taken = 0;  // by the target
  };
  std::map<SwapId, SentByRelay> relays_;
  bool restoring_ = false;  // since it was welcomed last
  bool leave_when_done_ = false;
  TimePoint hello_due_{};
  TimePoint silent_at_{};  // when the server's silence has lasted too long
  std::optional<TimePoint> name_in_use_since_;
  std::string refusal_;  // why it waits, while its name is in use
  protocol::Progress progress_;
  SessionCounters counters_;
};

}  // namespace mdgan
