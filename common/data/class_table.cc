#include "common/data/class_table.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/words.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kRows = 20;
constexpr std::size_t kColumns = 20;
constexpr std::size_t kNameWidth = 12;

PeerClasses sum_of(std::span<const PeerClasses> peers) {
  PeerClasses sum;
  sum.name = "all";
  for (const PeerClasses& peer : peers) {
    sum.images += peer.images;
    sum.counts.resize(std::max(sum.counts.size(), peer.counts.size()));
    for (std::size_t c = 0; c < peer.counts.size(); ++c)
      sum.counts[c] += peer.counts[c];
  }
  return sum;
}

// The name, cut to at most `width` bytes, as it may be shown.
std::string shortened(const std::string& name, std::size_t width) {
  std::string text = protocol::presentable(name);
  if (text.size() <= width) return text;
  std::size_t end = width - 1;
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80;
  };
  while (end > 0 && continues(end)) --end;  // in the middle of a character
  return text.substr(0, end) + "~";
}

std::string quoted(const std::string& text) {
  // A folder's name need not be UTF-8.
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_of(const PeerClasses& peer) {
  return fmt::format("\"images\": {}, \"counts\": [{}]", peer.images,
                     fmt::join(peer.counts, ", "));
}

}  // namespace

PeerClasses count_classes(std::string name, std::uint32_t number,
                          std::span<const std::uint32_t> shard,
                          std::span<const std::int32_t> labels,
                          std::uint32_t classes) {
  PeerClasses peer{std::move(name), number, shard.size(), {}};
  if (labels.empty()) return peer;
  peer.counts.resize(classes);
  for (const std::uint32_t sample : shard)
    ++peer.counts[static_cast<std::size_t>(labels[sample])];
  return peer;
}

std::vector<std::string> table_lines(std::span<const PeerClasses> peers,
                                     std::span<const std::string> class_names,
                                     bool all_of_data) {
  const PeerClasses sum = sum_of(peers);
  const std::size_t columns = std::min(kColumns, sum.counts.size());
  const std::string rest = columns < sum.counts.size() ? "  ..." : "";
  const std::size_t width =
      2 + std::max<std::size_t>(3, std::to_string(sum.images).size());
  std::vector<std::string> lines;
  std::string head = fmt::format("{:<{}}", "peer", kNameWidth);
  for (std::size_t c = 0; c < columns; ++c)
    head += fmt::format(
        "{:>{}}",
        shortened(c < class_names.size() ? class_names[c] : "?", width - 1),
        width);
  lines.push_back(head + rest + fmt::format("{:>{}}", "images", width + 4));
  const auto add = [&](const PeerClasses& peer) {
    std::string line =
        fmt::format("{:<{}}", shortened(peer.name, kNameWidth), kNameWidth);
    for (std::size_t c = 0; c < columns; ++c)
      line += fmt::format("{:>{}}", peer.counts[c], width);
    lines.push_back(line + rest +
                    fmt::format("{:>{}}", peer.images, width + 4));
  };
  for (const PeerClasses& peer : peers.first(std::min(kRows, peers.size())))
    add(peer);
  if (peers.size() > kRows)
    lines.push_back(fmt::format("and {} more peer{}", peers.size() - kRows,
                                peers.size() - kRows == 1 ? "" : "s"));
  if (peers.size() > 1) add(sum);
  const auto nobodys = std::count(sum.counts.begin(), sum.counts.end(), 0U);
  if (all_of_data && nobodys > 0)
    lines.push_back(fmt::format("{} of {} classes are in nobody's data",
                                nobodys, sum.counts.size()));
  return lines;
}

std::string table_json(const Partition& partition, std::uint32_t shards,
                       std::span<const PeerClasses> peers,
                       std::span<const std::string> class_names) {
  std::vector<std::string> names, rows;
  for (const std::string& name : class_names) names.push_back(quoted(name));
  for (const PeerClasses& peer : peers)
    rows.push_back(fmt::format("  {{\"name\": {}, \"shard\": {}, {}}}",
                               quoted(peer.name), peer.shard, json_of(peer)));
  return fmt::format(
      "{{\"partition\": {}, \"shards\": {},\n \"classes\": [{}],\n"
      " \"peers\": [\n{}],\n {}}}\n",
      quoted(to_text(partition)), shards, fmt::join(names, ", "),
      fmt::join(rows, ",\n"), json_of(sum_of(peers)));
}

}  // namespace mdgan
