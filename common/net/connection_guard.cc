#include "common/net/connection_guard.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "common/base/descriptors.h"
#include "common/net/address.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// How often connections are looked at; less often where there are many, so that
// it costs a few percent of a core at most.
constexpr std::chrono::microseconds kTick = 10ms;
constexpr std::chrono::microseconds kTickOfStrangers = 2ms;
constexpr std::chrono::microseconds kTickOfSuspects = 1ms;
constexpr std::chrono::microseconds kTickOfConnection = 20us;
constexpr std::chrono::microseconds kLongestTick = 100ms;

constexpr const char* kEndless = "its message exceeds the size limit";

// Bytes that have come on a connection, whoever has them.
std::optional<std::uint64_t> bytes_received(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_received) + 8)
    return std::nullopt;
  return std::uint64_t{info.tcpi_bytes_received};
}

// Bytes of a connection that libzmq has read so far: more come while they are
// counted, so that there are two bounds.
struct BytesRead {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};

std::optional<BytesRead> bytes_read(int descriptor) {
  const auto before = bytes_received(descriptor);
  int unread = 0;
  if (!before || ::ioctl(descriptor, SIOCINQ, &unread) != 0)
    return std::nullopt;
  const auto after = bytes_received(descriptor);
  if (!after) return std::nullopt;
  const auto waiting = static_cast<std::uint64_t>(unread);
  return BytesRead{*before - std::min(*before, waiting),
                   *after - std::min(*after, waiting)};
}

constexpr int kLargestWindow = 1 << 30;  // no other limit than the kernel's own

// Slower than it could be is no fault.
void limit_window(int descriptor, int bytes) {
  (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_WINDOW_CLAMP, &bytes,
                     sizeof bytes);
}

// After shutdown() alone libzmq would go on reading what goes on coming.
void reset(int descriptor) {
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  if (::connect(descriptor, &nowhere, sizeof nowhere) != 0)
    (void)::shutdown(descriptor, SHUT_RDWR);
}

// Asks Linux to let this thread run soon after it wakes, where there are more
// threads than cores: what libzmq reads meanwhile is what memory it costs.
void take_short_turns() {
#if defined(SYS_sched_setattr)
  struct {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  } attributes{};
  attributes.size = sizeof attributes;
  attributes.policy = SCHED_OTHER;
  attributes.runtime = 100'000;  // ns, since Linux 6.12
  (void)::syscall(SYS_sched_setattr, 0, &attributes, 0);  // later is no fault
#endif
}

std::string peer_address(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &size) !=
      0)
    return "";
  return host_of(reinterpret_cast<const sockaddr*>(&address)).value_or("");
}

std::string monitor_name() {
  static std::atomic<unsigned> number = 0;
  return "inproc://mdgan-connections-" + std::to_string(++number);
}

}  // namespace

std::uint64_t socket_cookie(int descriptor) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0)
    return 0;
  return cookie;
}

ConnectionGuard::ConnectionGuard(zmq::context_t& context, zmq::socket_t& socket,
                                 Limits limits, Calls calls)
    : socket_(socket),
      limits_(limits),
      calls_(std::move(calls)),
      monitor_(context, zmq::socket_type::pair) {
  limits_.strangers = std::min(limits_.strangers, descriptor_limit() / 4);
  const std::string name = monitor_name();
  if (zmq_socket_monitor(socket.handle(), name.c_str(),
                         ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED |
                             ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                             ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                             ZMQ_EVENT_MONITOR_STOPPED) != 0)
    throw zmq::error_t();
  monitor_.connect(name);
  thread_ = std::thread([this] { watch(); });
}

ConnectionGuard::~ConnectionGuard() {
  // Ends the thread by the event that this causes.
  (void)zmq_socket_monitor(socket_.handle(), nullptr, 0);
  thread_.join();
}

// --- for the socket's owner --------------------------------------------------

void ConnectionGuard::on_frame(int descriptor) {
  const std::uint64_t cookie = socket_cookie(descriptor);
  if (cookie == 0) return;
  const std::lock_guard lock(mutex_);
  ++told_[cookie].frames;
}

void ConnectionGuard::trust(int descriptor) {
  const std::uint64_t cookie = socket_cookie(descriptor);
  if (cookie == 0) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(told_[cookie].trusted, true)) return;
  }
  if (limits_.window_of_stranger) limit_window(descriptor, kLargestWindow);
}

void ConnectionGuard::cut(int descriptor) {
  cut(descriptor, socket_cookie(descriptor));
}

void ConnectionGuard::cut(int descriptor, std::uint64_t cookie) {
  if (cookie == 0 || socket_cookie(descriptor) != cookie) return;
  reset(descriptor);
  const std::lock_guard lock(mutex_);
  ++cuts_;
}

void ConnectionGuard::begin_drain() {
  const std::lock_guard lock(mutex_);
  drain_begun_ = drain_wanted_;
}

void ConnectionGuard::end_drain() {
  const std::lock_guard lock(mutex_);
  drain_done_ = drain_begun_;
}

std::uint64_t ConnectionGuard::cuts() const {
  const std::lock_guard lock(mutex_);
  return cuts_;
}

// --- the thread --------------------------------------------------------------

void ConnectionGuard::watch() {
  take_short_turns();
  try {
    while (true) {
      const auto wait =
          watched_.empty()
              ? std::chrono::milliseconds(-1)
              : std::chrono::ceil<std::chrono::milliseconds>(next_tick());
      zmq::pollitem_t items[] = {{monitor_.handle(), 0, ZMQ_POLLIN, 0}};
      zmq::poll(items, 1, wait);
      if (!read_events()) return;
      inspect();
    }
  } catch (const zmq::error_t&) {
    // The context has been terminated: there are no connections any more.
  }
}

bool ConnectionGuard::read_events() {
  while (true) {
    zmq::message_t event;
    zmq::message_t address;
    if (!monitor_.recv(event, zmq::recv_flags::dontwait)) return true;
    if (event.more()) (void)monitor_.recv(address, zmq::recv_flags::none);
    if (event.size() < 6) continue;
    std::uint16_t kind = 0;
    std::int32_t descriptor = -1;
    std::memcpy(&kind, event.data<char>(), sizeof kind);
    std::memcpy(&descriptor, event.data<char>() + sizeof kind,
                sizeof descriptor);
    if (kind == ZMQ_EVENT_MONITOR_STOPPED) return false;
    if (kind == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL ||
        kind == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) {
      on_handshake_failed(kind, static_cast<std::uint32_t>(descriptor));
      continue;
    }
    const std::string why = std::exchange(handshake_, "");
    const std::uint64_t cookie = socket_cookie(descriptor);
    if (const auto known = watched_.find(descriptor); known != watched_.end()) {
      const std::uint64_t gone = known->second.cookie;
      // The event of an earlier connection was read so late that it was taken
      // for this one's: this one is watched already.
      if (kind == ZMQ_EVENT_ACCEPTED && gone == cookie) continue;
      if (!why.empty() && calls_.complain)
        calls_.complain(known->second.address, why);
      watched_.erase(known);
      {
        const std::lock_guard lock(mutex_);
        told_.erase(gone);
      }
      if (calls_.closed) calls_.closed(descriptor, gone);
    }
    if (kind != ZMQ_EVENT_ACCEPTED || cookie == 0) continue;
    if (limits_.window_of_stranger && !is_trusted(cookie))
      limit_window(descriptor, *limits_.window_of_stranger);
    ++strangers_;
    Watched watched;
    watched.cookie = cookie;
    watched.address = peer_address(descriptor);
    watched.since = Clock::now();
    watched_.emplace(descriptor, watched);
  }
}

// The event that the connection is closed is the next one.
void ConnectionGuard::on_handshake_failed(std::uint16_t kind,
                                          std::uint32_t value) {
  if (kind == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) {
    // A protocol error was told before, with its reason.
    if (handshake_.empty() && calls_.wants_keys)
      handshake_ =
          "it broke off before it proved a key: a peer without --key, or a "
          "stranger";
  } else if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) {
    handshake_ = calls_.wants_keys
                     ? "it has no key: a peer needs --key and --server-key here"
                     : "it asks for keys, and here are none: start both sides "
                       "with --key, or the peer without";
  } else if (value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC) {
    handshake_ =
        "it looks for another server: its --server-key is not this server's "
        "public key";
  }
}

std::chrono::microseconds ConnectionGuard::next_tick() const {
  if (std::ranges::any_of(watched_, [](const auto& entry) {
        return entry.second.suspect.has_value();
      }))
    return kTickOfSuspects;
  const auto shortest = strangers_ > 0 ? kTickOfStrangers : kTick;
  return std::clamp(kTickOfConnection * static_cast<long>(watched_.size()),
                    shortest, kLongestTick);
}

bool ConnectionGuard::is_trusted(std::uint64_t cookie) const {
  const std::lock_guard lock(mutex_);
  const auto told = told_.find(cookie);
  return told != told_.end() && told->second.trusted;
}

void ConnectionGuard::inspect() {
  std::unordered_map<std::uint64_t, Told> told;
  std::uint64_t drained = 0;
  {
    // Both at once: what the last drain took is counted in `told`.
    const std::lock_guard lock(mutex_);
    told = told_;
    drained = drain_done_;
  }
  for (auto& [descriptor, watched] : watched_)
    inspect(descriptor, watched, told[watched.cookie], drained);
  limit_strangers(told);
}

void ConnectionGuard::inspect(int descriptor, Watched& watched,
                              const Told& told, std::uint64_t drained) {
  const std::size_t most =
      told.trusted ? limits_.message : limits_.message_of_stranger;
  std::optional<Suspect>& suspect = watched.suspect;
  // Most connections are idle: one look at each has to do.
  if (watched.frames == told.frames) {
    const auto received = bytes_received(descriptor);
    if (!received) return;
    if (*received <= watched.received + most) {
      suspect.reset();
      return;
    }
  }
  const auto read = bytes_read(descriptor);
  if (!read) return;
  if (watched.frames != told.frames) {
    watched.frames = told.frames;
    watched.received = read->most;
    suspect.reset();
    return;
  }
  if (read->least <= watched.received + most) {
    suspect.reset();
    return;
  }
  const bool longer_than_any_queue =
      read->least > watched.received + most * (limits_.queued + 2);
  const bool drained_in_vain =
      suspect && suspect->drain > 0 && drained >= suspect->drain;
  if (longer_than_any_queue || drained_in_vain) {
    complain_and_cut(descriptor, watched, kEndless);
  } else if (!suspect) {
    suspect = Suspect{read->most, 0};
  } else if (suspect->drain == 0 && read->least > suspect->received + most) {
    // Whole messages may wait for the owner to take them. He is asked to when
    // libzmq's thread has read on, since it then has passed on what it had.
    {
      const std::lock_guard lock(mutex_);
      suspect->drain = ++drain_wanted_;
    }
    calls_.drain();
  }
}

void ConnectionGuard::limit_strangers(
    const std::unordered_map<std::uint64_t, Told>& told) {
  std::vector<std::pair<Clock::time_point, int>> strangers;
  for (const auto& [descriptor, watched] : watched_) {
    const auto known = told.find(watched.cookie);
    if (known == told.end() || !known->second.trusted)
      strangers.emplace_back(watched.since, descriptor);
  }
  const auto now = Clock::now();
  std::ranges::sort(strangers);
  strangers_ = strangers.size();
  for (std::size_t i = 0; i < strangers.size(); ++i) {
    const auto [since, descriptor] = strangers[i];
    const bool too_long = limits_.patience && now - since > *limits_.patience;
    if (!too_long && strangers.size() - i <= limits_.strangers) return;
    Watched& watched = watched_.at(descriptor);
    complain_and_cut(descriptor, watched,
                     too_long ? "it sent no hello in time"
                              : "too many connections have sent nothing valid");
    watched.since = now;  // until libzmq has noticed
  }
}

void ConnectionGuard::complain_and_cut(int descriptor, const Watched& watched,
                                       const std::string& why) {
  if (calls_.complain) calls_.complain(watched.address, why);
  cut(descriptor, watched.cookie);
}

}  // namespace mdgan
