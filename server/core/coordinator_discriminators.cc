// Discriminators: which peer has which, and where a late joiner gets one.

#include <algorithm>
#include <vector>

#include "server/core/coordinator.h"

namespace mdgan {
namespace {

// Copies that one peer sends at a time: each is a discriminator in its memory.
constexpr std::ptrdiff_t kCopiesOfADonor = 2;

}  // namespace

// Unique among all that servers of this run have named: each has an incarnation
// of its own.
DiscriminatorId Coordinator::new_discriminator() {
  ++last_discriminator_;
  return newest_discriminator();
}

DiscriminatorId Coordinator::newest_discriminator() const {
  return {std::uint64_t{config_.incarnation} << 32 | last_discriminator_};
}

DiscriminatorId Coordinator::discriminator_of(PeerId peer) const {
  const auto it = position_.discriminators.find(peer);
  return it == position_.discriminators.end() ? DiscriminatorId{} : it->second;
}

// Decides what the peer starts with.
StartChoice Coordinator::choose(PeerId peer, const protocol::Hello& hello) {
  const DiscriminatorId own = discriminator_of(peer);
  StartChoice choice;
  if (position_.completed.value == 0 ||
      !traits_of(config_.algorithm).peer_keeps_state) {
    choice.start = protocol::Start::kFresh;
    choice.discriminator = new_discriminator();
  } else {
    choice = choose_start(
        hello, {config_.run, position_.completed, started_, own},
        [this](const protocol::Held& offer) { return is_free(offer); });
    // A run that goes back behind a swap finds peers that hold each other's:
    // the absent peer that was to have it is to have what this one had.
    if (choice.discriminator.value != 0 && choice.discriminator != own) {
      const auto before = owners_.lower_bound({choice.discriminator, {}});
      if (before != owners_.end() && before->first == choice.discriminator) {
        const PeerId absent = before->second;
        assign(absent, own);
        members_.at(absent).last_round = {};  // nobody is known to have it
      }
    }
    const Round offered = choice.start == protocol::Start::kKeep
                              ? hello.held.round
                              : choice.restore;
    Round& latest = members_.at(peer).last_round;
    latest = choice.discriminator == own ? std::max(latest, offered) : offered;
  }
  assign(peer, choice.discriminator);
  return choice;
}

void Coordinator::assign(PeerId peer, DiscriminatorId discriminator) {
  owners_.erase({discriminator_of(peer), peer});
  if (discriminator.value == 0) {
    position_.discriminators.erase(peer);
  } else {
    position_.discriminators[peer] = discriminator;
    owners_.emplace(discriminator, peer);
  }
}

// Whether a peer that offers it may have it: it is nobody's, or that of an
// absent peer which, as far as is known, has no later state of it. So it is
// after the run went back behind a swap. What an open exchange brings to a peer
// is that peer's, though the exchange has not been committed; what no server
// has named yet will be another's.
bool Coordinator::is_free(const protocol::Held& offer) const {
  if (offer.discriminator > newest_discriminator()) return false;
  for (const auto& [swap, exchange] : exchanges_)
    for (const auto& [target, discriminator] : exchange.brings)
      if (discriminator == offer.discriminator) return false;
  for (auto it = owners_.lower_bound({offer.discriminator, {}});
       it != owners_.end() && it->first == offer.discriminator; ++it) {
    const Member& owner = members_.at(it->second);
    if (owner.presence != Presence::kAbsent || offer.round < owner.last_round)
      return false;
  }
  return true;
}

// Gives every late joiner without a discriminator a copy of some live peer's,
// as soon as one is free to send it; where there is none to copy, a fresh one.
void Coordinator::serve_joiners(TimePoint now, Out& out) {
  if (uncopied_.empty()) return;
  if (live_.empty()) {
    if (present_ < needed_peers()) return;
    for (const PeerId id : std::vector(uncopied_.begin(), uncopied_.end()))
      start_afresh(members_.at(id), now, out);
    return;
  }
  const std::vector<PeerId> donors = live_;
  std::vector<std::ptrdiff_t> copies(donors.size());  // that each sends
  for (const auto& [swap, exchange] : exchanges_)
    if (!exchange.is_swap) {
      const auto donor =
          std::ranges::lower_bound(donors, exchange.edges.front().source);
      if (donor != donors.end() && *donor == exchange.edges.front().source)
        ++copies[static_cast<std::size_t>(donor - donors.begin())];
    }
  while (!uncopied_.empty()) {
    const PeerId id = *uncopied_.begin();
    // Where peers judge their own classes, one that judges the same; of those
    // as good, one that sends few copies.
    const auto rank = [&](std::size_t i) {
      return std::pair(unlikeness(donors[i], id), copies[i]);
    };
    const auto donor = id.value % donors.size();
    auto least = donor;
    for (std::size_t i = 1; i < donors.size(); ++i)
      if (const auto next = (donor + i) % donors.size();
          rank(next) < rank(least))
        least = next;
    if (unlikeness(donors[least], id) > 0) {
      uncopied_.erase(id);
      start_afresh(members_.at(id), now, out);
      continue;
    }
    if (copies[least] >= kCopiesOfADonor) return;  // until one has ended
    ++copies[least];
    Exchange exchange;
    exchange.edges = {{donors[least], id}};
    exchange.brings[id] = new_discriminator();
    exchange.deadline = now + copy_time();
    uncopied_.erase(id);
    begin_exchange(std::move(exchange), now, out);
  }
}

// A late joiner to which none could be copied.
void Coordinator::start_afresh(Member& member, TimePoint now, Out& out) {
  set_presence(member, Presence::kLive, "starts with a fresh one");
  member.start = protocol::Start::kFresh;
  assign(member.id, new_discriminator());
  member.welcomed_with = discriminator_of(member.id);
  send_welcome(member, now, out);
  out.emplace_back(Note{"peer " + std::to_string(member.id.value) + " (" +
                            member.name +
                            ") starts with a fresh discriminator: there was "
                            "none to copy",
                        true});
}

}  // namespace mdgan
