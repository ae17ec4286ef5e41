// A session with a host that does what the tests say, for single situations.
#pragma once

#include <algorithm>
#include <variant>
#include <vector>

#include "peer/core/session.h"

namespace mdgan::test {

inline const RunId kRun{std::byte{7}};

struct Peer {
  Session session;
  TimePoint now{std::chrono::hours(1)};
  std::vector<SessionEffect> effects;

  void feed(const SessionEvent& event) {
    effects.clear();
    session.handle(event, now, effects);
  }
  void says(protocol::Body body, std::uint64_t round = 1,
            std::uint32_t incarnation = 1) {
    feed(ServerSaid{{kRun, incarnation, {round}, {3}, std::move(body)}});
  }
  void welcome(protocol::Start start = protocol::Start::kFresh,
               std::uint32_t incarnation = 1, Round restore = {},
               DiscriminatorId discriminator = {11}) {
    protocol::Welcome welcome;
    welcome.start = start;
    welcome.restore = restore;
    welcome.discriminator = discriminator;
    says(welcome, 0, incarnation);
  }
  // A transfer of exchange `swap`, which the disk takes.
  void receive(const TransferArrived& arrived) {
    feed(arrived);
    if (find<SaveTransfer>()) feed(TransferSaved{arrived.arrival});
  }
  void be_ready() {
    feed(Connected{});
    welcome();
    feed(TrainerPrepared{});
  }
  template <typename Effect>
  const Effect* find() const {
    for (const SessionEffect& e : effects)
      if (const auto* found = std::get_if<Effect>(&e)) return found;
    return nullptr;
  }
  template <typename Body>
  const Body* said() const {
    for (const SessionEffect& e : effects)
      if (const auto* say = std::get_if<SayToServer>(&e))
        if (const auto* body = std::get_if<Body>(&say->message.body))
          return body;
    return nullptr;
  }
};

inline protocol::Swap receives(std::uint64_t swap) {
  protocol::Swap plan;
  plan.swap = {swap};
  plan.receive_token = 100 + swap;
  plan.discriminator = {200 + swap};
  plan.receives = true;
  plan.source = {5};
  return plan;
}

inline TransferArrived transfer(std::uint64_t swap, std::uint64_t arrival) {
  TransferArrived arrived;
  arrived.transfer.swap = {swap};
  arrived.transfer.token = 100 + swap;
  arrived.transfer.source = {5};
  arrived.arrival = arrival;
  return arrived;
}

inline protocol::Swap sends(std::uint64_t swap) {
  protocol::Swap plan = receives(swap);
  plan.sends = true;
  plan.target = {6};
  plan.endpoint = "tcp://h:1";
  return plan;
}

template <typename Effect>
std::ptrdiff_t place_of(const Peer& p) {
  const auto it = std::ranges::find_if(p.effects, [](const auto& e) {
    return std::holds_alternative<Effect>(e);
  });
  return it == p.effects.end() ? -1 : it - p.effects.begin();
}

}  // namespace mdgan::test
