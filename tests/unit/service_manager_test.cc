#include "common/base/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "server/run/service_status.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

namespace {

// A service manager's end.
class Manager {
 public:
  Manager() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    const std::string path = folder_ / "notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address),
                   sizeof address) == 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Manager() {
    ::unsetenv("NOTIFY_SOCKET");
    ::close(socket_);
  }
  // Empty: it was told nothing.
  std::string told() const {
    std::array<char, 1000> text{};
    const auto size = ::recv(socket_, text.data(), text.size(), 0);
    return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }

 private:
  TemporaryDirectory folder_;
  int socket_;
};

}  // namespace

TEST_CASE("a service manager is told that a server is ready, alive and ends") {
  const Manager manager;
  ServiceStatus status;
  status.on_state(ServerState::kStarting);
  CHECK(manager.told().empty());
  status.on_state(ServerState::kListening);
  CHECK(manager.told() ==
        "READY=1\nSTATUS=listening, round 0 of 0; 0 of 0 peers");
  CoordinatorView view;
  view.completed = Round{12'400};
  view.rounds = 40'000;
  view.live = 2;
  view.needed = 3;
  status.on_state(ServerState::kTraining);
  CHECK(manager.told().empty());
  status.on_view(view, {});
  CHECK(manager.told() ==
        "WATCHDOG=1\nSTATUS=training, round 12,400 of 40,000; 2 of 3 peers");
  status.on_state(ServerState::kStopping);
  CHECK(manager.told() == "STOPPING=1");
}

TEST_CASE("without a service manager nothing is told, and nothing fails") {
  ::unsetenv("NOTIFY_SOCKET");
  tell_ready("x");
  const std::string too_long = "/" + std::string(500, 'x');
  for (const char* name :
       {"", "relative", "/no/such/socket", too_long.c_str()}) {
    ::setenv("NOTIFY_SOCKET", name, 1);
    tell_alive("x");
    tell_stopping();
  }
  ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace mdgan::test
