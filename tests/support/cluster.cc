#include "tests/support/cluster.h"

#include <algorithm>
#include <utility>

namespace mdgan {

using namespace std::chrono_literals;

namespace {
constexpr ImageShape kImage{1, 4, 4, 10};
constexpr Duration kSilence = 15s;
// Longer than any timeout of the coordinator: nothing may stand still so long.
constexpr Duration kStuck = 1000s;
}  // namespace

Cluster::Cluster(std::uint32_t peers, CoordinatorConfig config, Faults faults,
                 std::uint64_t seed)
    : config_(config),
      faults_(faults),
      random_(seed, Purpose::kSimulation),
      seed_(seed) {
  config_.run[0] = std::byte{1};
  config_.seed = seed;
  start_server({});
  for (std::uint32_t i = 0; i < peers; ++i) join_later(0s);
}

Cluster::~Cluster() = default;

void Cluster::after(Duration delay, std::function<void()> what) {
  queue_.push({now_ + delay, order_++, std::move(what)});
}

Duration Cluster::latency() {
  return std::chrono::microseconds(100 + random_.below(20'000));
}

bool Cluster::happens(double probability) {
  return probability > 0 && now_ - begin_ < faults_.until &&
         random_.uniform() < probability;
}

void Cluster::join_later(std::chrono::seconds at) {
  auto peer = std::make_unique<Peer>();
  peer->number = static_cast<std::uint32_t>(peers_.size());
  Peer* raw = peer.get();
  peers_.push_back(std::move(peer));
  raw->up = false;
  after(at, [this, raw] {
    raw->up = true;
    raw->nonce = random_.next64();
    reconnect(*raw);
    watch(*raw);
  });
}

std::string Cluster::run() {
  while (!finish_ && failure_.empty()) {
    if (queue_.empty()) return "nothing is left to happen";
    const Later next = queue_.top();
    queue_.pop();
    now_ = next.at;
    next.what();
    ++events_;
    check_invariants();
    if (now_ - progress_at_ > kStuck)
      fail("no round was completed for " +
           std::to_string(kStuck / std::chrono::seconds(1)) + " s");
  }
  // Let the last messages arrive.
  for (int i = 0; i < 10'000 && !queue_.empty() && failure_.empty(); ++i) {
    const Later next = queue_.top();
    queue_.pop();
    now_ = next.at;
    next.what();
  }
  return failure_;
}

std::map<PeerId, std::uint64_t> Cluster::discriminators() const {
  std::map<PeerId, std::uint64_t> owned;
  for (const auto& [name, id] : coordinator_->position().names) {
    const Peer& peer = *peers_.at(std::stoul(name));
    if (peer.discriminator) owned[id] = *peer.discriminator;
  }
  return owned;
}

void Cluster::fail(const std::string& what) {
  if (failure_.empty())
    failure_ = what + " (seed " + std::to_string(seed_) + ", event " +
               std::to_string(events_) + ", round " +
               std::to_string(completed().value) + ")";
}

void Cluster::check_invariants() {
  if (const auto due = coordinator_->next_deadline();
      due && *due + 2s < now_ && !finish_)
    fail("a timer of the server was not served");
  for (const auto& peer : peers_)
    if (peer->arrivals.size() > 10)
      fail("a peer holds more than ten received discriminators");
}

// --- the server -------------------------------------------------------------

void Cluster::start_server(RunPosition position) {
  ++server_life_;
  ++config_.incarnation;
  coordinator_ = std::make_unique<Coordinator>(config_, position);
  stepped_ = position.completed;
  kept_.clear();
  feed_server(Started{});
  tick_server();
}

void Cluster::tick_server() {
  const std::uint64_t life = server_life_;
  after(250ms, [this, life] {
    if (life != server_life_ || finish_) return;
    if (const auto due = coordinator_->next_deadline(); due && *due <= now_)
      feed_server(TimePassed{});
    tick_server();
  });
}

void Cluster::feed_server(const ServerEvent& event) {
  if (finish_) return;
  std::vector<ServerEffect> effects;
  coordinator_->handle(event, now_, effects);
  for (const ServerEffect& effect : effects) apply(effect);
}

void Cluster::apply(const ServerEffect& effect) {
  const std::uint64_t life = server_life_;
  const auto answer = [&](Duration delay, ServerEvent event) {
    after(delay, [this, life, event] {
      if (life == server_life_) feed_server(event);
    });
  };
  if (const auto* send = std::get_if<SendMessage>(&effect)) {
    to_peer(send->connection, ServerSaid{send->message});
  } else if (const auto* batch = std::get_if<SendBatch>(&effect)) {
    to_peer(batch->connection, BatchArrived{batch->round, batch->index});
  } else if (const auto* decide = std::get_if<DecideModel>(&effect)) {
    TrainingSpec spec;
    spec.image = decide->image;
    answer(1ms, ModelReady{spec, {}, 100});
  } else if (const auto* generate = std::get_if<GenerateBatches>(&effect)) {
    answer(5ms, BatchesReady{generate->round});
  } else if (const auto* keep = std::get_if<KeepFeedback>(&effect)) {
    kept_.insert(keep->peer);
  } else if (const auto* step = std::get_if<StepGenerator>(&effect)) {
    if (step->round.value != stepped_.value + 1)
      fail("a round was skipped or stepped twice");
    for (std::size_t i = 0; i < step->contributors.size(); ++i) {
      if (!kept_.erase(step->contributors[i].peer))
        fail("a contribution was used twice, or was never kept");
      if (i > 0 &&
          !(step->contributors[i - 1].peer < step->contributors[i].peer))
        fail("contributions are not in the order of the peers");
    }
    kept_.clear();
    stepped_ = step->round;
    steps_.push_back(*step);
    answer(3ms, GeneratorStepped{step->round});
  } else if (const auto* report = std::get_if<ReportRound>(&effect)) {
    progress_at_ = now_;
    (void)report;
    for (const auto& peer : peers_)
      if (peer->up && happens(faults_.kill_peer)) kill(*peer);
    if (happens(faults_.kill_server)) {
      after(0s, [this, life] {
        if (life != server_life_ || finish_) return;
        open_.clear();
        start_server(saved_);
      });
    }
  } else if (std::holds_alternative<SaveCheckpoint>(effect)) {
    saved_ = coordinator_->position();
  } else if (const auto* finish = std::get_if<Finish>(&effect)) {
    finish_ = *finish;
  }
}

// --- the network ------------------------------------------------------------

void Cluster::to_server(Peer& peer, protocol::Message message,
                        std::string defect) {
  const ConnectionId connection = peer.connection;
  if (happens(faults_.lose_message)) return;
  if (happens(faults_.break_connection)) open_.erase(connection);
  if (!open_.contains(connection)) return;
  TimePoint& order = in_order_[connection];
  order = std::max(order, now_ + latency());
  after(order - now_, [this, connection, message = std::move(message),
                       defect = std::move(defect), life = server_life_] {
    if (life != server_life_ || finish_) return;
    feed_server(MessageArrived{connection, message, defect});
  });
}

void Cluster::to_peer(ConnectionId connection, SessionEvent event) {
  if (happens(faults_.break_connection)) open_.erase(connection);
  if (!open_.contains(connection)) {
    after(1ms, [this, connection, life = server_life_] {
      if (life == server_life_) feed_server(ConnectionLost{connection});
    });
    return;
  }
  if (happens(faults_.lose_message)) return;
  TimePoint& order = out_order_[connection];
  order = std::max(order, now_ + latency());
  after(order - now_, [this, connection, event = std::move(event)] {
    Peer* peer = on_connection(connection);
    if (peer == nullptr) return;
    peer->heard = now_;
    feed(*peer, event);
  });
}

Cluster::Peer* Cluster::on_connection(ConnectionId connection) {
  for (const auto& peer : peers_)
    if (peer->up && peer->connection == connection) return peer.get();
  return nullptr;
}

// --- the peers --------------------------------------------------------------

void Cluster::reconnect(Peer& peer) {
  peer.connection = {next_connection_++};
  open_.insert(peer.connection);
  peer.heard = now_;
  feed(peer, Connected{});
}

// What the host does besides the session: timers, and a silent server.
void Cluster::watch(Peer& peer) {
  const std::uint64_t life = peer.life;
  after(500ms, [this, &peer, life] {
    if (life != peer.life || peer.session.over()) return;
    if (const auto due = peer.session.next_deadline(); due && *due <= now_)
      feed(peer, ClockTicked{});
    if (now_ - peer.heard > kSilence) reconnect(peer);
    watch(peer);
  });
}

void Cluster::kill(Peer& peer) {
  open_.erase(peer.connection);
  peer.up = false;
  ++peer.life;
  after(std::chrono::milliseconds(random_.below(20'000)), [this, &peer] {
    peer.session = Session();
    peer.discriminator.reset();
    peer.arrivals.clear();
    peer.trainer = false;
    peer.nonce = random_.next64();
    peer.busy_until = now_;
    peer.up = true;
    reconnect(peer);
    watch(peer);
  });
}

void Cluster::compute(Peer& peer, Duration time, std::function<void()> then) {
  if (happens(faults_.slow_peer)) time *= 100;
  peer.busy_until = std::max(peer.busy_until, now_) + time;
  after(peer.busy_until - now_,
        [&peer, life = peer.life, then = std::move(then)] {
          if (life == peer.life) then();
        });
}

void Cluster::feed(Peer& peer, const SessionEvent& event) {
  std::vector<SessionEffect> effects;
  peer.session.handle(event, now_, effects);
  for (const SessionEffect& effect : effects) apply(peer, effect);
}

void Cluster::apply(Peer& peer, const SessionEffect& effect) {
  if (std::holds_alternative<SayHello>(effect)) {
    protocol::Hello hello;
    hello.name = std::to_string(peer.number);
    hello.index = peer.number;
    hello.shard_size = 100 + peer.number;
    hello.image = kImage;
    hello.endpoint = "tcp://sim:1";
    hello.nonce = peer.nonce;
    hello.held_run = peer.trainer ? peer.session.run() : peer.saved_run;
    if (peer.trainer) hello.held_round = peer.session.held_round();
    for (const auto& [round, d] : peer.checkpoints)
      hello.checkpoints.push_back(round);
    hello.abilities = protocol::known_codecs();
    protocol::Message message;
    message.body = hello;
    to_server(peer, message, "");
  } else if (const auto* say = std::get_if<SayToServer>(&effect)) {
    to_server(peer, say->message, "");
  } else if (const auto* send = std::get_if<SendFeedback>(&effect)) {
    to_server(peer, send->message,
              happens(faults_.bad_feedback) ? "not finite" : "");
  } else if (const auto* prepare = std::get_if<PrepareTrainer>(&effect)) {
    if (prepare->codecs != config_.codecs)
      fail("a peer uses other codecs than the server");
    compute(peer, 2ms, [this, &peer] {
      peer.trainer = true;
      feed(peer, TrainerPrepared{});
    });
  } else if (std::holds_alternative<InitialiseDiscriminator>(effect)) {
    compute(peer, 1ms, [this, &peer] { peer.discriminator = next_number_++; });
  } else if (const auto* restore = std::get_if<RestoreDiscriminator>(&effect)) {
    compute(peer, 1ms, [this, &peer, round = restore->round] {
      const auto saved = peer.checkpoints.find(round.value);
      if (saved == peer.checkpoints.end())
        fail("a peer was told to restore what it never offered");
      else
        peer.discriminator = saved->second;
    });
  } else if (std::holds_alternative<Learn>(effect)) {
    compute(peer, 4ms, [this, &peer] {
      if (!peer.discriminator) fail("a peer trains without a discriminator");
    });
  } else if (const auto* work = std::get_if<ComputeFeedback>(&effect)) {
    compute(peer, 2ms, [this, &peer, ask = work->ask] {
      feed(peer, FeedbackComputed{ask});
    });
  } else if (const auto* transfer = std::get_if<SendTransfer>(&effect)) {
    compute(peer, 1ms, [this, &peer, e = *transfer] {
      if (!peer.discriminator) return fail("a peer sends no discriminator");
      const std::uint64_t d = *peer.discriminator;
      if (happens(faults_.break_connection)) return;
      const std::string defect =
          happens(faults_.bad_transfer) ? "not finite" : "";
      after(latency(), [this, e, d, defect] {
        for (const auto& target : peers_) {
          if (!target->up || target->session.peer() != e.target ||
              !target->trainer)
            continue;
          const std::uint64_t arrival = next_number_++;
          target->arrivals[arrival] = d;
          feed(*target,
               TransferArrived{std::get<protocol::Transfer>(e.message.body),
                               defect, arrival});
          return;
        }
      });
    });
  } else if (const auto* install = std::get_if<Install>(&effect)) {
    const auto node = peer.arrivals.extract(install->arrival);
    if (node.empty()) return fail("what is installed never arrived");
    compute(peer, 1ms, [&peer, d = node.mapped()] { peer.discriminator = d; });
  } else if (const auto* drop = std::get_if<DropTransfer>(&effect)) {
    peer.arrivals.erase(drop->arrival);
  } else if (const auto* save = std::get_if<SaveDiscriminator>(&effect)) {
    compute(peer, 1ms, [&peer, round = save->round] {
      if (!peer.discriminator) return;
      peer.checkpoints[round.value] = *peer.discriminator;
      peer.saved_run = peer.session.run();
    });
  }
}

}  // namespace mdgan
