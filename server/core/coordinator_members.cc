// Who is in the run: hello, welcome, loss, late joiners.

#include <algorithm>
#include <utility>

#include "common/base/transition.h"
#include "protocol/limits.h"
#include "server/core/coordinator.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// A late joiner whose copy failed so often starts with a fresh discriminator.
constexpr int kCopyAttempts = 2;
// Keepalives due this soon go out together.
constexpr Duration kKeepaliveSlack = 50ms;

std::string describe(const ImageShape& image) {
  return std::to_string(image.channels) + "x" + std::to_string(image.height) +
         "x" + std::to_string(image.width) + " with " +
         std::to_string(image.classes) + " classes";
}

// The first codec of the run that the peer cannot do; empty if there is none.
std::string missing_codec(const TensorCodecs& codecs,
                          const protocol::Hello& hello) {
  for (std::string& name : protocol::codec_names(codecs))
    if (std::ranges::find(hello.abilities, name) == hello.abilities.end())
      return std::move(name);
  return "";
}

bool knows_algorithm(Algorithm algorithm, const protocol::Hello& hello) {
  const std::string_view ability = traits_of(algorithm).ability;
  return ability.empty() ||
         std::ranges::find(hello.abilities, ability) != hello.abilities.end();
}

constexpr std::pair<Presence, Presence> kPresenceTransitions[]{
    {Presence::kAbsent, Presence::kLive},
    {Presence::kAbsent, Presence::kCopying},
    {Presence::kCopying, Presence::kLive},
    {Presence::kCopying, Presence::kAbsent},
    {Presence::kLive, Presence::kAbsent},
};

}  // namespace

void Coordinator::on_hello(ConnectionId connection,
                           const protocol::Hello& hello, TimePoint now,
                           Out& out) {
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
    early_hellos_.add(connection, hello);
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
  if (hello.shard_size < model_->spec.batch) {
    refuse_hello(connection, hello, protocol::ErrorCode::kData,
                 "peer " + hello.name + " has " +
                     std::to_string(hello.shard_size) +
                     " images, fewer than a batch of " +
                     std::to_string(model_->spec.batch) +
                     ": give it more data, or the server a smaller --batch",
                 out);
    return;
  }
  const auto known = position_.names.find(hello.name);
  if (known == position_.names.end()) {
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
    welcome(member, hello, now, out);
    return;
  }
  Member& member = members_.at(known->second);
  if (member.presence == Presence::kAbsent) {
    member.connection = connection;
    welcome(member, hello, now, out);
  } else if (member.nonce == hello.nonce) {
    member.last_heard = now;
    if (member.connection == connection &&
        member.held == hello.held_round) {  // it asks twice: say it again
      send_welcome(member, member.start, member.restore, now, out);
    } else {  // the same process on a new connection, or begins anew
      lose({&member.id, 1}, "reconnected", now, out);
      if (stage_ == RunStage::kFinished) return;
      member.connection = connection;
      welcome(member, hello, now, out);
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
                          TimePoint now, Out& out) {
  member.last_heard = now;
  member.session = hello.session;
  member.nonce = hello.nonce;
  member.shard_size = hello.shard_size;
  member.held = hello.held_round;
  member.endpoint = hello.endpoint;
  member.owes.reset();
  member.failed_copies = 0;

  const bool ours = hello.held_run == config_.run;
  const std::uint64_t completed = position_.completed.value;
  const bool exact = ours && !started_ &&
                     std::ranges::find(hello.checkpoints, completed) !=
                         hello.checkpoints.end();
  protocol::Start start = protocol::Start::kFresh;
  Round restore;
  if (completed == 0 || !traits_of(config_.algorithm).peer_keeps_state) {
    start = protocol::Start::kFresh;
  } else if (exact) {
    start = protocol::Start::kRestore;
    restore = position_.completed;
  } else if (ours && hello.held_round.value > 0) {
    start = protocol::Start::kKeep;
  } else if (ours && !hello.checkpoints.empty()) {
    start = protocol::Start::kRestore;
    restore = {*std::ranges::max_element(hello.checkpoints)};
  } else {
    start = protocol::Start::kReceive;
  }
  set_presence(
      member,
      start == protocol::Start::kReceive ? Presence::kCopying : Presence::kLive,
      "joins");
  send_welcome(member, start, restore, now, out);
  if (start == protocol::Start::kRestore && !exact && !started_)
    out.emplace_back(
        Note{"peer " + std::to_string(member.id.value) + " (" + member.name +
                 ") has no checkpoint of round " + std::to_string(completed) +
                 " and goes on from round " + std::to_string(restore.value) +
                 ": the run is not what it would have been uninterrupted",
             true});
  out.emplace_back(Note{"peer " + std::to_string(member.id.value) + " (" +
                        member.name +
                        ") joined: " + std::to_string(hello.shard_size) +
                        " images; " + std::to_string(live_peers()) + " live, " +
                        std::to_string(needed_peers()) + " needed"});
  if (stage_ == RunStage::kWaiting)
    begin_round(now, out);
  else
    serve_joiners(now, out);
}

void Coordinator::send_welcome(Member& member, protocol::Start start,
                               Round restore, TimePoint now, Out& out) {
  member.start = start;
  member.restore = restore;
  send(member,
       protocol::Welcome{member.session, model_->spec, model_->schema,
                         model_->parameters, config_.rounds, start, restore,
                         protocol::codec_names(config_.codecs)},
       now, out);
}

void Coordinator::lose(std::span<const PeerId> peers, const std::string& why,
                       TimePoint now, Out& out) {
  if (peers.empty()) return;
  for (const PeerId id : peers) {
    Member& member = members_.at(id);
    set_presence(member, Presence::kAbsent, "is lost");
    member.owes.reset();
    ++counters_.lost_peers;
    out.emplace_back(Note{"peer " + std::to_string(id.value) + " (" +
                              member.name + ") " + why + "; " +
                              std::to_string(live_peers()) + " live",
                          true});
    for (auto& [number, round] : rounds_)
      if (round.lose(id)) ++member.missed;
  }
  std::map<SwapId, PeerId> broken;  // and who broke it
  for (const auto& [swap, exchange] : exchanges_)
    for (const SwapEdge& edge : exchange.edges)
      for (const PeerId end : {edge.source, edge.target})
        if (members_.at(end).presence == Presence::kAbsent)
          broken.emplace(swap, end);
  for (const auto& [swap, peer] : broken) {
    if (stage_ == RunStage::kFinished) return;
    end_exchange(swap, false, "peer " + members_.at(peer).name + " " + why, now,
                 out);
  }
  close_round_if_complete(now, out);
}

// Gives every late joiner without a discriminator a copy of some live peer's;
// where there is none to copy, a fresh one.
void Coordinator::serve_joiners(TimePoint now, Out& out) {
  if (uncopied_.empty()) return;
  const std::vector<PeerId> donors = live_;
  const std::vector<PeerId> joiners(uncopied_.begin(), uncopied_.end());
  for (const PeerId id : joiners) {
    Member& member = members_.at(id);
    if (member.failed_copies >= kCopyAttempts ||
        (donors.empty() && present_ >= needed_peers())) {
      set_presence(member, Presence::kLive, "starts with a fresh one");
      send_welcome(member, protocol::Start::kFresh, {}, now, out);
      out.emplace_back(Note{"peer " + std::to_string(id.value) + " (" +
                                member.name +
                                ") starts with a fresh discriminator: there "
                                "was none to copy",
                            true});
    } else if (!donors.empty()) {
      Exchange exchange;
      exchange.id = {next_swap_++};
      exchange.edges = {{donors[id.value % donors.size()], id}};
      uncopied_.erase(id);
      begin_exchange(std::move(exchange), now, out);
    }
  }
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
  call_back_debtors(now, out);
  if (stage_ == RunStage::kFinished) return;
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
