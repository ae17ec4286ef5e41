// Who is in the run: hello, welcome, loss, late joiners.

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

std::string describe(const ImageShape& image) {
  return std::to_string(image.channels) + "x" + std::to_string(image.height) +
         "x" + std::to_string(image.width) + " with " +
         std::to_string(image.classes) + " classes";
}

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

// Once training runs, so many peers of a connection may be new at a time: each
// is sent a copy of a discriminator before it takes part.
constexpr std::ptrdiff_t kNewcomersAtOnce = 64;

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
  if (!model_) {
    // The first peer's data decides the image shape where nothing else does.
    if (early_hellos_.size() >= protocol::kMaxPeers) return;
    early_hellos_.add(connection, hello, key);
    if (!std::exchange(deciding_, true))
      out.emplace_back(DecideModel{config_.image.value_or(hello.image)});
    return;
  }
  ImageShape image = hello.image;
  // Who does not use labels need not have them.
  if (model_->spec.condition == Condition::kNone)
    image.classes = config_.image->classes;
  if (image != *config_.image) {
    refuse_hello(connection, hello, protocol::ErrorCode::kMismatch,
                 "the images of peer " + hello.name + " are " +
                     describe(hello.image) + ", this run's are " +
                     describe(*config_.image),
                 out);
    return;
  }
  if (hello.shard_size < config_.batch) {
    refuse_hello(
        connection, hello, protocol::ErrorCode::kData,
        "peer " + hello.name + " has " + std::to_string(hello.shard_size) +
            " images, fewer than a batch of " + std::to_string(config_.batch) +
            ": give it more data, or the server a smaller --batch",
        out);
    return;
  }
  const auto known = position_.names.find(hello.name);
  if (known == position_.names.end()) {
    // Unanswered, a peer asks again in seconds; a stranger gets no further.
    if (started_ && newcomers_on(connection) >= kNewcomersAtOnce) return;
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
    member.connection = connection;
    welcome(member, hello, key, now, out);
    return;
  }
  Member& member = members_.at(known->second);
  const auto aside = position_.set_aside.find(member.id);
  if (aside != position_.set_aside.end() && aside->second == hello.nonce) {
    refuse_hello(connection, hello, protocol::ErrorCode::kSetAside,
                 "peer " + hello.name +
                     " was set aside: its answers could not "
                     "be used. Look at its data, and start it anew",
                 out);
  } else if (member.presence == Presence::kAbsent) {
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

// Members there that have not contributed yet.
std::ptrdiff_t Coordinator::newcomers_on(ConnectionId connection) const {
  const auto here = on_connection_.find(connection);
  if (here == on_connection_.end()) return 0;
  return std::ranges::count_if(
      here->second, [this](PeerId id) { return !members_.at(id).taken_part; });
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
  if (before == Presence::kLive)
    live_.erase(std::ranges::lower_bound(live_, member.id));
  uncopied_.erase(member.id);
  if (next == Presence::kLive)
    live_.insert(std::ranges::lower_bound(live_, member.id), member.id);
  if (next == Presence::kCopying) uncopied_.insert(member.id);
  if (before == Presence::kAbsent) {
    on_connection_[member.connection].insert(member.id);
    ++present_;
  } else if (next == Presence::kAbsent) {
    const auto it = on_connection_.find(member.connection);
    it->second.erase(member.id);
    if (it->second.empty()) on_connection_.erase(it);
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
  // Who joins a run that trains does not make its swaps more frequent.
  if (member.epoch_shard == 0 && started_ && !member.taken_part)
    member.epoch_shard = smallest_shard();
  member.epoch_shard = std::max(member.epoch_shard, hello.shard_size);
  member.held = hello.held;
  member.saved = hello.saved;
  member.relays = has_ability(hello, protocol::kRelay);
  if (std::exchange(member.endpoint, hello.endpoint) != hello.endpoint)
    links_.forget(member.id);
  member.owes.reset();
  member.failed_copies = 0;
  member.invalid_in_a_row = 0;
  member.breaches = 0;
  position_.set_aside.erase(member.id);
  member.warning.clear();
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
        "it starts with a copy of another peer's. Was its --state-dir "
        "lost or changed?";
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
  if (!member.warning.empty()) out.emplace_back(Note{member.warning, true});
  note_member(member,
              "joined: " + std::to_string(hello.shard_size) + " images; " +
                  std::to_string(live_peers()) + " live, " +
                  std::to_string(needed_peers()) + " needed",
              false, now, out);
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

void Coordinator::set_aside(Member& member, const std::string& why,
                            const std::string& advice, TimePoint now,
                            Out& out) {
  refuse(
      member.connection, member.id, protocol::ErrorCode::kSetAside,
      "this peer is set aside: " + why + "; " + advice + ", and start it anew",
      out);
  position_.set_aside[member.id] = member.nonce;
  failed_.insert(member.id);
  lose({&member.id, 1}, "is set aside: " + why, now, out);
}

// Names of those that came and went are not kept, nor saved.
void Coordinator::forget_strangers() {
  for (const PeerId id : std::exchange(strangers_, {})) {
    const auto it = members_.find(id);
    if (it == members_.end() || it->second.presence != Presence::kAbsent ||
        it->second.taken_part)
      continue;
    position_.names.erase(it->second.name);
    position_.discriminators.erase(id);
    position_.set_aside.erase(id);
    position_.keys.erase(id);
    links_.forget(id);
    failed_.erase(id);
    members_.erase(it);
    lowest_free_ = std::min(lowest_free_, id.value);
  }
}

void Coordinator::lose(std::span<const PeerId> peers, const std::string& why,
                       TimePoint now, Out& out) {
  if (peers.empty()) return;
  for (const PeerId id : peers) {
    Member& member = members_.at(id);
    set_presence(member, Presence::kAbsent, "is lost");
    member.owes.reset();
    ++counters_.lost_peers;
    note_member(member, why + "; " + std::to_string(live_peers()) + " live",
                true, now, out);
    for (auto& [number, round] : rounds_)
      if (round.lose(id)) ++member.missed;
    if (started_ && !member.taken_part && !failed_.contains(id))
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
  close_round_if_complete(now, out);
}

void Coordinator::note_member(const Member& member, const std::string& what,
                              bool warning, TimePoint now, Out& out) {
  if (const std::uint64_t hidden = member_notes_.take_hidden(now); hidden > 0)
    out.emplace_back(Note{std::to_string(hidden) +
                              " more lines on who came and went were left out",
                          true});
  if (member_notes_.allows(now))
    out.emplace_back(Note{"peer " + std::to_string(member.id.value) + " (" +
                              member.name + ") " + what,
                          warning});
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
    if (!member.owes || now - member.owes_since < 3 * round_time()) continue;
    refuse(member.connection, id, protocol::ErrorCode::kUnknownPeer,
           "no answer for too long: say hello again", out);
    debtors.push_back(id);
  }
  lose(debtors, "has not answered for three round-timeouts", now, out);
}

// A peer hears from us at least this often; one that owes an answer is probed
// faster, because a send is what finds a dead connection.
Duration Coordinator::silence_allowed(const Member& member) {
  return member.owes ? Duration(500ms) : Duration(2s);
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
