// Connections that send without an end, and those that send nothing.
#include "common/net/connection_guard.h"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mailbox.h"
#include "protocol/limits.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/link.h"
#include "tests/support/tcp_client.h"
#include "tests/support/zmtp.h"

namespace mdgan::test {
namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

// This process's memory, in MiB.
std::size_t resident_memory() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / kMebibyte;
}

// A ROUTER with a guard, which answers on a thread of its own.
class GuardedHub {
 public:
  explicit GuardedHub(ConnectionGuard::Limits limits = {})
      : thread_([this, limits] { serve(limits); }) {
    while (!ready_) std::this_thread::yield();
  }
  ~GuardedHub() {
    mailbox_.post([this] { over_ = true; });
    thread_.join();
  }
  const std::string& endpoint() const { return endpoint_; }
  std::size_t cuts() const { return cuts_; }
  std::size_t closed() const { return closed_; }

 private:
  void serve(ConnectionGuard::Limits limits) {
    zmq::context_t context;
    Socket router = make_router(context);
    ConnectionGuard guard(
        context, router, limits,
        {[this] { mailbox_.post([] {}); },
         [this](int, std::uint64_t) { ++closed_; },
         [this](const std::string&, const std::string&) { ++cuts_; }});
    router.receiver = Receiver({}, &guard);
    (void)bind_router(router, endpoint_);
    ready_ = true;
    while (!over_) {
      zmq::pollitem_t items[] = {{router.handle(), 0, ZMQ_POLLIN, 0},
                                 {nullptr, mailbox_.fd(), ZMQ_POLLIN, 0}};
      wait_readable(items, std::chrono::seconds(1));
      mailbox_.drain();
      guard.begin_drain();
      while (auto received = receive(router)) {
        if (!received->message) continue;
        guard.trust(received->descriptor);
        (void)send(router, received->routing_id,
                   greeting(received->message->round.value));
      }
      guard.end_drain();
    }
  }

  Mailbox mailbox_;
  std::string endpoint_ = kAnyPort;
  std::atomic<bool> ready_ = false;
  bool over_ = false;
  std::atomic<std::size_t> cuts_ = 0;
  std::atomic<std::size_t> closed_ = 0;
  std::thread thread_;
};

// Whether somebody who keeps to the protocol is answered.
bool answers(const GuardedHub& hub) {
  zmq::context_t context;
  auto peer = make_link(context, hub.endpoint());
  const std::vector<Blob> tensors{counting_floats(3 * protocol::kFrameBytes)};
  TensorFrames frames(tensors);
  bool good = true;
  for (std::uint64_t i = 0; i < 3; ++i) {
    good = good && send(peer, "", greeting(i)) == Sent::kYes &&
           next_message(peer).message->round.value == i;
    protocol::Message message = announcing(tensors);
    message.round = Round{7};
    good = good && send(peer, "", message, &frames) == Sent::kYes &&
           next_message(peer).message->round.value == 7;
  }
  return good;
}

}  // namespace

TEST_CASE("fault 24: parts that never end cost no memory", "[integration]") {
  ConnectionGuard::Limits limits;
  limits.window_of_stranger = 65'536;  // as the server has it
  GuardedHub hub(limits);
  CHECK(answers(hub));
  const std::size_t before = resident_memory();
  std::size_t sent = 0;  // MiB
  for (const std::size_t part :
       {kMebibyte, std::size_t{1000}, std::size_t{1}}) {
    INFO("parts of " << part);
    // Many at a time: what is slow here is a call.
    std::string parts;
    while (parts.size() < kMebibyte) parts += zmtp_part(part);
    for (int i = 0; i < 20; ++i) {
      const TcpClient client(hub.endpoint());
      client.send(zmtp_greeting() + zmtp_ready());
      int count = 0;
      while (count < 400 && client.send(parts)) ++count;
      CHECK(count < 400);
      sent += static_cast<std::size_t>(count);
    }
  }
  const std::size_t after = resident_memory();
  INFO("sent " << sent << " MiB, resident before " << before << ", after "
               << after);
  CHECK(after < before + 32);
  CHECK(hub.cuts() >= 20);
  CHECK(answers(hub));
}

TEST_CASE("fault 24: who sends a message of many parts is cut off",
          "[integration]") {
  GuardedHub hub;
  zmq::context_t context;
  // Its ZeroMQ answers heartbeats: nothing else ends the connection.
  Socket bad = make_link(context, hub.endpoint());
  REQUIRE(send(bad, "", greeting(1)) == Sent::kYes);
  REQUIRE(next_number(bad) == 1);
  const ConnectionEnd end(context, bad);
  send_parts(bad, {protocol::encode(greeting(2)), Frame(8)});
  CHECK(end.comes());
  CHECK(hub.cuts() == 0);  // its message was complete
  CHECK(answers(hub));
}

TEST_CASE("fault 30: who connects and says nothing is told to go",
          "[integration]") {
  ConnectionGuard::Limits limits;
  limits.strangers = 3;
  GuardedHub hub(limits);
  std::vector<std::unique_ptr<TcpClient>> silent;
  for (int i = 0; i < 5; ++i) {
    silent.push_back(std::make_unique<TcpClient>(hub.endpoint()));
    silent.back()->send(zmtp_greeting() + zmtp_ready());
  }
  // There are three places: the first two are the longest there.
  CHECK(silent[0]->is_ended());
  CHECK(silent[1]->is_ended());
  CHECK(hub.cuts() >= 2);  // and not by ZeroMQ's heartbeat, which they miss
  CHECK(answers(hub));
}

TEST_CASE("fault 30: a stranger's patience is bounded", "[integration]") {
  ConnectionGuard::Limits limits;
  limits.patience = std::chrono::seconds(0);
  GuardedHub hub(limits);
  const TcpClient silent(hub.endpoint());
  silent.send(zmtp_greeting() + zmtp_ready());
  CHECK(silent.is_ended());
  CHECK(hub.cuts() >= 1);
  CHECK(eventually([&] { return hub.closed() == 1; }));
}

TEST_CASE("Who keeps to the protocol is not taken for an attacker",
          "[integration]") {
  GuardedHub hub;
  std::vector<std::thread> peers;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i)
    peers.emplace_back([&] { good += answers(hub) ? 1 : 0; });
  for (std::thread& peer : peers) peer.join();
  CHECK(good == 8);
  CHECK(hub.cuts() == 0);
}

}  // namespace mdgan::test
