#include "common/net/zap_handler.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <system_error>
#include <utility>

#include "common/net/address.h"

namespace mdgan {
namespace {

// Requests that may wait. Of more the oldest is forgotten: its client connects
// again when its handshake has taken too long.
constexpr std::size_t kMostWaiting = 1024;

}  // namespace

ZapHandler::ZapHandler(zmq::context_t& context)
    : socket_(context, zmq::socket_type::router),
      woken_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (woken_ < 0)
    throw std::system_error(errno, std::generic_category(), "eventfd");
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind("inproc://zeromq.zap.01");
  thread_ = std::thread([this] { serve(); });
}

ZapHandler::~ZapHandler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
  ::close(woken_);
}

void ZapHandler::wake() {
  const std::uint64_t one = 1;
  (void)!::write(woken_, &one, sizeof one);
}

void ZapHandler::set(const std::string& name, ZapDomain domain,
                     Refused refused) {
  {
    const std::lock_guard lock(mutex_);
    domains_[name] = std::move(domain);
    refused_[name] = std::move(refused);
  }
  wake();
}

void ZapHandler::update(const std::string& name, ZapDomain domain) {
  {
    const std::lock_guard lock(mutex_);
    domains_[name] = std::move(domain);
  }
  wake();
}

void ZapHandler::admit(const std::string& domain, const PublicKey& key,
                       const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    domains_[domain].admitted[key] = name;
  }
  wake();
}

void ZapHandler::withdraw(const std::string& domain, const PublicKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = domains_.find(domain);
  if (found != domains_.end()) found->second.admitted.erase(key);
}

void ZapHandler::remove(const std::string& domain) {
  const std::lock_guard lock(mutex_);
  domains_.erase(domain);
  refused_.erase(domain);
}

void ZapHandler::serve() {
  try {
    while (true) {
      zmq::pollitem_t items[] = {{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                 {nullptr, woken_, ZMQ_POLLIN, 0}};
      try {
        zmq::poll(items, 2, std::chrono::milliseconds(-1));
      } catch (const zmq::error_t& e) {
        if (e.num() != EINTR) throw;
        continue;
      }
      if (items[1].revents != 0) {
        std::uint64_t count = 0;
        (void)!::read(woken_, &count, sizeof count);
        const std::lock_guard lock(mutex_);
        if (stopping_) break;
        waiting_.remove_if(
            [&](const Request& request) { return answer(request); });
      }
      if (items[0].revents == 0) continue;
      if (auto request = take()) {
        const std::lock_guard lock(mutex_);
        if (!answer(*request)) waiting_.push_back(std::move(*request));
        if (waiting_.size() > kMostWaiting) waiting_.pop_front();
      }
    }
  } catch (const zmq::error_t&) {
    // The context has been terminated: nobody asks any more.
  }
  socket_.close();
}

std::optional<ZapHandler::Request> ZapHandler::take() {
  Request request;
  bool in_envelope = true;
  bool more = true;
  while (more) {
    zmq::message_t frame;
    if (!socket_.recv(frame, zmq::recv_flags::none)) return std::nullopt;
    (in_envelope ? request.envelope : request.frames)
        .push_back(frame.to_string());
    if (frame.size() == 0) in_envelope = false;  // the delimiter ends it
    more = frame.more();
  }
  return request;
}

bool ZapHandler::answer(const Request& request) {
  const ZapReply reply = decide(request.frames, domains_);
  if (reply.status == ZapStatus::kNotYet) return false;
  const std::string status = std::to_string(static_cast<int>(reply.status));
  for (const std::string& frame : request.envelope)
    (void)socket_.send(zmq::buffer(frame), zmq::send_flags::sndmore);
  (void)socket_.send(zmq::str_buffer("1.0"), zmq::send_flags::sndmore);
  const std::string* const frames[] = {&reply.request_id, &status, &reply.text,
                                       &reply.user, &reply.metadata};
  for (const std::string* frame : frames)
    (void)socket_.send(zmq::buffer(*frame), frame == &reply.metadata
                                                ? zmq::send_flags::none
                                                : zmq::send_flags::sndmore);
  if (reply.status == ZapStatus::kAdmitted || !reply.key) return true;
  const auto told = refused_.find(reply.domain);
  if (told != refused_.end() && told->second)
    told->second(plain_ipv4(reply.address), *reply.key);
  return true;
}

}  // namespace mdgan
