// Peers that are set aside: for how long, and what they are told.

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "common/base/words.h"
#include "server/core/coordinator.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// A peer that is set aside for the first time stays away for so long, and twice
// as long each time after, up to the longest.
constexpr Duration kFirstAside = 60s;
constexpr Duration kLongestAside = 1h;
// Its hellos get an answer this often.
constexpr Duration kToldEvery = 1s;
// Of those without a part in the training so many are remembered that were set
// aside, or left before they were.
constexpr std::size_t kSuspects = 64;

Duration time_aside(int times) {
  Duration time = kFirstAside;
  for (int i = 1; i < times && time < kLongestAside; ++i) time *= 2;
  return std::min(time, kLongestAside);
}

std::string words_of(Duration time) {
  return duration_words(
      static_cast<double>(std::chrono::ceil<std::chrono::seconds>(time) / 1s));
}

}  // namespace

void Coordinator::set_aside(Member& member, const std::string& why,
                            const std::string& advice, TimePoint now,
                            Out& out) {
  const Duration time = time_aside(++member.times_aside);
  member.aside_until = now + time;
  member.aside_told.reset();
  // It may have left before its answer was looked at.
  const bool is_here = member.presence != Presence::kAbsent;
  if (is_here)
    refuse(member.connection, member.id, protocol::ErrorCode::kSetAside,
           "this peer is set aside: " + why + "; " + advice +
               ", and start it anew. It is let in again in " + words_of(time),
           out);
  position_.set_aside[member.id] = member.nonce;
  failed_.insert(member.id);
  if (!member.taken_part) remember(member);
  if (is_here)
    lose({&member.id, 1}, "is set aside: " + why, now, out);
  else
    note_member(member, "is set aside: " + why, NoteKind::kLost, now, out);
}

// Who is known by a key cannot come under ever new names.
void Coordinator::remember(const Member& stranger) {
  if (stranger.key != PublicKey{}) return;
  std::erase(suspects_, stranger.id);
  suspects_.push_back(stranger.id);
  if (suspects_.size() <= kSuspects) return;
  failed_.erase(suspects_.front());
  strangers_.push_back(suspects_.front());
  suspects_.pop_front();
}

// The process that was set aside is not let in again; another one of the same
// peer is, after a while. The time of one whom an earlier server has set aside
// begins with its first hello.
bool Coordinator::is_aside(Member& member, const protocol::Hello& hello,
                           TimePoint now) {
  const auto aside = position_.set_aside.find(member.id);
  if (aside == position_.set_aside.end()) return false;
  if (!member.aside_until)
    member.aside_until = now + time_aside(++member.times_aside);
  return aside->second == hello.nonce || now < *member.aside_until;
}

void Coordinator::refuse_aside(ConnectionId connection, Member& member,
                               const protocol::Hello& hello, TimePoint now,
                               Out& out) {
  if (member.aside_told && now - *member.aside_told < kToldEvery) {
    ++counters_.unexpected;
    return;
  }
  member.aside_told = now;
  const std::string why =
      "peer " + hello.name + " was set aside for what it sent";
  // One reason each time, which is told of once.
  out.emplace_back(ReportRefusal{connection, hello.name, why});
  const std::string when =
      now < *member.aside_until
          ? ". It is let in again in " + words_of(*member.aside_until - now) +
                ", when it was started anew: look at its data before"
          : ": look at its data, and start it anew";
  send_error(connection, {},
             {protocol::ErrorCode::kSetAside, why + when, hello.session}, out);
}

// Names of those that came and went are not kept, nor saved.
void Coordinator::forget_strangers() {
  for (const PeerId id : std::exchange(strangers_, {})) {
    const auto it = members_.find(id);
    if (it == members_.end() || it->second.presence != Presence::kAbsent ||
        it->second.taken_part)
      continue;
    position_.names.erase(it->second.name);
    assign(id, {});
    position_.set_aside.erase(id);
    position_.keys.erase(id);
    links_.forget(id);
    failed_.erase(id);
    std::erase(suspects_, id);
    members_.erase(it);
    lowest_free_ = std::min(lowest_free_, id.value);
  }
}

}  // namespace mdgan
