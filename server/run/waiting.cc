#include "server/run/waiting.h"
#include "common/base/words.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace mdgan {
namespace {

using Names = std::vector<std::string>;

constexpr std::size_t kMostNames = 5;

std::string listed_names(const Names& names) {
  const std::size_t shown = std::min(names.size(), kMostNames);
  std::string text = fmt::format(
      "{}",
      fmt::join(names.begin(),
                names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (shown < names.size())
    text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

template <typename Condition>
Names names_if(const CoordinatorView& view, Condition condition) {
  Names names;
  for (const MemberView& member : view.members)
    if (condition(member)) names.push_back(member.name);
  return names;
}

// The peers that are known by name and do not take part, and why, if that is
// known.
Names absent_peers(const CoordinatorView& view, const Refusals& refusals) {
  Names names;
  for (const MemberView& member : view.members) {
    if (member.presence == Presence::kLive) continue;
    names.push_back(member.name);
    if (member.presence == Presence::kCopying)
      names.back() += " (is given a discriminator)";
    else if (refusals.has(member.name))
      names.back() += " (refused)";
  }
  for (const Refusals::Entry& entry : refusals.entries()) {
    const std::string& name = entry.refusal.name;
    const std::string refused = name + " (refused)";
    const auto is_member =
        std::ranges::find(view.members, name, &MemberView::name);
    if (is_member == view.members.end() &&
        std::ranges::find(names, refused) == names.end())
      names.push_back(refused);
  }
  return names;
}

std::string waiting_for_peers(const CoordinatorView& view,
                              const Refusals& refusals) {
  std::string text = view.started ? fmt::format("paused after round {}: ",
                                                view.completed.value)
                                  : "";
  text += fmt::format("waiting for {} of {}", view.needed - view.live,
                      plural(view.needed, "peer"));
  if (const Names absent = absent_peers(view, refusals); !absent.empty())
    return text + ": " + listed_names(absent);
  const Names here = names_if(view, [](const MemberView& member) {
    return member.presence == Presence::kLive;
  });
  return here.empty() ? text : text + "; here: " + listed_names(here);
}

}  // namespace

std::string waiting_text(const CoordinatorView& view,
                         const Refusals& refusals) {
  switch (view.stage) {
    case RunStage::kWaiting:
      return view.live < view.needed ? waiting_for_peers(view, refusals) : "";
    case RunStage::kCollecting: {
      const Names owing = names_if(view, [](const MemberView& member) {
        return member.owes_since.has_value();
      });
      if (owing.empty()) return "";
      return fmt::format("round {}: waiting for the answers of {} of {}: {}",
                         view.completed.value + 1, owing.size(),
                         plural(view.live, "peer"), listed_names(owing));
    }
    case RunStage::kSwapping: {
      const Names exchanging = names_if(
          view, [](const MemberView& member) { return member.in_exchange; });
      if (exchanging.empty()) return "";
      return fmt::format("swap after round {}: waiting for {}",
                         view.completed.value, listed_names(exchanging));
    }
    case RunStage::kGenerating:
    case RunStage::kStepping:
    case RunStage::kFinished:
      break;
  }
  return "";
}

}  // namespace mdgan
