// A coordinator with a shell that answers at once, for tests of single
// situations.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "server/core/coordinator.h"

namespace mdgan::test {

inline constexpr ImageShape kImage{1, 4, 4, 10};

// A coordinator with its peers on connections 1, 2, ... that answers for the
// shell what the test does not care about.
class Server {
 public:
  explicit Server(CoordinatorConfig config, RunPosition position = {})
      : coordinator(config, position), config_(config) {
    TrainingSpec spec;
    spec.image = kImage;
    spec.classes = config.classes;
    if (!spec.classes.empty())
      spec.image.classes = static_cast<std::uint32_t>(spec.classes.size());
    feed(ModelReady{spec, {}, 100});
  }

  void feed(const ServerEvent& event) {
    std::vector<ServerEffect> out;
    coordinator.handle(event, now, out);
    for (const ServerEffect& effect : out) {
      effects.push_back(effect);
      if (!stalled)
        if (const auto* g = std::get_if<GenerateBatches>(&effect))
          later_.push_back(BatchesReady{g->round});
      if (const auto* save = std::get_if<SaveCheckpoint>(&effect))
        if (!hung_disk) later_.push_back(CheckpointSaved{save->round, true});
      if (const auto* s = std::get_if<StepGenerator>(&effect))
        if (!slow_steps) later_.push_back(GeneratorStepped{s->round});
    }
    while (!later_.empty()) {
      const ServerEvent next = later_.front();
      later_.erase(later_.begin());
      feed(next);
    }
  }

  void hello(std::uint64_t connection, const std::string& name,
             const std::function<void(protocol::Hello&)>& change = {},
             const PublicKey& key = {}) {
    protocol::Hello hello;
    hello.name = name;
    hello.shard_size = 1000;
    hello.image = kImage;
    hello.endpoint = "tcp://h:1";
    hello.nonce = connection;
    if (change) change(hello);
    protocol::Message message;
    message.body = hello;
    feed(MessageArrived{{connection}, message, "", 0, key});
  }

  // A hello of a peer that can do all that this version can.
  void join(std::uint64_t connection, const std::string& name) {
    hello(connection, name, [](protocol::Hello& h) {
      h.abilities = protocol::known_abilities();
    });
  }

  void answer(std::uint64_t connection, PeerId peer, std::uint32_t generated,
              const std::string& defect = "", double length = 0) {
    answer_to(connection, {coordinator.position().completed.value + 1}, peer,
              generated, defect, length);
  }
  void answer_to(std::uint64_t connection, Round round, PeerId peer,
                 std::uint32_t generated, const std::string& defect = "",
                 double length = 0) {
    protocol::Message message{config_.run, config_.incarnation, round, peer,
                              protocol::Feedback{generated, 0, 0, 0, {}}};
    feed(MessageArrived{{connection}, message, defect, length});
  }

  void wait(Duration time) {
    now += time;
    feed(TimePassed{});
  }

  template <typename Effect>
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(effects, [](const ServerEffect& e) {
          return std::holds_alternative<Effect>(e);
        }));
  }
  template <typename Body>
  std::size_t sent() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(effects, [](const ServerEffect& e) {
          const auto* send = std::get_if<SendMessage>(&e);
          return send && std::holds_alternative<Body>(send->message.body);
        }));
  }
  const Finish* finish() const {
    const auto* last = effects.empty() ? nullptr : &effects.back();
    return last ? std::get_if<Finish>(last) : nullptr;
  }

  Coordinator coordinator;
  TimePoint now{std::chrono::hours(1)};
  bool stalled = false;     // GenerateBatches is not answered
  bool slow_steps = false;  // StepGenerator is not answered
  bool hung_disk = false;   // SaveCheckpoint is not answered
  std::vector<ServerEffect> effects;

 private:
  CoordinatorConfig config_;
  std::vector<ServerEvent> later_;
};

inline CoordinatorConfig config(std::uint32_t peers) {
  CoordinatorConfig c;
  c.min_peers = peers;
  c.k = default_k(peers);
  c.rounds = 1000;
  c.swap_epochs = 0;
  return c;
}

}  // namespace mdgan::test
