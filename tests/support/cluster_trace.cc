// What a traced run of the simulated cluster prints.
#include <chrono>
#include <string>
#include <variant>

#include "protocol/codec.h"
#include "tests/support/cluster.h"

namespace mdgan::test {

void Cluster::trace(const std::string& line) {
  if (trace_ == nullptr) return;
  const auto at =
      std::chrono::duration_cast<std::chrono::milliseconds>(now_ - begin_);
  *trace_ << at.count() << " ms: " << line << "\n";
}

void Cluster::trace(const std::string& whose,
                    const protocol::Message& message) {
  if (trace_ == nullptr ||
      std::holds_alternative<protocol::Progress>(message.body))
    return;
  std::string line = whose + " " +
                     std::string(protocol::type_name(message.body)) + " peer " +
                     std::to_string(message.peer.value) + " round " +
                     std::to_string(message.round.value);
  const auto name = [](const protocol::Held& held) {
    return std::to_string(held.discriminator.value & 0xffff) + "." +
           std::to_string(held.discriminator.value >> 32) + "@" +
           std::to_string(held.round.value);
  };
  if (const auto* hello = std::get_if<protocol::Hello>(&message.body)) {
    line += ": " + hello->name + " holds " + name(hello->held) + ", saved";
    for (const protocol::Held& saved : hello->saved) line += " " + name(saved);
  } else if (const auto* w = std::get_if<protocol::Welcome>(&message.body)) {
    line += ": start " + std::to_string(static_cast<int>(w->start)) + " with " +
            name({{}, w->restore, w->discriminator});
  } else if (const auto* swap = std::get_if<protocol::Swap>(&message.body)) {
    line += ": " + std::to_string(swap->swap.value) +
            (swap->sends ? " to " + std::to_string(swap->target.value) : "") +
            (swap->receives ? " brings " + name({{}, {}, swap->discriminator})
                            : "");
  } else if (const auto* staged =
                 std::get_if<protocol::Staged>(&message.body)) {
    line += ": " + std::to_string(staged->swap.value) +
            (staged->ok ? "" : ": " + staged->reason);
  } else if (const auto* commit =
                 std::get_if<protocol::Commit>(&message.body)) {
    line += ": " + std::to_string(commit->swap.value);
  } else if (const auto* bye = std::get_if<protocol::Goodbye>(&message.body)) {
    line += ": " + bye->text;
  } else if (const auto* e = std::get_if<protocol::ErrorReply>(&message.body)) {
    line += ": " + e->text;
  }
  trace(line);
}

}  // namespace mdgan::test
