#include "tests/support/cluster.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

// A discriminator has so many: more chunks than may be on their way.
constexpr std::uint64_t kParameters = 100'000;

}  // namespace

Cluster::Cluster(std::uint32_t peers, CoordinatorConfig config, Faults faults,
                 std::uint64_t seed, std::uint32_t sessions)
    : config_(config),
      faults_(faults),
      random_(seed, Purpose::kSimulation),
      seed_(seed) {
  config_.run[0] = std::byte{1};
  config_.seed = seed;
  config_.token_seed = seed + 1;
  config_.incarnation = 0;
  start_server();
  for (std::uint32_t i = 0; i < peers; i += sessions)
    start(add_process(std::min(sessions, peers - i)));
  misfortune();
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

Cluster::Process& Cluster::add_process(std::uint32_t sessions) {
  Process& process = *processes_.emplace_back(std::make_unique<Process>());
  process.number = static_cast<std::uint32_t>(processes_.size() - 1);
  process.listens = !happens(faults_.no_listener);
  for (std::uint32_t i = 0; i < sessions; ++i) {
    Peer& peer = *peers_.emplace_back(std::make_unique<Peer>());
    peer.number = static_cast<std::uint32_t>(peers_.size() - 1);
    peer.place = i;
    peer.process = &process;
    process.peers.push_back(&peer);
  }
  return process;
}

void Cluster::join_later(std::chrono::seconds at) {
  Process& process = add_process(1);
  after(at, [this, &process] { start(process); });
}

std::string Cluster::run() {
  while (!over() && failure_.empty()) {
    if (queue_.empty()) return "nothing is left to happen";
    const Later next = queue_.top();
    queue_.pop();
    now_ = next.at;
    next.what();
    ++events_;
    if (happens(faults_.kill_any)) kill_any();
    check_invariants();
    check_progress();
  }
  if (!to_merge_.empty() && failure_.empty())
    fail("a generator was never measured");
  for (const SendMessage& bye : goodbyes_)
    to_connection(bye.connection,
                  [this, m = bye.message](Process& p) { deliver(p, m); });
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
    if (name.starts_with("liar")) continue;
    const Peer& peer = *peers_.at(std::stoul(name));
    if (peer.d) owned[id] = *peer.d;
  }
  return owned;
}

void Cluster::fail(const std::string& what) {
  if (failure_.empty())
    failure_ = what + " (seed " + std::to_string(seed_) + ", event " +
               std::to_string(events_) + ", round " +
               std::to_string(completed().value) + ")";
}

void Cluster::kill_any() {
  const std::uint64_t which = random_.below(processes_.size() + 1);
  if (which < processes_.size()) {
    if (processes_[which]->up) kill(*processes_[which]);
  } else if (server_up_ && !finish_) {
    restart_server_later();
  }
}

// Once a second: what goes wrong by itself.
void Cluster::misfortune() {
  after(1s, [this] {
    if (finish_) return;
    if (server_up_ && happens(faults_.kill_server)) {
      server_up_ = false;
      restart_server_later();
    } else if (server_up_ && happens(faults_.stop_server)) {
      feed_server(StopRequested{});
    }
    for (const auto& process : processes_) {
      if (happens(faults_.cut_off)) {
        trace("process " + std::to_string(process->number) + " is cut off");
        process->cut_until = now_ + std::chrono::seconds(1 + random_.below(60));
        process->cut_in = random_.below(3) > 0;
        process->cut_out = !process->cut_in || random_.below(3) > 0;
        // Heartbeats find out.
        after(30s, [this, &cut = *process, connection = process->connection] {
          if (now_ < cut.cut_until) open_.erase(connection);
        });
      }
      if (happens(faults_.cut_link) && processes_.size() > 1) {
        const auto other =
            static_cast<std::uint32_t>(random_.below(processes_.size()));
        cut_links_[{process->number, other}] =
            now_ + std::chrono::seconds(1 + random_.below(200));
      }
    }
    if (server_up_ && happens(faults_.liar)) lie();
    if (server_up_ && coordinator_->started() && happens(faults_.liar_flood))
      for (int i = 0; i < 200; ++i) lie();
    misfortune();
  });
}

// --- the server -------------------------------------------------------------

void Cluster::start_server() {
  ++server_life_;
  ++config_.incarnation;
  trace("the server starts after round " +
        std::to_string(saved_.completed.value));
  server_up_ = true;
  coordinator_ = std::make_unique<Coordinator>(config_, saved_);
  stepped_ = saved_.completed;
  kept_.clear();
  asked_to_measure_.clear();
  to_merge_.clear();
  server_disk_busy_until_ = now_;
  feed_server(Started{});
  tick_server();
}

void Cluster::restart_server_later() {
  trace("the server is gone");
  ++server_life_;
  server_up_ = false;
  open_.clear();
  after(std::chrono::milliseconds(random_.below(3000)), [this] {
    // Whoever starts anew waits anew.
    progress_at_ = now_;
    start_server();
  });
}

void Cluster::tick_server() {
  after(250ms, [this, life = server_life_] {
    if (life != server_life_ || over()) return;
    if (const auto due = coordinator_->next_deadline(); due && *due <= now_)
      feed_server(TimePassed{});
    check_memory();
    tick_server();
  });
}

void Cluster::feed_server(const ServerEvent& event) {
  if (over() || !server_up_) return;
  std::vector<ServerEffect> effects;
  coordinator_->handle(event, now_, effects);
  for (const ServerEffect& effect : effects) {
    if (!server_up_) return;
    apply(effect);
  }
}

void Cluster::apply(const ServerEffect& effect) {
  const std::uint64_t life = server_life_;
  const auto answer = [&](Duration delay, ServerEvent event) {
    after(delay, [this, life, event] {
      if (life == server_life_) feed_server(event);
    });
  };
  apply_evaluation(effect);
  if (const auto* send = std::get_if<SendMessage>(&effect)) {
    if (completed().value >= config_.rounds &&
        std::holds_alternative<protocol::Goodbye>(send->message.body)) {
      goodbyes_.push_back(*send);
      return;
    }
    if (const auto* swap = std::get_if<protocol::Swap>(&send->message.body))
      if (swap->sends != swap->receives)
        copies_.emplace(config_.incarnation, swap->swap);
    to_connection(send->connection,
                  [this, m = send->message](Process& p) { deliver(p, m); });
  } else if (const auto* forward = std::get_if<ForwardMessage>(&effect)) {
    if (arriving_ == nullptr ||
        !std::holds_alternative<protocol::Chunk>(arriving_->body))
      fail("what is forwarded did not arrive");
    to_connection(forward->connection,
                  [this, m = forward->message](Process& p) { deliver(p, m); });
  } else if (const auto* batch = std::get_if<SendBatch>(&effect)) {
    to_connection(batch->connection, [this, b = *batch](Process& p) {
      for (Peer* peer : p.peers) feed(*peer, BatchArrived{b.round, b.index});
    });
  } else if (const auto* decide = std::get_if<DecideModel>(&effect)) {
    TrainingSpec spec;
    spec.image = decide->image;
    spec.classes = decide->classes;
    config_.classes = decide->classes;  // its checkpoints have them
    spec.algorithm = config_.algorithm;
    answer(1ms, ModelReady{spec, {}, kParameters});
  } else if (const auto* generate = std::get_if<GenerateBatches>(&effect)) {
    check_batches(generate->round);
    answer(faults_.pace * 5ms, BatchesReady{generate->round});
  } else if (const auto* keep = std::get_if<KeepFeedback>(&effect)) {
    if (arriving_ == nullptr || arriving_->incarnation != config_.incarnation ||
        arriving_->round != keep->round || arriving_->peer != keep->peer)
      fail("feedback of another round, peer or incarnation is used");
    kept_.emplace(keep->round, keep->peer);
  } else if (const auto* step = std::get_if<StepGenerator>(&effect)) {
    check_step(*step);
    answer(faults_.pace * 3ms, GeneratorStepped{step->round});
  } else if (const auto* report = std::get_if<ReportRound>(&effect)) {
    if (progress_at_ > begin_ + faults_.until + kAftermath) calm_at_ = now_;
    progress_at_ = now_;
    if (report->contributed <
        std::max(1.0, std::ceil(config_.quorum * report->counted)))
      fail("a round was closed below the quorum");
    for (const auto& process : processes_)
      if (process->up && happens(faults_.kill_peer)) kill(*process);
  } else if (std::holds_alternative<SaveCheckpoint>(effect)) {
    Duration time = std::chrono::milliseconds(1 + random_.below(50));
    if (happens(faults_.slow_disk)) time *= 100;
    server_disk_busy_until_ = std::max(server_disk_busy_until_, now_) + time;
    const bool full = happens(faults_.full_disk);
    after(server_disk_busy_until_ - now_,
          [this, life, full, position = coordinator_->position_to_save()] {
            if (life != server_life_) return;
            if (!full) saved_ = position;
            feed_server(CheckpointSaved{position.completed, !full});
          });
  } else if (const auto* note = std::get_if<Note>(&effect)) {
    trace("note: " + note->text);
  } else if (const auto* finish = std::get_if<Finish>(&effect)) {
    if (completed().value >= config_.rounds)
      finish_ = *finish;
    else if (coordinator_->stopping())
      // What it saves is still written.
      after(std::max(server_disk_busy_until_ - now_, Duration(1ms)),
            [this, life] {
              if (life == server_life_) restart_server_later();
            });
    else
      fail("the run ends: " + finish->text);
  }
}

bool Cluster::over() const {
  return finish_ && (!server_up_ || coordinator_->open_evaluations() == 0);
}

}  // namespace mdgan::test
