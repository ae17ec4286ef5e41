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
// The simulated discriminator has so many chunks: those that kParameters of
// cluster.cc make.
constexpr std::uint32_t kChunks = 22;

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
    peer->chunks.clear();
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
      if (!over()) kill(process);  // a supervisor starts it again
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

std::string Cluster::endpoint_of(const Process& process) {
  return "tcp://sim:" + std::to_string(1 + process.number);
}

protocol::Hello Cluster::hello_of(Peer& peer) {
  protocol::Hello hello;
  hello.session = peer.place;
  hello.name = std::to_string(peer.number);
  hello.index = peer.number;
  hello.shard_size = 100 + peer.number;
  hello.image = kImage;
  if (peer.process->listens) hello.endpoint = endpoint_of(*peer.process);
  hello.nonce = peer.process->nonce;
  hello.abilities = protocol::known_abilities();
  if (peer.number % 4 != 3)  // one has no images for it
    hello.abilities.emplace_back(protocol::kEvaluation);
  if (config_.conditional) {  // each site has two classes of four
    hello.classes = {std::to_string(peer.number % 3), "of all"};
    hello.image.classes = 2;
    hello.class_counts = {1, hello.shard_size - 1};
  }
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
      if (peer.d) {
        peer.used.insert(peer.trained[e.round] = *peer.d);
        check_name(peer.session.held().discriminator, *peer.d);
      }
      if (peer.trained.size() > 4 + config_.staleness)
        peer.trained.erase(peer.trained.begin());
      feed(peer, FeedbackComputed{e.ask});
    });
  } else if (const auto* measure = std::get_if<MeasureGenerator>(&effect)) {
    const Duration time =
        std::chrono::milliseconds(1 + 100 * (peer.number + 1));
    after(time, [this, &peer, m = *measure, life = peer.process->life] {
      if (life == peer.process->life)
        feed(peer, GeneratorMeasured{m.run, m.incarnation, m.round});
    });
  } else if (const auto* evaluated = std::get_if<SendEvaluated>(&effect)) {
    to_server(*peer.process, evaluated->message,
              happens(faults_.bad_feedback) ? "not finite" : "");
  } else if (const auto* transfer = std::get_if<SendTransfer>(&effect)) {
    compute(peer, 1ms,
            [this, &peer, e = *transfer] { send_transfer(peer, e); });
  } else if (const auto* prepared = std::get_if<PrepareChunks>(&effect)) {
    compute(peer, 1ms,
            [this, &peer, e = *prepared] { prepare_chunks(peer, e); });
  } else if (const auto* chunk = std::get_if<SendChunk>(&effect)) {
    protocol::Message message = chunk->message;
    auto& body = std::get<protocol::Chunk>(message.body);
    if (!peer.chunks.contains(body.swap))
      return fail("a chunk is sent of what is not there");
    body.tensors = {{protocol::DType::kUint8, {100}}};
    to_server(*peer.process, message, "");
  } else if (const auto* opened = std::get_if<OpenChunk>(&effect)) {
    open_chunk(peer, *opened);
  } else if (const auto* useless = std::get_if<DropChunks>(&effect)) {
    peer.chunks.erase(useless->swap);
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

std::uint64_t Cluster::sent_by(const Peer& peer,
                               const protocol::Message& transfer) {
  // A copy is another discriminator from now on.
  const SwapId swap = std::get<protocol::Transfer>(transfer.body).swap;
  return copies_.contains({transfer.incarnation, swap}) ? next_number_++
                                                        : *peer.d;
}

void Cluster::prepare_chunks(Peer& peer, const PrepareChunks& e) {
  if (!peer.d) return fail("a peer sends no discriminator");
  const auto& transfer = std::get<protocol::Transfer>(e.message.body);
  sealed_[{transfer.swap, e.target}] = {
      transfer, happens(faults_.bad_transfer) ? "not finite" : "",
      sent_by(peer, e.message)};
  peer.chunks.insert(transfer.swap);
  feed(peer, ChunksReady{transfer.swap, kChunks});
}

void Cluster::open_chunk(Peer& peer, const OpenChunk& e) {
  if (e.index + 1 < kChunks) return;
  const auto sealed = sealed_.find({e.swap, *peer.session.peer()});
  if (sealed == sealed_.end() || sealed->second.transfer.token != e.token)
    return fail("a chunk is opened with another key than it was sealed with");
  const std::uint64_t arrival = next_number_++;
  peer.arrivals[arrival] = sealed->second.d;
  const auto arrived = [this, &peer, arrival, s = sealed->second] {
    feed(peer, TransferArrived{s.transfer, s.defect, arrival});
  };
  // The shell, too, drops it while there is no trainer.
  if (peer.trainer)
    after(1ms, [&peer, arrived, life = peer.process->life] {
      if (life == peer.process->life) arrived();
    });
  else
    peer.arrivals.erase(arrival);
}

void Cluster::send_transfer(Peer& peer, const SendTransfer& e) {
  if (!peer.d) return fail("a peer sends no discriminator");
  if (happens(faults_.break_connection)) return;
  const auto& transfer = std::get<protocol::Transfer>(e.message.body);
  const std::uint64_t d = sent_by(peer, e.message);
  const std::string defect = happens(faults_.bad_transfer) ? "not finite" : "";
  after(latency(), [this, e, transfer, d, defect, from = peer.process->number] {
    for (const auto& target : peers_) {
      if (!target->process->up || endpoint_of(*target->process) != e.endpoint ||
          target->session.peer() != e.target || !target->trainer ||
          target->session.over())
        continue;
      const auto cut = cut_links_.find({from, target->process->number});
      if (cut != cut_links_.end() && now_ < cut->second) return;
      if (!target->process->listens && target->process->number != from)
        return fail("a peer without a listener is connected to");
      const std::uint64_t arrival = next_number_++;
      target->arrivals[arrival] = d;
      feed(*target, TransferArrived{transfer, defect, arrival});
      return;
    }
  });
}

}  // namespace mdgan::test
