#include "common/net/handshake.h"

#include <string_view>

#include "common/net/tcp_connection.h"

namespace mdgan {
namespace {

// ZMTP 3.0: 10 bytes of signature, 2 of the version, 20 of the mechanism, and
// 32 more.
constexpr std::size_t kGreeting = 64;
constexpr std::size_t kMechanismAt = 12;
constexpr std::size_t kMechanism = 20;
// A server that is just ending, or whose process starts, breaks one off, too.
constexpr std::uint64_t kEnough = 3;
// A server takes a moment to read the list of those who are let in again: who
// was let in just now tries for some seconds, a little longer each time.
constexpr std::uint64_t kEnoughRefusals = 8;

std::string greeting() {
  std::string bytes = std::string("\xff") + std::string(8, '\0') + "\x7f";
  bytes += std::string("\x03\x00NULL", 6);
  bytes.resize(kGreeting, '\0');
  return bytes;
}

}  // namespace

std::string mechanism_at(const Endpoint& endpoint,
                         std::chrono::milliseconds time) {
  TcpConnection connection(endpoint, std::chrono::steady_clock::now() + time);
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

Error refused_key(const HandshakeFailures& failures) {
  return {failures.server + " does not let in this peer's key, " +
              failures.own_key +
              ": whoever runs the server lets it in, after an invitation by "
              "`mdgan-server admit NAME`, else by the line KEY NAME in its "
              "authorized_peers",
          ExitCode::kAuthentication};
}

std::optional<Error> reason_of(const HandshakeFailures& failures) {
  const auto reason = [&](const std::string& why) {
    return Error{failures.server + " " + why, ExitCode::kAuthentication};
  };
  if (failures.key_refusals >= kEnoughRefusals) return refused_key(failures);
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
