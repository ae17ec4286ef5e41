// The connection to the server: made, and made again after it was lost.
//
// libzmq would do that by itself, but it connects to the first address of a
// host only, asks for it once, and tells nobody. This class asks for the host's
// addresses before every round of tries and takes them one after the other.
//
// Threads: the loop's. Two more, for which nobody waits, look up addresses and
// probe the server's security mechanism.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/net/channel.h"
#include "common/net/endpoint.h"
#include "common/net/handshake.h"
#include "common/net/receiver.h"
#include "protocol/messages.h"

namespace mdgan {

class ServerLink {
 public:
  // `endpoint`: tcp://HOST:PORT, or inproc://NAME of this process.
  // With `keys` no other server than the one that has that key is talked to.
  ServerLink(zmq::context_t& context, std::string endpoint,
             Receiver::Wanted wanted, std::optional<ClientKeys> keys = {});
  ~ServerLink();
  ServerLink(const ServerLink&) = delete;
  ServerLink& operator=(const ServerLink&) = delete;

  // Begins to connect. Fails with kUsage for what is no endpoint.
  Result<void> open(TimePoint now);
  // Gives up the connection and begins to make another one.
  void restart(TimePoint now);

  // Takes notice of what has become of the connection and of the time; true if
  // it has been made since the last call. Call it when one of the sockets is
  // readable and at next_deadline().
  bool advance(TimePoint now);
  TimePoint next_deadline() const { return due_; }
  // The sockets to poll: the connection's, and the one that tells of it.
  zmq::socket_ref socket() { return *socket_; }
  zmq::socket_ref monitor() { return *monitor_; }

  bool connected() const { return state_ == State::kConnected; }
  // Since the connection was lost, or the beginning.
  std::uint64_t tries() const { return tries_; }
  // "tcp://server:5555", with the address that was tried last.
  std::string text() const;

  // Why there will be no connection, however often it is tried: the keys of
  // both sides do not fit. Fails with kAuthentication.
  std::optional<Error> refusal() const;
  // Whether that is because the server does not let in this side's key.
  bool key_refused() const { return failures_.key_refusals > 0; }
  // Why, whether or not it will be let in; nullopt: it is not refused.
  std::optional<Error> key_refusal() const;

  // Refused with kGone while there is no connection.
  Sent send(const protocol::Message& message, TensorFrames* frames = nullptr);
  bool take(std::optional<Received>& received);
  // What was handed to ZeroMQ so far, also what was lost with a connection.
  const SentBytes& sent() const { return sent_; }
  // What is queued may still be sent for so long after the end.
  void set_linger(int milliseconds);

 private:
  enum class State { kResolving, kWaiting, kConnecting, kConnected };
  struct Resolution;  // shared with the thread that asks for addresses
  struct Probe;       // and with the one that asks for the mechanism

  // The only place that changes `state_`; aborts on a transition that is not
  // legal. `why`: what makes it happen.
  void enter(State next, const char* why);
  void make_socket();
  void resolve(TimePoint now);
  void on_resolved(TimePoint now);
  void try_next(TimePoint now);
  // After all addresses were tried.
  void wait(TimePoint now);
  void read_events(bool& made, bool& lost);
  void on_handshake_failed();
  void look_at_probe();

  zmq::context_t& context_;
  const std::string endpoint_;
  std::optional<Endpoint> parsed_;  // none: within the process
  const Receiver::Wanted wanted_;
  const std::optional<ClientKeys> keys_;

  State state_ = State::kResolving;
  TimePoint due_{};  // when the state's time is over
  std::shared_ptr<Resolution> resolution_;
  std::vector<Endpoint> addresses_;
  std::size_t next_address_ = 0;
  std::uint64_t tries_ = 0;
  std::uint64_t rounds_ = 0;  // in which all addresses were tried
  std::string told_;          // about the name, the last time
  HandshakeFailures failures_;
  std::shared_ptr<Probe> probe_;
  TimePoint try_begun_{};
  bool handshake_failed_ = false;  // in this try
  bool key_refused_ = false;       // at one of the addresses, this time

  std::optional<zmq::socket_t> socket_;
  std::optional<zmq::socket_t> monitor_;
  Receiver receiver_;
  SentBytes sent_;
};

}  // namespace mdgan
