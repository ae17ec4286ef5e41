// Bounds what libzmq keeps of messages that never end.
//
// libzmq reads the parts of a multipart message without limit, and this program
// sees none of them before the last has come. A thread of this class compares
// what the kernel has handed over of each connection of a ROUTER (TCP_INFO)
// with the frames that were taken off the socket. As every frame of ours is a
// ZeroMQ message of its own, a connection that has sent much more than a frame
// of which nothing can be taken is not one of ours: it is reset, and libzmq
// frees what it kept.
//
// Connections on which nobody has said anything useful are strangers: they may
// send an envelope, but no tensors; there may be kMaxStrangers of them, and
// each only for a while.
//
// Threads: one of its own. All members but that thread's belong to the owner of
// the socket.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <zmq.hpp>

#include "common/net/channel.h"

namespace mdgan {

// Which connection a descriptor stands for: descriptors are used again.
// 0 if it is no socket.
std::uint64_t socket_cookie(int descriptor);

class ConnectionGuard {
 public:
  struct Limits {
    // Bytes of one message: a frame, and what the transport adds.
    std::size_t message = (std::size_t{1} << 20) + (std::size_t{64} << 10);
    std::size_t message_of_stranger = std::size_t{64} << 10;
    std::size_t strangers = 1024;  // at most a quarter of all descriptors
    // What the kernel takes of a stranger at a time; none: as much as of
    // others. For sockets on which strangers say little: TCP may stall while it
    // has more to send.
    std::optional<int> window_of_stranger;
    // A stranger is told to go after this long; none: never.
    std::optional<std::chrono::seconds> patience;
    // Messages that libzmq may hold until they are taken off the socket.
    std::size_t queued = kReceiveQueue;
  };
  struct Calls {
    // The owner is to take all that is there off the socket, between
    // begin_drain() and end_drain(). From the guard's thread.
    std::function<void()> drain;
    // A connection is closed, of which frames may still be there to be taken.
    // From the guard's thread.
    std::function<void(int descriptor, std::uint64_t cookie)> closed;
    // A connection from `address` is cut, and why. From the guard's thread.
    std::function<void(const std::string& address, const std::string& why)>
        complain;
    // Whether connections must prove that they have a key: then who breaks off
    // before is complained of, too.
    bool wants_keys = false;
  };

  // Watches the connections that `socket` accepts from now on: make it before
  // the socket is bound, destroy it before the socket is closed. Throws
  // zmq::error_t or std::system_error when there are no descriptors or threads
  // for it.
  ConnectionGuard(zmq::context_t& context, zmq::socket_t& socket, Limits limits,
                  Calls calls);
  ~ConnectionGuard();
  ConnectionGuard(const ConnectionGuard&) = delete;
  ConnectionGuard& operator=(const ConnectionGuard&) = delete;

  void on_frame(int descriptor);  // one was taken off the socket
  // The connection is no stranger's.
  void trust(int descriptor);
  // Ends the connection; libzmq finds it closed by the other side. With its
  // socket_cookie() no other one that has the descriptor by now.
  void cut(int descriptor);
  void cut(int descriptor, std::uint64_t cookie);

  // Around taking everything off the socket; end_drain() only if nothing is
  // left there.
  void begin_drain();
  void end_drain();

  // Connections that were cut so far.
  std::uint64_t cuts() const;

 private:
  // What the owner tells of a connection.
  struct Told {
    std::uint64_t frames = 0;
    bool trusted = false;
  };
  // It looks as if a message were too long.
  struct Suspect {
    std::uint64_t received;  // bytes, when it began to
    std::uint64_t drain;     // after which it is certain; 0: none yet
  };
  struct Watched {
    std::uint64_t cookie = 0;
    std::string address;
    std::chrono::steady_clock::time_point since;
    std::uint64_t frames = 0;    // taken, as far as is known
    std::uint64_t received = 0;  // bytes, when that was learned
    std::optional<Suspect> suspect;
  };

  void watch();
  std::chrono::microseconds next_tick() const;
  bool is_trusted(std::uint64_t cookie) const;
  bool read_events();  // false once the monitor has stopped
  void on_handshake_failed(std::uint16_t kind, std::uint32_t value);
  void inspect();
  void inspect(int descriptor, Watched& watched, const Told& told,
               std::uint64_t drained);
  void limit_strangers(const std::unordered_map<std::uint64_t, Told>& told);
  void complain_and_cut(int descriptor, const Watched& watched,
                        const std::string& why);

  zmq::socket_t& socket_;
  Limits limits_;
  const Calls calls_;
  zmq::socket_t monitor_;           // the thread's, once it runs
  std::map<int, Watched> watched_;  // likewise
  std::size_t strangers_ = 0;       // of them; likewise
  // Why the handshake failed of which the connection is about to be closed;
  // likewise. Empty: no reason to tell.
  std::string handshake_;

  mutable std::mutex mutex_;                      // of what follows
  std::unordered_map<std::uint64_t, Told> told_;  // by socket_cookie()
  std::uint64_t drain_wanted_ = 0;
  std::uint64_t drain_begun_ = 0;
  std::uint64_t drain_done_ = 0;
  std::uint64_t cuts_ = 0;

  std::thread thread_;
};

}  // namespace mdgan
