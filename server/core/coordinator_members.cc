// Membership: hello, welcome, loss, late joiners.

#include <algorithm>
#include <utility>

#include "common/base/transition.h"
#include "protocol/algorithm.h"
#include "protocol/limits.h"
#include "protocol/tensor_codecs.h"
#include "server/core/coordinator.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// Keepalives due this soon go out together.
constexpr Duration kKeepaliveSlack = 50ms;

bool has_ability(const protocol::Hello& hello, std::string_view ability) {
  return std::ranges::find(hello.abilities, ability) != hello.abilities.end();
}

// The first codec of the run that the peer cannot do; empty if there is none.
std::string missing_codec(const TensorCodecs& codecs,
                          const protocol::Hello& hello) {
  for (std::string& name : protocol::codec_names(codecs))
    if (!has_ability(hello, name)) return std::move(name);
  return "";
}

bool knows_algorithm(Algorithm algorithm, const protocol::Hello& hello) {
  const std::string_view ability = traits_of(algorithm).ability;
  return ability.empty() || has_ability(hello, ability);
}

// Once training runs, so many peers of a sender may be new at a time: each
// is sent a copy of a discriminator before it takes part.
constexpr std::size_t kNewcomersAtOnce = 64;

constexpr std::pair<Presence, Presence> kPresenceTransitions[]{
    {Presence::kAbsent, Presence::kLive},
    {Presence::kAbsent, Presence::kCopying},
    {Presence::kCopying, Presence::kLive},
    {Presence::kCopying, Presence::kAbsent},
    {Presence::kLive, Presence::kAbsent},
};

}  // namespace

void Coordinator::on_hello(ConnectionId connection,
                           const protocol::Hello& hello, const PublicKey& key,
                           TimePoint now, Out& out) {
  if (!has_its_key(connection, hello, key, out)) return;
  if (const std::string codec = missing_codec(config_.codecs, hello);
      !codec.empty()) {
    refuse_hello(connection, hello, protocol::ErrorCode::kMismatch,
                 "this run uses the codec " + codec + ", which peer " +
                     hello.name +
                     " cannot do: install the server's version there, or run "
                     "the server with " +
                     codec.substr(0, codec.find('-')) + "-codec = float32",
                 out);
    return;
  }
  if (!knows_algorithm(config_.algorithm, hello)) {
    refuse_hello(connection, hello, protocol::ErrorCode::kMismatch,
                 "this run's algorithm is " +
                     std::string(name_of(kAlgorithmNames, config_.algorithm)) +
                     ", which peer " + hello.name +
                     " cannot do: install the server's version there",
                 out);
    return;
  }
  if (config_.staleness > 0 && !has_ability(hello, protocol::kRoundsAhead)) {
    refuse_hello(connection, hello, protocol::ErrorCode::kMismatch,
                 "this run asks peers ahead of their answers, which peer " +
                     hello.name +
                     " cannot do: install the server's version there, or run "
                     "the server with staleness = 0",
                 out);
    return;
  }
  if (!model_) {
    wait_for_model(connection, hello, key, now, out);
    return;
  }
  if (const auto objection = objection_to(hello, *config_.image)) {
    refuse_hello(connection, hello, objection->code, objection->text, out);
    return;
  }
  const auto known = position_.names.find(hello.name);
  if (known == position_.names.end()) {
    // Unanswered, a peer asks again in seconds; a stranger gets no further.
    if (started_ &&
        newcomers_of(hello_sender(key, connection)) >= kNewcomersAtOnce)
      return;
    if (members_.size() >= protocol::kMaxPeers) {
      refuse_hello(connection, hello, protocol::ErrorCode::kFull,
                   "this run takes no more peers", out);
      return;
    }
    const PeerId id = choose_id(hello);
    position_.names.emplace(hello.name, id);
    Member& member = members_[id];
    member.id = id;
    member.name = hello.name;
    member.is_late = started_;
    member.connection = connection;
    welcome(member, hello, key, now, out);
    return;
  }
  Member& member = members_.at(known->second);
  if (is_aside(member, hello, now)) {
    refuse_aside(connection, member, hello, now, out);
  } else if (member.presence == Presence::kAbsent) {
    if (!may_begin_anew(member, now)) return;
    member.connection = connection;
    welcome(member, hello, key, now, out);
  } else if (member.nonce == hello.nonce) {
    member.last_heard = now;
    if (member.connection == connection && member.held == hello.held &&
        member.saved == hello.saved &&
        member.welcomed_with == discriminator_of(member.id)) {
      // It asks twice: say it again.
      send_welcome(member, now, out);
    } else {  // the same process on a new connection, or begins anew
      if (!may_begin_anew(member, now)) return;
      lose({&member.id, 1}, "reconnected", now, out);
      if (stage_ == RunStage::kFinished) return;
      member.connection = connection;
      welcome(member, hello, key, now, out);
    }
  } else {
    // Another process with a live peer's name. If that peer is in truth gone,
    // this probe finds out and the newcomer's next hello is welcome.
    send(member,
         protocol::Progress{protocol::Phase::kTraining, config_.rounds,
                            live_peers(), needed_peers()},
         now, out);
    refuse_hello(connection, hello, protocol::ErrorCode::kNameInUse,
                 "a live peer is named " + hello.name +
                     ": start this one with another --name",
                 out);
  }
}

bool Coordinator::may_begin_anew(const Member& member, TimePoint now) {
  return !started_ || rejoin_limit_.allows(member.id, now);
}

// Its members that have not contributed yet.
std::size_t Coordinator::newcomers_of(const HelloSender& sender) const {
  const auto here = newcomers_.find(sender);
  return here == newcomers_.end() ? 0 : here->second;
}

void Coordinator::has_contributed(Member& member) {
  if (std::exchange(member.taken_part, true)) return;
  std::erase(suspects_, member.id);
  const auto here =
      newcomers_.find(hello_sender(member.key, member.connection));
  if (--here->second == 0) newcomers_.erase(here);
}

PeerId Coordinator::choose_id(const protocol::Hello& hello) {
  if (hello.index >= 0 && hello.index < std::int64_t{protocol::kMaxPeers}) {
    const PeerId wish{static_cast<std::uint32_t>(hello.index)};
    if (!members_.contains(wish)) return wish;
  }
  // Members stay: an id once taken is never free again.
  while (members_.contains(PeerId{lowest_free_})) ++lowest_free_;
  return PeerId{lowest_free_};
}

void Coordinator::set_presence(Member& member, Presence next, const char* why) {
  const Presence before = member.presence;
  transition<Presence>(member.presence, next, why, kPresenceTransitions,
                       kPresenceNames);
  if (before == Presence::kLive) {
    live_.erase(std::ranges::lower_bound(live_, member.id));
    live_shards_.erase(live_shards_.find(member.epoch_shard));
  }
  uncopied_.erase(member.id);
  if (next == Presence::kLive) {
    live_.insert(std::ranges::lower_bound(live_, member.id), member.id);
    live_shards_.insert(member.epoch_shard);
  }
  if (next == Presence::kCopying) uncopied_.insert(member.id);
  if (before == Presence::kAbsent) {
    on_connection_[member.connection].insert(member.id);
    if (!member.taken_part)
      ++newcomers_[hello_sender(member.key, member.connection)];
    ++present_;
  } else if (next == Presence::kAbsent) {
    const auto it = on_connection_.find(member.connection);
    it->second.erase(member.id);
    if (it->second.empty()) on_connection_.erase(it);
    if (!member.taken_part)
      if (const auto here =
              newcomers_.find(hello_sender(member.key, member.connection));
          --here->second == 0)
        newcomers_.erase(here);
    --present_;
  }
}

// Decides where the peer's discriminator comes from.
void Coordinator::welcome(Member& member, const protocol::Hello& hello,
                          const PublicKey& key, TimePoint now, Out& out) {
  member.last_heard = now;
  member.session = hello.session;
  member.nonce = hello.nonce;
  member.key = key;
  if (key != PublicKey{}) position_.keys[member.id] = key;
  member.shard_size = hello.shard_size;
  member.class_counts = run_counts(hello);
  // A peer that joins a run in training does not make its swaps more frequent.
  if (member.epoch_shard == 0 && started_ && !member.taken_part)
    member.epoch_shard = smallest_shard();
  member.epoch_shard = std::max(member.epoch_shard, hello.shard_size);
  member.held = hello.held;
  member.saved = hello.saved;
  member.relays = has_ability(hello, protocol::kRelay);
  member.evaluates = has_ability(hello, protocol::kEvaluation);
  if (std::exchange(member.endpoint, hello.endpoint) != hello.endpoint)
    links_.forget(member.id);
  member.owes.clear();
  member.failed_copies = 0;
  // Who connects anew is none the better for it.
  if (position_.set_aside.erase(member.id) > 0) {
    member.invalid_score = member.breaches = 0;
    member.aside_until.reset();
  }
  member.warning.clear();
  if (const auto warning = class_warnings_.extract(hello.name);
      !warning.empty())
    member.warning = warning.mapped();
  failed_.erase(member.id);

  const Round completed = position_.completed;
  const bool had_one = discriminator_of(member.id).value != 0;
  const StartChoice choice = choose(member.id, hello);
  member.start = choice.start;
  member.restore = choice.restore;
  const bool receives = choice.start == protocol::Start::kReceive;
  const std::string who =
      "peer " + std::to_string(member.id.value) + " (" + member.name + ")";
  if (receives && had_one)
    member.warning =
        who +
        " was part of this run and has no discriminator of it any more: "
        "it starts with a copy of another peer's. It was killed before it "
        "saved its first one, or its --state-dir was lost or changed";
  else if (completed.value > 0 && !started_ && !receives && !choice.exact &&
           choice.start != protocol::Start::kFresh)
    member.warning = who + " has no checkpoint of round " +
                     std::to_string(completed.value) +
                     " and goes on from round " +
                     std::to_string(choice.start == protocol::Start::kKeep
                                        ? hello.held.round.value
                                        : choice.restore.value) +
                     ": the run is not what it would have been uninterrupted";
  set_presence(member, receives ? Presence::kCopying : Presence::kLive,
               "joins");
  member.welcomed_with = discriminator_of(member.id);
  send_welcome(member, now, out);
  if (!member.warning.empty() && member_notes_.allows(now))
    out.emplace_back(Note{member.warning, true});
  note_member(member,
              "joined: " + std::to_string(hello.shard_size) + " images; " +
                  std::to_string(live_peers()) + " live, " +
                  std::to_string(needed_peers()) + " needed",
              NoteKind::kJoined, now, out);
  if (stage_ == RunStage::kWaiting)
    begin_round(now, out);
  else
    serve_joiners(now, out);
}

void Coordinator::send_welcome(Member& member, TimePoint now, Out& out) {
  send(member,
       protocol::Welcome{member.session, model_->spec, model_->schema,
                         model_->parameters, config_.rounds, member.start,
                         member.restore, discriminator_of(member.id),
                         protocol::codec_names(config_.codecs), member.warning},
       now, out);
}

void Coordinator::lose(std::span<const PeerId> peers, const std::string& why,
                       TimePoint now, Out& out, NoteKind how) {
  if (peers.empty()) return;
  for (const PeerId id : peers) {
    Member& member = members_.at(id);
    set_presence(member, Presence::kAbsent, "is lost");
    member.owes.clear();
    evaluations_.lose(id);
    ++counters_.lost_peers;
    note_member(member, why + "; " + std::to_string(live_peers()) + " live",
                how, now, out);
    bool suspect = member.invalid_score > 0 || member.breaches > 0;
    for (auto& [number, round] : rounds_) {
      if (round.lose(id)) ++member.missed;
      suspect = suspect || round.has_answer_of(id);
    }
    if (!started_ || member.taken_part || failed_.contains(id)) continue;
    if (suspect)
      remember(member);
    else
      strangers_.push_back(id);
  }
  std::map<SwapId, PeerId> broken;  // and who broke it
  for (const auto& [swap, exchange] : exchanges_)
    for (const SwapEdge& edge : exchange.edges)
      for (const PeerId end : {edge.source, edge.target})
        if (members_.at(end).presence == Presence::kAbsent)
          broken.emplace(swap, end);
  for (const auto& [swap, peer] : broken) {
    if (stage_ == RunStage::kFinished) return;
    abort_exchange(swap, "peer " + members_.at(peer).name + " " + why, {}, now,
                   out);
  }
  end_evaluations(now, out);
  close_round_if_complete(now, out);
}

void Coordinator::note_member(const Member& member, const std::string& what,
                              NoteKind kind, TimePoint now, Out& out) {
  if (const std::uint64_t hidden = member_notes_.take_hidden(now); hidden > 0)
    out.emplace_back(Note{std::to_string(hidden) +
                              " more lines on who came and went were left out",
                          true});
  if (member_notes_.allows(now))
    out.emplace_back(Note{"peer " + std::to_string(member.id.value) + " (" +
                              member.name + ") " + what,
                          kind != NoteKind::kJoined, kind, member.name});
}

void Coordinator::refuse(ConnectionId connection, PeerId peer,
                         protocol::ErrorCode code, std::string text,
                         Out& out) const {
  send_error(connection, peer, {code, std::move(text)}, out);
}

void Coordinator::refuse_hello(ConnectionId connection,
                               const protocol::Hello& hello,
                               protocol::ErrorCode code, std::string text,
                               Out& out) const {
  out.emplace_back(ReportRefusal{connection, hello.name, text});
  send_error(connection, {}, {code, std::move(text), hello.session}, out);
}

void Coordinator::send_error(ConnectionId connection, PeerId peer,
                             protocol::ErrorReply error, Out& out) const {
  out.emplace_back(SendMessage{connection,
                               {config_.run, config_.incarnation,
                                position_.completed, peer, std::move(error)}});
}

// A peer that has owed its answer for three round-timeouts may never have got
// the question: it is asked to say hello again, and keeps its discriminator.
void Coordinator::call_back_debtors(TimePoint now, Out& out) {
  std::vector<PeerId> debtors;
  for (const auto& [id, member] : members_) {
    if (!member.owes_since() || now - *member.owes_since() < 3 * round_time())
      continue;
    refuse(member.connection, id, protocol::ErrorCode::kUnknownPeer,
           "no answer for too long: say hello again", out);
    debtors.push_back(id);
  }
  lose(debtors, "has not answered for three round-timeouts", now, out);
}

// A peer hears from us at least this often; one that owes an answer is probed
// faster, because a send is what finds a dead connection.
Duration Coordinator::silence_allowed(const Member& member) {
  return member.owes.empty() ? Duration(2s) : Duration(500ms);
}

void Coordinator::send_keepalives(TimePoint now, Out& out) {
  if (stage_ != RunStage::kFinished) call_back_debtors(now, out);
  const protocol::Phase phase =
      stage_ == RunStage::kWaiting
          ? (started_ ? protocol::Phase::kPaused : protocol::Phase::kWaiting)
          : protocol::Phase::kTraining;
  const protocol::Progress progress{phase, config_.rounds, live_peers(),
                                    needed_peers()};
  keepalive_due_ = TimePoint::max();
  for (auto& [id, member] : members_) {
    if (member.presence == Presence::kAbsent) continue;
    const TimePoint due = member.last_sent + silence_allowed(member);
    if (due <= now + kKeepaliveSlack)
      send(member, progress, now, out);
    else
      keepalive_due_ = std::min(keepalive_due_, due);
  }
}

}  // namespace mdgan
