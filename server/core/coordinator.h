// The server's logic, and nothing else: who is in the run, which round is open,
// who swaps with whom, when to save and when to stop. No sockets, no threads,
// no tensors, no clock. Every input is an event plus the current time; every
// output is an effect for the shell (server/io/server_shell.h) to carry out, in
// order. Equal configuration and event sequence give an equal effect sequence.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/core/coordinator_config.h"
#include "server/core/coordinator_view.h"
#include "server/core/early_hellos.h"
#include "server/core/events.h"
#include "server/core/hello_limit.h"
#include "server/core/label_plan.h"
#include "server/core/link_memory.h"
#include "server/core/member.h"
#include "server/core/note_limit.h"
#include "server/core/open_round.h"
#include "server/core/site_evaluations.h"
#include "server/core/start_choice.h"
#include "server/core/swap_cycle.h"

namespace mdgan {

class Coordinator {
 public:
  // With a non-zero `position` the run is a resumed one.
  explicit Coordinator(CoordinatorConfig config, RunPosition position = {});

  // Feeds one event and appends what is to be done to `out`. Never throws on
  // any message, however late, repeated or unexpected: peers are not trusted.
  void handle(const ServerEvent& event, TimePoint now,
              std::vector<ServerEffect>& out);

  // When TimePassed must be fed next; nullopt: no timer is armed.
  std::optional<TimePoint> next_deadline() const;

  // Whether a peer of the run is on this connection.
  bool knows(ConnectionId connection) const;
  // Whether this message is the chunk of a transfer that is to be relayed next.
  bool awaits_chunk(ConnectionId connection,
                    const protocol::Message& message) const;
  // Whether it is the answer to an `evaluate`, whose tensors are to be kept.
  bool awaits_evaluated(ConnectionId connection,
                        const protocol::Message& message) const;
  // Evaluations by peers that are open: the run's end waits for them.
  std::size_t open_evaluations() const { return evaluations_.open(); }

  const RunPosition& position() const { return position_; }
  // What a checkpoint keeps of it: all but peers that came when training was
  // under way and have not contributed. A server that goes on would count on
  // them, and anybody can be one.
  RunPosition position_to_save() const;
  const CoordinatorCounters& counters() const { return counters_; }
  std::uint32_t live_peers() const;
  // Peers whose hello waits for the model to be decided.
  std::uint32_t waiting_peers() const {
    return static_cast<std::uint32_t>(early_hellos_.size());
  }
  RunStage stage() const { return stage_; }
  bool started() const { return started_; }    // see CoordinatorView
  bool stopping() const { return stopping_; }  // likewise
  // The state of the run and of each of its members, absent ones too. Costs a
  // look at every member.
  CoordinatorView view() const;

 private:
  using Out = std::vector<ServerEffect>;

  void on(const Started& e, TimePoint now, Out& out);
  void on(const MessageArrived& e, TimePoint now, Out& out);
  void on(const KeyRevoked& e, TimePoint now, Out& out);
  void on(const ConnectionLost& e, TimePoint now, Out& out);
  void on(const ModelReady& e, TimePoint now, Out& out);
  void on(const ModelRefused& e, TimePoint now, Out& out);
  void on(const BatchesReady& e, TimePoint now, Out& out);
  void on(const GeneratorStepped& e, TimePoint now, Out& out);
  void on(const GeneratorFailed& e, TimePoint now, Out& out);
  void on(const FeaturesReady& e, TimePoint now, Out& out);
  void on(const CheckpointSaved& e, TimePoint now, Out& out);
  void on(const StopRequested& e, TimePoint now, Out& out);
  void on(const TimePassed& e, TimePoint now, Out& out);

  // Membership (coordinator_members.cc).
  void on_hello(ConnectionId connection, const protocol::Hello& hello,
                const PublicKey& key, TimePoint now, Out& out);
  // Whether the name is this key's, as far as is known; refuses it if not.
  bool has_its_key(ConnectionId connection, const protocol::Hello& hello,
                   const PublicKey& key, Out& out) const;
  // Before the model is decided, and how it is (coordinator_classes.cc).
  bool awaits_classes() const;
  void decide_model(ImageShape image, ClassNames classes, Out& out);
  void wait_for_model(ConnectionId connection, const protocol::Hello& hello,
                      const PublicKey& key, TimePoint now, Out& out);
  bool refuse_lookalikes(Out& out);
  void forget_early(ConnectionId connection);
  // Why a peer cannot take part in a run on images of this shape; nullopt: it
  // can.
  std::optional<protocol::ErrorReply> objection_to(
      const protocol::Hello& hello, const ImageShape& image) const;
  std::string class_objection(const protocol::Hello& hello) const;
  std::vector<std::uint64_t> run_counts(const protocol::Hello& hello) const;

  void set_presence(Member& member, Presence next, const char* why);
  void welcome(Member& member, const protocol::Hello& hello,
               const PublicKey& key, TimePoint now, Out& out);
  void send_welcome(Member& member, TimePoint now, Out& out);
  void forget_strangers();
  PeerId choose_id(const protocol::Hello& hello);
  std::size_t newcomers_of(const HelloSender& sender) const;
  bool may_begin_anew(const Member& member, TimePoint now);
  void has_contributed(Member& member);
  // Marks all of them lost before anything follows from it.
  void lose(std::span<const PeerId> peers, const std::string& why,
            TimePoint now, Out& out, NoteKind how = NoteKind::kLost);
  void note_member(const Member& member, const std::string& what, NoteKind kind,
                   TimePoint now, Out& out);
  void refuse(ConnectionId connection, PeerId peer, protocol::ErrorCode code,
              std::string text, Out& out) const;
  void refuse_hello(ConnectionId connection, const protocol::Hello& hello,
                    protocol::ErrorCode code, std::string text, Out& out) const;
  void send_error(ConnectionId connection, PeerId peer,
                  protocol::ErrorReply error, Out& out) const;
  void send_keepalives(TimePoint now, Out& out);
  void call_back_debtors(TimePoint now, Out& out);
  static Duration silence_allowed(const Member& member);

  // Who is set aside, and for how long (coordinator_aside.cc).
  void set_aside(Member& member, const std::string& why,
                 const std::string& advice, TimePoint now, Out& out);
  void remember(const Member& stranger);
  bool is_aside(Member& member, const protocol::Hello& hello, TimePoint now);
  void refuse_aside(ConnectionId connection, Member& member,
                    const protocol::Hello& hello, TimePoint now, Out& out);

  // Which peer has which discriminator (coordinator_discriminators.cc).
  DiscriminatorId new_discriminator();
  DiscriminatorId newest_discriminator() const;
  DiscriminatorId discriminator_of(PeerId peer) const;  // 0: none
  StartChoice choose(PeerId peer, const protocol::Hello& hello);
  void assign(PeerId peer, DiscriminatorId discriminator);
  bool is_free(const protocol::Held& offer) const;
  void serve_joiners(TimePoint now, Out& out);
  void start_afresh(Member& member, TimePoint now, Out& out);

  // Exchanges of discriminators (coordinator_swap.cc).
  std::uint64_t smallest_shard() const;  // of the live peers; 0: there is none
  // It decides how often all peers exchange their discriminators.
  void warn_of_small_shard(Out& out) const;
  bool swap_is_due() const;
  bool begin_swap(TimePoint now, Out& out);
  void begin_exchange(Exchange exchange, TimePoint now, Out& out);
  void on_staged(Member& member, const protocol::Staged& staged, TimePoint now,
                 Out& out);
  void commit_exchange(SwapId id, TimePoint now, Out& out);
  // `broken` are the edges whose link is to blame.
  void abort_exchange(SwapId id, const std::string& why,
                      const std::vector<SwapEdge>& broken, TimePoint now,
                      Out& out);
  // What follows from the end of an exchange.
  void go_on_after(const Exchange& exchange, bool committed, TimePoint now,
                   Out& out);
  std::string blame(const Exchange& exchange,
                    const std::vector<SwapEdge>& broken, bool late,
                    TimePoint now);
  std::string describe_link(const SwapEdge& edge, bool relayed) const;
  void set_deadline(Exchange& exchange, TimePoint deadline);

  // Transfers by way of this server (coordinator_relay.cc).
  bool can_relay(PeerId source, PeerId target) const;
  bool goes_by_relay(PeerId source, PeerId target) const;
  bool is_avoided(PeerId source, PeerId target, TimePoint now) const;
  std::uint64_t most_chunks() const;
  void on_chunk(Member& member, const MessageArrived& e, TimePoint now,
                Out& out);
  void on_chunks_taken(Member& member, const protocol::ChunksTaken& taken,
                       TimePoint now, Out& out);
  void on_breach(Member& member, const std::string& what, TimePoint now,
                 Out& out);

  // Rounds (coordinator_rounds.cc).
  OpenRound* collecting();  // the round whose answers are awaited; or null
  const OpenRound* collecting() const;
  OpenRound& round_at(Round round);  // made where there is none
  void begin_round(TimePoint now, Out& out);
  void generate(OpenRound& round, Out& out);
  // The batches of the round after `closed`, and of those that may be asked
  // ahead of it.
  void generate_after(Round closed, TimePoint now, Out& out);
  // The first round after `closed` beyond which no round is asked ahead: what
  // follows it needs peers that owe nothing.
  Round pause_after(Round closed, TimePoint now) const;
  void ask_peers(OpenRound& round, TimePoint now, Out& out);
  bool counts(PeerId peer) const;  // for the quorum of a round
  void ask_ahead(TimePoint now, Out& out);
  // The round that is to be stepped next has been asked already.
  void await_answers(TimePoint now, Out& out);
  void send_batches(Round round, const std::vector<Assignment>& assignments,
                    Out& out) const;
  void on_feedback(Member& member, const MessageArrived& e, TimePoint now,
                   Out& out);
  void set_aside_for_answers(Member& member, TimePoint now, Out& out);
  void refuse_feedback(const Member& member, Round round,
                       const std::string& defect, TimePoint now, Out& out);
  void close_round_if_complete(TimePoint now, Out& out);
  void close_round(OpenRound& round, TimePoint now, Out& out);

  // Evaluations by peers (coordinator_evaluations.cc).
  void begin_evaluation(Out& out);
  void on_evaluated(Member& member, const MessageArrived& e, TimePoint now,
                    Out& out);
  void end_evaluations(TimePoint now, Out& out);
  void merge_evaluation(const SiteEvaluations::Ended& ended, const char* when,
                        Out& out);
  void handle_after_the_end(const ServerEvent& event, TimePoint now, Out& out);

  // Labels of batches (coordinator_labels.cc).
  std::vector<PeerLabels> labels_of(std::span<const PeerId> peers) const;
  void note_classes(Out& out);
  LabelPlan plan_labels_of(Round round, Out& out);
  // 0: a discriminator of one will do for the other.
  double unlikeness(PeerId a, PeerId b) const;
  // Those of `peers` that are asked in the round.
  std::vector<PeerId> participants_of(std::vector<PeerId> peers,
                                      Round round) const;
  // Those among whom discriminators are swapped.
  std::vector<std::vector<PeerId>> swap_groups() const;

  // The run (coordinator.cc).
  void enter(RunStage next, const char* why);
  void give_up(const std::string& why, TimePoint now, Out& out);
  bool anybody_contributed() const;
  bool all_failed() const;  // of those that have taken part
  void end_round(TimePoint now, Out& out);
  void finish(ExitCode code, protocol::Goodbye goodbye, Out& out);

  void save(TimePoint now, Out& out);
  void send(Member& member, protocol::Body body, TimePoint now, Out& out);
  protocol::Message message_to(Member& member, protocol::Body body,
                               TimePoint now);
  Member* find(ConnectionId connection, PeerId peer);
  const Member* find(ConnectionId connection, PeerId peer) const;
  std::vector<PeerId> available() const;  // live and owing nothing, by id
  // Those that can be asked in the round: they owe nothing but rounds that are
  // open.
  std::vector<PeerId> available_for(Round round) const;
  // round-timeout, and more where a message stands for several rounds.
  Duration round_time() const;
  Duration copy_time() const;  // likewise of swap-timeout
  std::uint32_t needed_peers() const;
  std::uint32_t quorum_of_run() const;
  // The round after `round`: the next, but for FL-GAN and the run's end.
  Round following(Round round) const {
    return {std::min(round.value + stride_, config_.rounds)};
  }
  Round current() const { return following(position_.completed); }

  CoordinatorConfig config_;
  RunPosition position_;
  CoordinatorCounters counters_;
  AnswerHistogram answers_;
  RunStage stage_ = RunStage::kWaiting;
  bool started_ = false;  // min_peers have been there
  // Rounds between two messages of a round: 1, but for FL-GAN, where it is E
  // epochs of the shard that was the smallest when training started.
  std::uint64_t stride_ = 1;
  bool stopping_ = false;               // finish the round, save, leave
  ExitCode stop_code_ = ExitCode::kOk;  // with stopping_
  std::optional<ModelReady> model_;
  bool deciding_ = false;
  // The round of the newest checkpoint on the disk, and whether one is being
  // written: peers keep theirs of that round, and no further one is begun.
  Round durable_;
  Round last_asked_;  // the latest round that peers were asked in
  int saving_ = 0;
  TimePoint saving_since_{};             // when the last of them was begun
  std::optional<TimePoint> save_again_;  // one has failed, or was left out
  EarlyHellos early_hellos_;
  // For the welcome of peers whose class another one spells in another way.
  std::map<std::string, std::string> class_warnings_;
  std::map<PeerId, Member> members_;
  // Indexes, so that a hello does not scan all members.
  std::vector<PeerId> live_;   // in kLive, by id
  std::set<PeerId> uncopied_;  // in kCopying, and no exchange serves it
  std::size_t present_ = 0;    // but kAbsent
  std::map<ConnectionId, std::set<PeerId>> on_connection_;  // but kAbsent
  // How many of them have not contributed yet.
  std::map<HelloSender, std::size_t> newcomers_;
  // A process of so many peers may lose its connection and come back at once;
  // and a peer may begin anew so often.
  HelloLimit<HelloSender> hello_limit_{1024, 32};
  HelloLimit<PeerId> rejoin_limit_{8, 0.5};
  std::multiset<std::uint64_t> live_shards_;  // as long as live_: epoch_shard
  // position_.discriminators the other way round. Two peers may have one, while
  // an exchange is committed or the run has gone back behind a swap.
  std::set<std::pair<DiscriminatorId, PeerId>> owners_;
  std::uint32_t lowest_free_ = 0;  // no id below is free
  std::map<Round, OpenRound> rounds_;
  std::map<SwapId, Exchange> exchanges_;
  std::set<std::pair<TimePoint, SwapId>> exchange_ends_;
  std::uint64_t next_swap_ = 1;
  LinkMemory links_;
  SiteEvaluations evaluations_;
  bool evaluations_left_out_ = false;  // and a person knows
  protocol::Goodbye farewell_;         // once the run is over
  std::set<ConnectionId> came_back_;   // since then
  // How long a swap may take: training stands still meanwhile.
  Duration swap_time_;
  std::set<std::size_t> missing_classes_;  // that no live peer has, as told
  std::uint32_t last_discriminator_ = 0;
  std::set<PeerId> failed_;        // those that diverged or were set aside
  std::vector<PeerId> strangers_;  // lost, and without a part in the training
  // Likewise, but set aside, or with answers or chunks that will not do: they
  // are remembered, unless there are too many.
  std::deque<PeerId> suspects_;
  NoteLimit member_notes_;
  NoteLimit answer_notes_;
  TimePoint wait_deadline_{};
  // When a resumed run that lacks peers goes on with the quorum.
  std::optional<TimePoint> rejoin_deadline_;
  bool quorum_will_do_ = false;
  // When what the training thread does is said to take long.
  std::optional<TimePoint> watchdog_;
  // Nobody need be spoken to before: a lower bound, so that a message costs no
  // look at all members.
  TimePoint keepalive_due_ = TimePoint::max();
  // Attempts in a row at a round that had invalid answers and no valid one.
  int invalid_attempts_ = 0;
  ReportRound report_;  // of the round that is being stepped, or was last
};

}  // namespace mdgan
