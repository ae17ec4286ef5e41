#include "server/run/status_text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "common/base/words.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

using protocol::presentable;

constexpr std::size_t kNameWidth = 32;
constexpr std::size_t kMostNames = 3;
constexpr std::size_t kMostRows = 50;
// The file is written every second: an older one has its reason.
constexpr double kOld = 10;

// presentable() leaves clean UTF-8 alone and makes ASCII of anything else.
std::string shown(const std::string& text, std::size_t most = kNameWidth) {
  return clipped(presentable(text), most);
}

double age(const SavedStatus& status, double now) {
  return std::max(0.0, now - status.updated);
}

bool is_gone(const SavedStatus& status, RunUser user) {
  return status.state != ServerState::kFinished && user == RunUser::kNobody;
}

std::string rounds_words(const SavedStatus& status) {
  return fmt::format("round {} of {}", count_words(status.round),
                     count_words(status.rounds));
}

std::string saved_words(const SavedStatus& status) {
  return status.checkpoint ? "saved is round " + count_words(*status.checkpoint)
                           : std::string("nothing is saved");
}

std::string resume_words(const SavedStatus& status,
                         const std::filesystem::path& run) {
  return status.checkpoint ? "mdgan-server train --resume " +
                                 presentable(run.string()) + " goes on"
                           : std::string("start it again");
}

std::string progress_words(const SavedStatus& status) {
  std::string text = fmt::format(
      "{}, {}", name_of(kServerStateNames, status.state), rounds_words(status));
  if (status.state == ServerState::kTraining && status.seconds_left)
    text += ", " + duration_words(*status.seconds_left) + " left";
  return text;
}

// ", hospital-c missing for 40 s": those that were here and are not.
std::string missing_words(const SavedStatus& status, double now) {
  std::string text;
  std::size_t more = 0;
  std::size_t named = 0;
  for (const SavedPeer& peer : status.peers) {
    if (peer.presence != Presence::kAbsent) continue;
    if (named == kMostNames) {
      ++more;
      continue;
    }
    text += (named++ == 0 ? "; " : ", ") + shown(peer.name) + " missing";
    if (peer.heard)
      text += " for " + duration_words(*peer.heard + age(status, now));
  }
  if (more > 0) text += fmt::format(" and {} more", count_words(more));
  return text;
}

std::string peers_words(const SavedStatus& status, double now) {
  // Those that are needed and have never come have no name yet.
  const std::uint64_t all =
      std::max<std::uint64_t>(status.peers.size(), status.needed);
  return fmt::format("; {} of {}", count_words(status.live),
                     plural(all, "peer")) +
         missing_words(status, now);
}

std::string gone_words(const SavedStatus& status,
                       const std::filesystem::path& run, double now) {
  return fmt::format(
      "the server (process {}) is gone without having finished, since {} ago: "
      "it was killed, or its machine went down, after {}; {}: {}",
      status.pid, duration_words(age(status, now)), rounds_words(status),
      saved_words(status), resume_words(status, run));
}

std::string finished_words(const SavedStatus& status,
                           const std::filesystem::path& run) {
  const Finish finish = status.finish.value_or(Finish{});
  std::string text = fmt::format("finished with exit code {}, {}: {}",
                                 static_cast<int>(finish.code),
                                 rounds_words(status), shown(finish.text, 400));
  if (status.round < status.rounds)
    text +=
        fmt::format("; {}: {}", saved_words(status), resume_words(status, run));
  return text;
}

std::string presence_words(const SavedPeer& peer) {
  if (peer.presence == Presence::kLive && peer.exchanging) return "live, swaps";
  return std::string(name_of(kPresenceNames, peer.presence));
}

// A run that trains waits for answers all the time, and briefly.
bool stands_still(const SavedStatus& status) {
  constexpr double kLong = 5;  // seconds
  return status.state != ServerState::kTraining ||
         std::ranges::any_of(status.peers, [](const SavedPeer& peer) {
           return peer.exchanging || peer.owes.value_or(0) > kLong;
         });
}

// "0.12 to 0.4 s": of half of its answers, and of 95 %.
std::string answer_words(const SavedPeer& peer) {
  if (!peer.answer_p50 || !peer.answer_p95) return "-";
  return fmt::format("{:.2g} to {:.2g} s", *peer.answer_p50, *peer.answer_p95);
}

std::string peers_table(const SavedStatus& status, double now) {
  std::vector<SavedPeer> peers = status.peers;
  const auto urgency = [](const SavedPeer& peer) {
    return std::tuple(static_cast<int>(peer.presence), -peer.owes.value_or(0),
                      peer.id);
  };
  std::ranges::stable_sort(peers, {}, urgency);
  std::vector<std::vector<std::string>> rows{
      {"peer", "name", "state", "images", "last message", "answers in",
       "answer pending", "rounds missed"}};
  const auto since = [&](const std::optional<double>& then, bool ago) {
    return then ? duration_words(*then + age(status, now)) + (ago ? " ago" : "")
                : std::string("-");
  };
  for (const SavedPeer& peer : peers) {
    if (rows.size() > kMostRows) break;
    rows.push_back({std::to_string(peer.id), shown(peer.name),
                    presence_words(peer), count_words(peer.shard),
                    since(peer.heard, true), answer_words(peer),
                    since(peer.owes, false), count_words(peer.missed)});
  }
  std::string text = table_text(rows);
  if (peers.size() > kMostRows)
    text += fmt::format("and {} more; --json has all\n",
                        count_words(peers.size() - kMostRows));
  return text;
}

}  // namespace

bool is_over(const SavedStatus& status, RunUser user, double now) {
  return status.state == ServerState::kFinished ||
         (is_gone(status, user) && age(status, now) > kOld);
}

std::string status_sentence(const SavedStatus& status, RunUser user,
                            const std::filesystem::path& run, double now) {
  if (status.state == ServerState::kFinished)
    return finished_words(status, run);
  // A machine that shares the disk and not the locks sees a lively file.
  if (is_over(status, user, now)) return gone_words(status, run, now);
  std::string text = progress_words(status) + peers_words(status, now);
  if (is_gone(status, user))
    text +=
        "; no process of this machine has the run: it trains on another "
        "one, or was killed just now";
  else if (age(status, now) > kOld)
    text += fmt::format(
        "; that was {} ago: the server{} hangs, or cannot write its folder",
        duration_words(age(status, now)),
        user == RunUser::kPid ? fmt::format(" (process {})", status.pid)
        : user == RunUser::kAnother
            ? std::string(" (a process of another container or user)")
            : fmt::format(" (process {}, perhaps on another machine)",
                          status.pid));
  return text;
}

std::string status_text(const SavedStatus& status, RunUser user,
                        const std::filesystem::path& run, double now) {
  std::string text = status_sentence(status, user, run, now) + "\n";
  text += fmt::format("run {}", presentable(run.string()));
  if (!is_over(status, user, now)) {
    if (!status.endpoint.empty())
      text += "; peers connect to " + presentable(status.endpoint);
    if (status.rounds_per_second)
      text += fmt::format("; {:.1f} rounds/s", *status.rounds_per_second);
    text += "; " + saved_words(status);
  }
  text += "\n";
  if (!status.waiting.empty() && !is_over(status, user, now) &&
      stands_still(status))
    text += shown(status.waiting, 600) + "\n";
  if (status.checkpoints_failed > 0)
    text += fmt::format(
        "{} could not be written: is there room? log.txt says why\n",
        plural(status.checkpoints_failed, "checkpoint"));
  if (status.insecure)
    text += "INSECURE: everybody who reaches it takes part\n";
  if (!status.peers.empty()) text += "\n" + peers_table(status, now);
  return text;
}

}  // namespace mdgan
