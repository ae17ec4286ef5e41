#include "server/core/start_choice.h"

#include <vector>

namespace mdgan {
namespace {

using protocol::Held;

// The newest of them, but not later than `completed` if there is such a one;
// null when there is none.
const Held* best_of(const std::vector<const Held*>& offers, Round completed) {
  const Held* best = nullptr;
  for (const Held* offer : offers) {
    if (best == nullptr) {
      best = offer;
      continue;
    }
    const bool late = offer->round > completed;
    const bool best_is_late = best->round > completed;
    if (late != best_is_late ? best_is_late : best->round < offer->round)
      best = offer;
  }
  return best;
}

}  // namespace

StartChoice choose_start(const protocol::Hello& hello, const RunAtHello& at,
                         const std::function<bool(const Held&)>& is_free) {
  const auto is_ours = [&](const Held& offer) {
    return offer.run == at.run && offer.discriminator.value != 0;
  };
  const auto saved = [&](const auto& wanted) {
    std::vector<const Held*> offers;
    for (const Held& offer : hello.saved)
      if (is_ours(offer) && wanted(offer)) offers.push_back(&offer);
    return best_of(offers, at.completed);
  };
  const auto restore = [](const Held& offer, bool exact) {
    return StartChoice{protocol::Start::kRestore, offer.round,
                       offer.discriminator, exact};
  };
  const bool holds = is_ours(hello.held);

  if (at.assigned.value != 0) {
    const auto own = [&](const Held& offer) {
      return offer.discriminator == at.assigned;
    };
    if (!at.begun) {
      const auto now = [&](const Held& offer) {
        return own(offer) && offer.round == at.completed;
      };
      if (const Held* offer = saved(now)) return restore(*offer, true);
    }
    if (holds && own(hello.held))
      return {protocol::Start::kKeep, {}, at.assigned};
    if (const Held* offer = saved(own)) return restore(*offer, false);
  }
  if (holds && is_free(hello.held))
    return {protocol::Start::kKeep, {}, hello.held.discriminator};
  if (const Held* offer = saved(is_free)) return restore(*offer, false);
  return {};
}

}  // namespace mdgan
