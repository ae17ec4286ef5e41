#include "server/view/run_events.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/files/json_depth.h"

namespace mdgan {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Longer lines are left out: an object of many fields takes long to read.
constexpr std::size_t kMostLine = 16'384;

std::string line_of(const OrderedJson& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/true,
                   OrderedJson::error_handler_t::replace);
}

std::string text(const OrderedJson& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>()
                                                     : std::string();
}

}  // namespace

void RunEvents::add(std::string_view line) {
  if (line.size() > kMostLine || !nests_at_most(line, 2)) return;
  const OrderedJson json =
      OrderedJson::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return;
  const std::string event = text(json, "event");
  if (event.empty()) return;
  ++total_;
  const auto known = std::ranges::find(kEventNames, event);
  if (known != kEventNames.end())
    ++counts_[static_cast<std::size_t>(known - kEventNames.begin())];
  kept_.push_back(line_of(json));
  if (kept_.size() > kMostKept) kept_.pop_front();
  if (event == "swap") last_swap_ = kept_.back();

  const std::string name = text(json, "peer");
  const bool late = event == "late";
  const bool lost = event == "lost";
  if (name.empty() || !(late || lost || event == "fault")) return;
  if (peers_.size() >= kMostPeers && !peers_.contains(name)) return;
  Peer& peer = peers_[name];
  if (late) ++peer.late;
  if (lost) ++peer.lost;
  peer.fault = kept_.back();
}

std::uint64_t RunEvents::count(std::string_view event) const {
  const auto known = std::ranges::find(kEventNames, event);
  return known == kEventNames.end()
             ? 0
             : counts_[static_cast<std::size_t>(known - kEventNames.begin())];
}

std::string RunEvents::json(std::size_t limit) const {
  std::string out = fmt::format("{{\"total\":{},\"counts\":{{", total_);
  for (std::size_t i = 0; i < kEventNames.size(); ++i)
    out += fmt::format("{}\"{}\":{}", i ? "," : "", kEventNames[i], counts_[i]);
  out += fmt::format("}},\"last_swap\":{},\"events\":[",
                     last_swap_.empty() ? "null" : last_swap_);
  limit = std::min(limit, kept_.size());
  for (std::size_t i = 0; i < limit; ++i)
    out += (i ? "," : "") + kept_[kept_.size() - 1 - i];
  return out + "]}";
}

std::string RunEvents::peers_json() const {
  std::string out = "[";
  for (const auto& [name, peer] : peers_)
    out += fmt::format("{}[{},{{\"late\":{},\"lost\":{},\"fault\":{}}}]",
                       out.size() > 1 ? "," : "", line_of(OrderedJson(name)),
                       peer.late, peer.lost, peer.fault);
  return out + "]";
}

}  // namespace mdgan
