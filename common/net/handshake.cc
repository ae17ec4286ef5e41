#include "common/net/handshake.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>

namespace mdgan {
namespace {

using Clock = std::chrono::steady_clock;

// ZMTP 3.0: 10 bytes of signature, 2 of the version, 20 of the mechanism, and
// 32 more.
constexpr std::size_t kGreeting = 64;
constexpr std::size_t kMechanismAt = 12;
constexpr std::size_t kMechanism = 20;
// A server that is just ending, or whose process starts, breaks one off, too.
constexpr std::uint64_t kEnough = 3;

std::string greeting() {
  std::string bytes = std::string("\xff") + std::string(8, '\0') + "\x7f";
  bytes += std::string("\x03\x00NULL", 6);
  bytes.resize(kGreeting, '\0');
  return bytes;
}

class Connection {
 public:
  Connection(const Endpoint& endpoint, Clock::time_point end) : end_(end) {
    std::string host = endpoint.host;
    if (host.starts_with('[') && host.ends_with(']'))
      host = host.substr(1, host.size() - 2);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* first = nullptr;
    if (::getaddrinfo(host.c_str(), endpoint.port.c_str(), &hints, &first) != 0)
      return;
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> address(
        first, ::freeaddrinfo);
    socket_ = ::socket(address->ai_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return;
    if (::connect(socket_, address->ai_addr, address->ai_addrlen) != 0 &&
        errno != EINPROGRESS)
      return;
    connected_ = wait(POLLOUT);
  }
  ~Connection() {
    if (socket_ >= 0) ::close(socket_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool send(std::string_view bytes) {
    return connected_ &&
           ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(bytes.size());
  }
  std::string receive(std::size_t bytes) {
    std::string received;
    while (received.size() < bytes && wait(POLLIN)) {
      char part[kGreeting];
      const ssize_t n = ::recv(
          socket_, part, std::min(sizeof part, bytes - received.size()), 0);
      if (n <= 0) break;
      received.append(part, static_cast<std::size_t>(n));
    }
    return received;
  }

 private:
  bool wait(short events) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now());
    pollfd item{socket_, events, 0};
    return left.count() > 0 &&
           ::poll(&item, 1, static_cast<int>(left.count())) == 1;
  }

  const Clock::time_point end_;
  int socket_ = -1;
  bool connected_ = false;
};

}  // namespace

std::string mechanism_at(const Endpoint& endpoint,
                         std::chrono::milliseconds time) {
  Connection connection(endpoint, Clock::now() + time);
  // It goes on only once it knows our version, and closes once it knows our
  // mechanism: that is not sent.
  const std::string ours = greeting();
  if (!connection.send(std::string_view(ours).substr(0, kMechanismAt)))
    return "";
  const std::string theirs = connection.receive(kGreeting);
  if (theirs.size() < kMechanismAt + kMechanism || theirs[0] != '\xff' ||
      theirs[9] != '\x7f')
    return "";
  const std::string mechanism = theirs.substr(kMechanismAt, kMechanism);
  return mechanism.substr(0, mechanism.find('\0'));
}

std::optional<Error> reason_of(const HandshakeFailures& failures) {
  const auto reason = [&](const std::string& why) {
    return Error{failures.server + " " + why, ExitCode::kAuthentication};
  };
  if (failures.key_refused)
    return reason(
        "does not let in this peer's key: whoever runs the server "
        "appends the line KEY NAME to its authorized_peers, where "
        "KEY is " +
        failures.own_key);
  if (failures.in_a_row == 0 || failures.mechanism.empty()) return std::nullopt;
  if (failures.mechanism == "CURVE" && !failures.has_keys)
    return reason(
        "lets in only peers with a key: make one with `mdgan-peer keygen`, "
        "have whoever runs the server append the line that it prints to "
        "authorized_peers, and give --key FILE and --server-key KEY");
  if (failures.mechanism != "CURVE" && failures.has_keys)
    return reason(
        "has no key, so nobody knows whose it is: have it started with --key "
        "FILE (see `mdgan-server keygen`), or leave out --key and "
        "--server-key here");
  if (failures.mechanism == "CURVE" && failures.in_a_row >= kEnough)
    return reason(
        "has another key than the one that --server-key names: compare it "
        "with the public key that `mdgan-server keygen` printed; or somebody "
        "else answers at this address");
  return std::nullopt;
}

}  // namespace mdgan
