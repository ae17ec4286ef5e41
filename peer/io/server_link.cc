#include "peer/io/server_link.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "common/base/transition.h"
#include "common/files/hash.h"
#include "common/net/address.h"
#include "protocol/codec.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// After all addresses were tried: this long, then twice as long each time, up
// to the longest. The server's return is to be noticed within 3 s.
constexpr Duration kFirstWait = 100ms;
constexpr Duration kLongestWait = 2s;
// A connection is made by then, or libzmq has given it up.
constexpr Duration kConnectTimeout = 12s;
constexpr Duration kLookAgain = 50ms;
// A handshake that is refused ends within this time.
constexpr Duration kPrompt = 5s;
constexpr auto kProbeTime = 3s;

// Half of it at least, so that peers that lost their server together do not
// come back together.
Duration with_jitter(Duration wait) {
  return wait / 2 +
         Duration(static_cast<Duration::rep>(
             random_number() % static_cast<std::uint64_t>(wait.count() / 2)));
}

std::string monitor_name() {
  static std::atomic<unsigned> number = 0;
  return "inproc://mdgan-server-link-" + std::to_string(++number);
}

}  // namespace

struct ServerLink::Resolution {
  std::mutex mutex;
  std::optional<Result<std::vector<Endpoint>>> addresses;
};

struct ServerLink::Probe {
  std::mutex mutex;
  std::optional<std::string> mechanism;
};

ServerLink::ServerLink(zmq::context_t& context, std::string endpoint,
                       Receiver::Wanted wanted, std::optional<ClientKeys> keys)
    : context_(context),
      endpoint_(std::move(endpoint)),
      wanted_(std::move(wanted)),
      keys_(std::move(keys)) {
  failures_.has_keys = keys_.has_value();
  if (keys_) failures_.own_key = to_z85(keys_->own.public_key);
}

ServerLink::~ServerLink() {
  if (socket_) (void)zmq_socket_monitor(socket_->handle(), nullptr, 0);
}

void ServerLink::enter(State next, const char* why) {
  using enum State;
  static constexpr std::pair<State, State> kLegal[]{
      {kResolving, kResolving},  // open()
      {kResolving, kConnecting},  {kResolving, kWaiting},
      {kConnecting, kConnecting},  // the next address
      {kConnecting, kConnected},  {kConnecting, kWaiting},
      {kWaiting, kResolving},     {kConnected, kWaiting},
      {kConnected, kResolving},   // restart()
      {kConnected, kConnecting},  // restart() within the process
  };
  static constexpr std::pair<State, std::string_view> kNames[]{
      {kResolving, "resolving"},
      {kWaiting, "waiting"},
      {kConnecting, "connecting"},
      {kConnected, "connected"},
  };
  transition<State>(state_, next, why, kLegal, kNames);
}

void ServerLink::make_socket() {
  if (socket_) (void)zmq_socket_monitor(socket_->handle(), nullptr, 0);
  socket_ = make_dealer(context_, takes_long_frames(endpoint_));
  if (keys_) use_keys(*socket_, *keys_);
  receiver_ = Receiver(wanted_);
  monitor_.emplace(context_, zmq::socket_type::pair);
  const std::string name = monitor_name();
  if (zmq_socket_monitor(socket_->handle(), name.c_str(),
                         ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_CLOSED |
                             ZMQ_EVENT_DISCONNECTED |
                             ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                             ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                             ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0)
    throw zmq::error_t();
  monitor_->connect(name);
}

Result<void> ServerLink::open(TimePoint now) {
  make_socket();
  if (endpoint_.starts_with("tcp:")) {
    auto parsed = parse_endpoint(endpoint_, "server");
    if (!parsed) return parsed.error();
    parsed_ = *parsed;
    resolve(now);
    return {};
  }
  enter(State::kConnecting, "the link is opened within the process");
  due_ = now;
  return connect(*socket_, endpoint_);
}

void ServerLink::restart(TimePoint now) {
  tries_ = rounds_ = 0;
  if (parsed_) {
    resolve(now);
    return;
  }
  make_socket();
  enter(State::kConnecting, "the link is made anew within the process");
  due_ = now;
  (void)connect(*socket_, endpoint_);
}

// --- the course of a connection ----------------------------------------------

void ServerLink::resolve(TimePoint now) {
  enter(State::kResolving, "addresses are looked up");
  due_ = now;
  addresses_.clear();
  resolution_ = std::make_shared<Resolution>();
  if (is_address(parsed_->host)) {
    resolution_->addresses = std::vector{*parsed_};
    return;
  }
  // The name service may keep it for a minute, and the process may end before.
  try {
    std::thread([shared = resolution_, endpoint = *parsed_] {
      auto addresses = mdgan::resolve(endpoint);
      const std::lock_guard lock(shared->mutex);
      shared->addresses = std::move(addresses);
    }).detach();
  } catch (const std::system_error& e) {
    resolution_->addresses =
        Error{std::string("no thread to look up the server with: ") + e.what(),
              ExitCode::kUnreachable};
  }
}

void ServerLink::on_resolved(TimePoint now) {
  std::optional<Result<std::vector<Endpoint>>> done;
  {
    const std::lock_guard lock(resolution_->mutex);
    done.swap(resolution_->addresses);
  }
  if (!done) {
    due_ = now + kLookAgain;
    return;
  }
  resolution_.reset();
  if (*done) {
    addresses_ = std::move(**done);
    next_address_ = 0;
    told_.clear();
    try_next(now);
    return;
  }
  ++tries_;
  const std::string& why = done->error().message;
  if (why != told_)
    spdlog::warn("{}; is the name in {} right? Trying again", why, endpoint_);
  told_ = why;
  wait(now);
}

void ServerLink::try_next(TimePoint now) {
  if (next_address_ == addresses_.size()) {
    wait(now);
    return;
  }
  const Endpoint& address = addresses_[next_address_++];
  ++tries_;
  make_socket();
  enter(State::kConnecting, "an address is tried");
  try_begun_ = now;
  handshake_failed_ = false;
  due_ = now + kConnectTimeout;
  if (const auto begun = connect(*socket_, address.text()); !begun) {
    spdlog::warn("{}", begun.error().message);
    due_ = now;
  }
}

void ServerLink::wait(TimePoint now) {
  Duration longest = kFirstWait;
  for (std::uint64_t i = 0; i < rounds_ && longest < kLongestWait; ++i)
    longest *= 2;
  ++rounds_;
  // Once for all addresses: what counts is for how long it is refused.
  if (std::exchange(key_refused_, false)) ++failures_.key_refusals;
  enter(State::kWaiting, "all addresses were tried, or the link is lost");
  due_ = now + with_jitter(std::min(longest, kLongestWait));
}

void ServerLink::read_events(bool& made, bool& lost) {
  bool failed = false;
  zmq::message_t event;
  zmq::message_t address;
  while (monitor_->recv(event, zmq::recv_flags::dontwait)) {
    const bool more = event.more();
    std::uint16_t kind = 0;
    if (event.size() >= sizeof kind)
      std::memcpy(&kind, event.data<char>(), sizeof kind);
    if (more) (void)monitor_->recv(address, zmq::recv_flags::none);
    if (kind == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) made = true;
    if (kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) key_refused_ = lost = true;
    if (kind == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL ||
        kind == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
      failed = true;
    if (kind == ZMQ_EVENT_CLOSED || kind == ZMQ_EVENT_DISCONNECTED) lost = true;
  }
  if (failed && !std::exchange(handshake_failed_, true))
    on_handshake_failed();
  else if (lost && !handshake_failed_)
    failures_.in_a_row = 0;
}

// A server that hangs, or an address behind which nobody is, breaks a handshake
// off only after a while: that says nothing of keys.
void ServerLink::on_handshake_failed() {
  if (!parsed_ || Clock::now() - try_begun_ > kPrompt) return;
  ++failures_.in_a_row;
  if (probe_ || next_address_ == 0 || next_address_ > addresses_.size()) return;
  probe_ = std::make_shared<Probe>();
  try {
    std::thread([shared = probe_, address = addresses_[next_address_ - 1]] {
      const std::string mechanism = mechanism_at(address, kProbeTime);
      const std::lock_guard lock(shared->mutex);
      shared->mechanism = mechanism;
    }).detach();
  } catch (const std::system_error&) {
    probe_.reset();  // the next failure has its own
  }
}

void ServerLink::look_at_probe() {
  if (!probe_) return;
  {
    const std::lock_guard lock(probe_->mutex);
    if (!probe_->mechanism) return;
    failures_.mechanism = *probe_->mechanism;
  }
  probe_.reset();
}

std::optional<Error> ServerLink::refusal() const {
  HandshakeFailures failures = failures_;
  failures.server = text();
  return reason_of(failures);
}

std::optional<Error> ServerLink::key_refusal() const {
  if (!key_refused()) return std::nullopt;
  HandshakeFailures failures = failures_;
  failures.server = text();
  return refused_key(failures);
}

bool ServerLink::advance(TimePoint now) {
  bool made = false;
  bool lost = false;
  read_events(made, lost);
  look_at_probe();
  if (made) {
    failures_.in_a_row = failures_.key_refusals = 0;
    key_refused_ = false;
  }
  if (!parsed_) {  // within the process there is nothing to wait for
    due_ = now + 1h;
    if (connected()) return false;
    enter(State::kConnected, "within the process");
    return true;
  }
  if (lost && state_ == State::kConnected) {
    tries_ = rounds_ = 0;
    wait(now);  // meanwhile what has arrived is read
  } else if (lost && state_ == State::kConnecting) {
    try_next(now);
  } else if (made && state_ == State::kConnecting) {
    enter(State::kConnected, "the handshake succeeded");
    due_ = now + 1h;
    return true;
  } else if (now >= due_) {
    switch (state_) {
      case State::kResolving:
        on_resolved(now);
        break;
      case State::kWaiting:
        resolve(now);
        break;
      case State::kConnecting:
        try_next(now);
        break;
      case State::kConnected:
        due_ = now + 1h;
        break;
    }
  }
  return false;
}

// --- messages ----------------------------------------------------------------

std::string ServerLink::text() const {
  if (next_address_ == 0 || next_address_ > addresses_.size()) return endpoint_;
  const std::string tried = addresses_[next_address_ - 1].text();
  return tried == endpoint_ ? endpoint_ : endpoint_ + " (" + tried + ")";
}

Sent ServerLink::send(const protocol::Message& message, TensorFrames* frames) {
  if (!connected()) return Sent::kGone;
  MDGAN_CHECK(protocol::sent_by_peers(message.body));
  return mdgan::send(*socket_, "", message, frames,
                     &sent_[protocol::type_name(message.body)]);
}

bool ServerLink::take(std::optional<Received>& received) {
  return receiver_.take(*socket_, received);
}

void ServerLink::set_linger(int milliseconds) {
  socket_->set(zmq::sockopt::linger, milliseconds);
}

}  // namespace mdgan
