// The peers of the simulated cluster, and their disks.

#include <algorithm>
#include <utility>

#include "tests/support/cluster.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

constexpr ImageShape kImage{1, 4, 4, 10};
constexpr Duration kSilence = 15s;
constexpr std::size_t kCheckpoints = 3;

}  // namespace

Cluster::Process* Cluster::on_connection(ConnectionId connection) {
  for (const auto& process : processes_)
    if (process->up && process->connection == connection) return process.get();
  return nullptr;
}

// To whom of the process, as the shell finds out.
void Cluster::deliver(Process& process, const protocol::Message& message) {
  trace("to process " + std::to_string(process.number) + ":", message);
  const auto* welcome = std::get_if<protocol::Welcome>(&message.body);
  const auto* error = std::get_if<protocol::ErrorReply>(&message.body);
  if (error != nullptr && error->code == protocol::ErrorCode::kUnknownPeer)
    error = nullptr;
  if (welcome != nullptr || error != nullptr) {
    const std::uint32_t place =
        welcome != nullptr ? welcome->session : error->session;
    if (place >= process.peers.size()) return;
    Peer& peer = *process.peers[place];
    if (error != nullptr && peer.session.peer()) return;
    if (welcome != nullptr && faults_.full_disk == 0 &&
        welcome->start == protocol::Start::kReceive && !peer.session.peer() &&
        is_last_owner(peer))
      fail("peer " + std::to_string(peer.number) +
           " has what nobody else has and is told to start with a copy");
    feed(peer, ServerSaid{message});
    return;
  }
  // A goodbye is the run's: also for one that is not welcome yet.
  const bool all = std::holds_alternative<protocol::Goodbye>(message.body);
  for (Peer* peer : process.peers)
    if (all || peer->session.peer() == message.peer)
      feed(*peer, ServerSaid{message});
}

void Cluster::start(Process& process) {
  trace("process " + std::to_string(process.number) + " starts");
  process.up = true;
  process.nonce = random_.next64();
  for (Peer* peer : process.peers) {
    peer->session = Session();
    peer->d.reset();
    peer->arrivals.clear();
    peer->trained.clear();
    peer->trainer = false;
    peer->busy_until = peer->disk_busy_until = now_;
  }
  reconnect(process);
  watch(process);
}

void Cluster::reconnect(Process& process) {
  process.connection = {next_connection_++};
  if (server_up_) open_.insert(process.connection);
  process.heard = now_;
  for (Peer* peer : process.peers) feed(*peer, Connected{});
}

// What the host does besides the session: timers, and a silent server.
void Cluster::watch(Process& process) {
  after(500ms, [this, &process, life = process.life] {
    if (life != process.life) return;
    for (Peer* peer : process.peers)
      if (const auto due = peer->session.next_deadline(); due && *due <= now_)
        feed(*peer, ClockTicked{});
    if (std::ranges::all_of(process.peers,
                            [](Peer* p) { return p->session.over(); })) {
      if (!finish_) kill(process);  // a supervisor starts it again
      return;
    }
    const bool gone = !open_.contains(process.connection) && server_up_;
    if (now_ - process.heard > kSilence || (gone && random_.below(3) == 0))
      reconnect(process);
    watch(process);
  });
}

void Cluster::kill(Process& process) {
  trace("process " + std::to_string(process.number) + " is killed");
  open_.erase(process.connection);
  process.up = false;
  ++process.life;
  after(std::chrono::milliseconds(random_.below(20'000)),
        [this, &process] { start(process); });
}

void Cluster::compute(Peer& peer, Duration time, std::function<void()> then) {
  if (happens(faults_.slow_peer)) time *= 100;
  peer.busy_until = std::max(peer.busy_until, now_) + time;
  after(peer.busy_until - now_,
        [&peer, life = peer.process->life, then = std::move(then)] {
          if (life == peer.process->life) then();
        });
}

void Cluster::use_disk(Peer& peer, Duration time,
                       std::function<void(bool ok)> then) {
  if (happens(faults_.slow_disk)) time *= 100;
  const bool full = happens(faults_.full_disk);
  peer.disk_busy_until = std::max(peer.disk_busy_until, now_) + time;
  after(peer.disk_busy_until - now_,
        [&peer, full, life = peer.process->life, then = std::move(then)] {
          if (life == peer.process->life) then(!full);
        });
}

void Cluster::feed(Peer& peer, const SessionEvent& event) {
  std::vector<SessionEffect> effects;
  peer.session.handle(event, now_, effects);
  for (const SessionEffect& effect : effects) apply(peer, effect);
}

protocol::Hello Cluster::hello_of(Peer& peer) {
  protocol::Hello hello;
  hello.session = peer.place;
  hello.name = std::to_string(peer.number);
  hello.index = peer.number;
  hello.shard_size = 100 + peer.number;
  hello.image = kImage;
  hello.endpoint = "tcp://sim:1";
  hello.nonce = peer.process->nonce;
  hello.abilities = protocol::known_abilities();
  if (peer.trainer) hello.held = peer.session.held();
  if (const auto staged = peer.session.staged()) hello.saved.push_back(*staged);
  for (const auto& [round, saved] : peer.checkpoints)
    hello.saved.push_back(saved.held);
  for (const auto& swapped : peer.swapped)
    if (swapped) hello.saved.push_back(swapped->held);
  return hello;
}

// Whether it has a discriminator, in use or saved, that no other peer has. One
// that an exchange brought and that was never committed is another's.
bool Cluster::is_last_owner(const Peer& peer) const {
  const auto owned = [](const Peer& p) {
    std::set<std::uint64_t> all;
    if (p.process->up && p.d) all.insert(*p.d);
    for (const auto& [round, saved] : p.checkpoints) all.insert(saved.d);
    for (const auto& saved : p.swapped)
      if (saved) all.insert(saved->d);
    return all;
  };
  std::set<std::uint64_t> left = owned(peer);
  std::erase_if(left, [&](std::uint64_t d) { return !peer.used.contains(d); });
  for (const auto& other : peers_)
    if (other.get() != &peer)
      for (const std::uint64_t d : owned(*other)) left.erase(d);
  return !left.empty();
}

void Cluster::apply(Peer& peer, const SessionEffect& effect) {
  if (std::holds_alternative<SayHello>(effect)) {
    protocol::Message message;
    message.body = hello_of(peer);
    to_server(*peer.process, message, "");
  } else if (const auto* say = std::get_if<SayToServer>(&effect)) {
    to_server(*peer.process, say->message, "");
  } else if (const auto* send = std::get_if<SendFeedback>(&effect)) {
    to_server(*peer.process, send->message,
              happens(faults_.bad_feedback) ? "not finite" : "");
  } else if (const auto* prepare = std::get_if<PrepareTrainer>(&effect)) {
    if (prepare->codecs != config_.codecs)
      fail("a peer uses other codecs than the server");
    compute(peer, 2ms, [this, &peer] {
      peer.trainer = true;
      feed(peer, TrainerPrepared{});
    });
  } else if (std::holds_alternative<InitialiseDiscriminator>(effect)) {
    compute(peer, 1ms, [this, &peer] { peer.d = next_number_++; });
  } else if (const auto* restored =
                 std::get_if<RestoreDiscriminator>(&effect)) {
    compute(peer, 5ms, [this, &peer, e = *restored] { restore(peer, e); });
  } else if (std::holds_alternative<Learn>(effect)) {
    compute(peer, 4ms, [this, &peer] {
      if (!peer.d) fail("a peer trains without a discriminator");
    });
  } else if (const auto* work = std::get_if<ComputeFeedback>(&effect)) {
    compute(peer, 2ms, [this, &peer, e = *work] {
      if (peer.d) peer.used.insert(peer.trained[e.round] = *peer.d);
      if (peer.trained.size() > 4) peer.trained.erase(peer.trained.begin());
      feed(peer, FeedbackComputed{e.ask});
    });
  } else if (const auto* transfer = std::get_if<SendTransfer>(&effect)) {
    compute(peer, 1ms,
            [this, &peer, e = *transfer] { send_transfer(peer, e); });
  } else if (const auto* keep = std::get_if<SaveTransfer>(&effect)) {
    const auto arrival = peer.arrivals.find(keep->arrival);
    if (arrival == peer.arrivals.end())
      return fail("what is saved is not there");
    const Saved saved{{peer.session.run(), keep->round, keep->discriminator},
                      arrival->second};
    use_disk(peer, 3ms, [this, &peer, saved, e = *keep](bool ok) {
      const auto& first = peer.swapped[0];
      const bool in_use = first && first->held.discriminator == e.in_use;
      if (ok) peer.swapped[in_use ? 1 : 0] = saved;
      feed(peer, TransferSaved{e.arrival});
    });
  } else if (const auto* install = std::get_if<Install>(&effect)) {
    const auto node = peer.arrivals.extract(install->arrival);
    if (node.empty()) return fail("what is installed never arrived");
    compute(peer, 1ms, [&peer, d = node.mapped()] { peer.d = d; });
  } else if (const auto* drop = std::get_if<DropTransfer>(&effect)) {
    peer.arrivals.erase(drop->arrival);
  } else if (const auto* save = std::get_if<SaveDiscriminator>(&effect)) {
    compute(peer, 1ms, [this, &peer, e = *save, run = peer.session.run()] {
      if (!peer.d) return;
      const Saved saved{{run, e.round, e.discriminator}, *peer.d};
      use_disk(peer, 3ms, [&peer, saved, keep = e.keep](bool ok) {
        if (!ok) return;
        auto& all = peer.checkpoints;
        all.erase(all.upper_bound(saved.held.round), all.end());
        all[saved.held.round] = saved;
        while (all.size() > kCheckpoints + all.count(keep))
          all.erase(all.begin()->first == keep ? std::next(all.begin())
                                               : all.begin());
      });
    });
  }
}

void Cluster::restore(Peer& peer, const RestoreDiscriminator& e) {
  const protocol::Held which{peer.session.run(), e.round, e.discriminator};
  for (const auto& [round, saved] : peer.checkpoints)
    if (saved.held == which) {
      peer.d = saved.d;
      return feed(peer, Restored{});
    }
  for (const auto& saved : peer.swapped)
    if (saved && saved->held == which) {
      peer.d = saved->d;
      return feed(peer, Restored{});
    }
  if (faults_.full_disk == 0)
    fail("a peer was told to restore what it does not have");
  peer.d.reset();
  feed(peer, RestoreFailed{"it is not there"});
}

void Cluster::send_transfer(Peer& peer, const SendTransfer& e) {
  if (!peer.d) return fail("a peer sends no discriminator");
  if (happens(faults_.break_connection)) return;
  const auto& transfer = std::get<protocol::Transfer>(e.message.body);
  // A copy is another discriminator from now on.
  const std::uint64_t d =
      copies_.contains(transfer.swap) ? next_number_++ : *peer.d;
  const std::string defect = happens(faults_.bad_transfer) ? "not finite" : "";
  after(latency(), [this, e, transfer, d, defect, from = peer.process->number] {
    for (const auto& target : peers_) {
      if (!target->process->up || target->session.peer() != e.target ||
          !target->trainer || target->session.over())
        continue;
      const auto cut = cut_links_.find({from, target->process->number});
      if (cut != cut_links_.end() && now_ < cut->second) return;
      const std::uint64_t arrival = next_number_++;
      target->arrivals[arrival] = d;
      feed(*target, TransferArrived{transfer, defect, arrival});
      return;
    }
  });
}

}  // namespace mdgan::test
