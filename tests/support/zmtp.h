// The bytes of ZeroMQ's wire protocol, for clients that libzmq would not let be
// what they are.
#pragma once

#include <cstddef>
#include <string>

namespace mdgan::test {

// ZMTP 3.0's greeting with the mechanism NULL: what follows is taken for
// ZeroMQ's own frames.
inline std::string zmtp_greeting() {
  std::string bytes = std::string("\xff") + std::string(8, '\0') + "\x7f";
  bytes += std::string("\x03\x00NULL", 6) + std::string(16, '\0');
  return bytes + std::string(32, '\0');
}

// A READY command that says this is a DEALER.
inline std::string zmtp_ready() {
  const std::string body = std::string("\x05READY") + "\x0bSocket-Type" +
                           std::string("\x00\x00\x00\x06", 4) + "DEALER";
  return std::string("\x04") + static_cast<char>(body.size()) + body;
}

// A frame after which more of the same message are to come.
inline std::string zmtp_part(std::size_t bytes) {
  std::string frame;
  if (bytes < 256) {
    frame = std::string("\x01") + static_cast<char>(bytes);
  } else {
    frame = "\x03";
    for (int shift = 56; shift >= 0; shift -= 8)
      frame += static_cast<char>(bytes >> shift & 255);
  }
  return frame + std::string(bytes, 'x');
}

}  // namespace mdgan::test
