// The bytes of ZeroMQ's wire protocol (rfc.zeromq.org/spec/23), for clients and
// servers that libzmq would not let be what they are.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace mdgan::test {

inline constexpr std::size_t kGreetingBytes = 64;
// CURVE's first two commands (rfc.zeromq.org/spec/26), as frames. Neither holds
// anything that lasts: one key each, made for this connection.
inline constexpr std::size_t kCurveHelloBytes = 202;
inline constexpr std::size_t kCurveWelcomeBytes = 170;

// ZMTP 3.0's greeting. With the mechanism NULL what follows is taken for
// ZeroMQ's own frames.
inline std::string zmtp_greeting(std::string mechanism = "NULL") {
  mechanism.resize(20, '\0');
  return std::string("\xff") + std::string(8, '\0') + "\x7f" +
         std::string("\x03\x00", 2) + mechanism + std::string(32, '\0');
}

// A frame of which the flags are these: 0 a message's last, 4 a command.
inline std::string zmtp_frame(char flags, std::string_view body) {
  std::string frame;
  if (body.size() < 256) {
    frame = {flags, static_cast<char>(body.size())};
  } else {
    frame = static_cast<char>(flags | 2);
    for (int shift = 56; shift >= 0; shift -= 8)
      frame += static_cast<char>(body.size() >> shift & 255);
  }
  return frame.append(body);
}
inline std::string zmtp_message(std::string_view body) {
  return zmtp_frame(0, body);
}
inline std::string zmtp_command(std::string_view name, std::string_view data) {
  return zmtp_frame(
      4,
      std::string(1, static_cast<char>(name.size())).append(name).append(data));
}

// A READY command that says this is a DEALER, and what else is said of it.
// REQUIRES: names and values of less than 256 bytes.
inline std::string zmtp_ready(
    const std::map<std::string, std::string>& more = {}) {
  std::map<std::string, std::string> all = more;
  all["Socket-Type"] = "DEALER";
  std::string data;
  for (const auto& [name, value] : all)
    data += std::string(1, static_cast<char>(name.size())) + name +
            std::string(3, '\0') + static_cast<char>(value.size()) + value;
  return zmtp_command("READY", data);
}

// A frame after which more of the same message are to come.
inline std::string zmtp_part(std::size_t bytes) {
  return zmtp_frame(1, std::string(bytes, 'x'));
}

}  // namespace mdgan::test
