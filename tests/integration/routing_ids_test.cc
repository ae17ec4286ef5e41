// Routing ids of different starts of a program, each in a process of its own.
#include "common/net/routing_ids.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <zmq.hpp>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

// The id under which a ROUTER of this process knows its first connection.
std::string first_routing_id() {
  zmq::context_t context;
  zmq::socket_t router(context, zmq::socket_type::router);
  zmq::socket_t dealer(context, zmq::socket_type::dealer);
  router.set(zmq::sockopt::rcvtimeo, 20'000);
  router.bind("tcp://127.0.0.1:*");
  dealer.connect(router.get(zmq::sockopt::last_endpoint));
  dealer.send(zmq::str_buffer("hello"), zmq::send_flags::none);
  zmq::message_t id;
  if (!router.recv(id)) return "";
  return id.to_string();
}

// The same, of a process that has just started and done what a main() does.
std::string first_routing_id_of_a_start() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string id;
    try {
      seed_routing_ids();
      id = first_routing_id();
    } catch (...) {
    }
    const ssize_t written = ::write(ends[1], id.data(), id.size());
    ::_exit(written == static_cast<ssize_t>(id.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::array<char, 64> buffer{};
  const ssize_t count = ::read(ends[0], buffer.data(), buffer.size());
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return {buffer.data(), static_cast<std::size_t>(count < 0 ? 0 : count)};
}

}  // namespace

TEST_CASE("The routing ids of two starts of a program differ",
          "[integration]") {
  const std::string first = first_routing_id_of_a_start();
  const std::string second = first_routing_id_of_a_start();
  CHECK(first.size() == 5);
  CHECK(second.size() == 5);
  CHECK(first != second);
}

}  // namespace mdgan::test
