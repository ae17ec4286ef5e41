// The connections of the simulated processes, with their faults.
#include <utility>

#include "tests/support/cluster.h"

namespace mdgan::test {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kOverheard = 64;

}  // namespace

void Cluster::to_server(Process& process, protocol::Message message,
                        std::string defect) {
  const ConnectionId connection = process.connection;
  if (happens(faults_.lose_message)) return;
  if (happens(faults_.break_connection)) open_.erase(connection);
  if (!open_.contains(connection)) return;
  if (process.cut_out && now_ < process.cut_until) return;
  if (overheard_.size() < kOverheard)
    overheard_.push_back(message);
  else
    overheard_[random_.below(kOverheard)] = message;
  TimePoint& order = in_order_[connection];
  order = std::max(order, now_ + latency());
  const int times = happens(faults_.repeat_message) ? 2 : 1;
  for (int i = 0; i < times; ++i)
    after(order - now_,
          [this, connection, message, defect, &process, life = server_life_] {
            if (life == server_life_)
              deliver_to_server(connection, message, defect);
            else if (open_.contains(process.connection) &&
                     happens(faults_.old_message))
              deliver_to_server(process.connection, message, defect);
          });
}

void Cluster::deliver_to_server(ConnectionId connection,
                                const protocol::Message& message,
                                const std::string& defect) {
  trace("  to the server on " + std::to_string(connection.value) + ":",
        message);
  arriving_ = &message;
  feed_server(MessageArrived{connection, message, defect});
  arriving_ = nullptr;
}

void Cluster::to_connection(ConnectionId connection,
                            std::function<void(Process&)> deliver) {
  if (happens(faults_.break_connection)) open_.erase(connection);
  if (!open_.contains(connection)) {
    after(1ms, [this, connection, life = server_life_] {
      if (life == server_life_) feed_server(ConnectionLost{connection});
    });
    return;
  }
  if (happens(faults_.lose_message)) return;
  TimePoint& order = out_order_[connection];
  order = std::max(order, now_ + latency());
  after(order - now_, [this, connection, deliver = std::move(deliver)] {
    Process* process = on_connection(connection);
    if (process == nullptr || (process->cut_in && now_ < process->cut_until))
      return;
    process->heard = now_;
    deliver(*process);
  });
}

// A stranger says hello, or somebody says what another has said, or what no
// honest peer would.
void Cluster::lie() {
  const ConnectionId connection{1'000'000 + random_.below(3)};
  open_.insert(connection);
  protocol::Message message;
  if (!overheard_.empty())
    message = overheard_[random_.below(overheard_.size())];
  if (random_.below(2) == 0) {
    protocol::Hello hello;
    hello.name =
        "liar" +
        std::to_string(random_.below(faults_.liar_flood > 0 ? 1'000'000 : 5));
    hello.session = random_.next();
    hello.shard_size = 10 + random_.below(1000);
    hello.image = {1, 4, 4, 10};
    hello.nonce = random_.below(3);
    hello.index = static_cast<std::int64_t>(random_.below(4)) - 1;
    hello.abilities = protocol::known_abilities();
    message = {};
    message.body = hello;
  } else if (random_.below(2) == 0) {
    message.peer = {static_cast<std::uint32_t>(random_.below(12))};
    message.run = config_.run;
    message.incarnation = config_.incarnation;
    message.round = {completed().value + random_.below(3)};
    switch (random_.below(6)) {
      case 0:
        message.body = protocol::Staged{{random_.below(20)}, false, "a lie"};
        break;
      case 1:
        message.body = protocol::Feedback{0, 0, 0, 0, {}};
        break;
      case 2:
        message.body = protocol::Goodbye{protocol::Reason::kFailed, "a lie"};
        break;
      case 3:
        message.body =
            protocol::Chunk{{random_.below(20)}, random_.next() % 3, {}};
        break;
      case 4:
        message.body =
            protocol::ChunksTaken{{random_.below(20)}, random_.next() % 30};
        break;
      default:
        message.body = protocol::Commit{{random_.below(20)}};
    }
  }
  // No liar may pass for an honest peer: names are for the keys to protect.
  if (auto* hello = std::get_if<protocol::Hello>(&message.body))
    if (!hello->name.starts_with("liar")) return;
  deliver_to_server(connection, message,
                    random_.below(2) == 0 ? "not finite" : "");
}

}  // namespace mdgan::test
