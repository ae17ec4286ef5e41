#include "common/net/zap_handler.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include "common/net/address.h"

namespace mdgan {

ZapHandler::ZapHandler(zmq::context_t& context)
    : socket_(context, zmq::socket_type::rep),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (stop_ < 0)
    throw std::system_error(errno, std::generic_category(), "eventfd");
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind("inproc://zeromq.zap.01");
  thread_ = std::thread([this] { serve(); });
}

ZapHandler::~ZapHandler() {
  const std::uint64_t one = 1;
  (void)!::write(stop_, &one, sizeof one);
  thread_.join();
  ::close(stop_);
}

void ZapHandler::set(const std::string& name, ZapDomain domain,
                     Refused refused) {
  const std::lock_guard lock(mutex_);
  domains_[name] = std::move(domain);
  refused_[name] = std::move(refused);
}

void ZapHandler::update(const std::string& name, ZapDomain domain) {
  const std::lock_guard lock(mutex_);
  domains_[name] = std::move(domain);
}

void ZapHandler::admit(const std::string& domain, const PublicKey& key,
                       const std::string& name) {
  const std::lock_guard lock(mutex_);
  domains_[domain].admitted[key] = name;
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
                                 {nullptr, stop_, ZMQ_POLLIN, 0}};
      try {
        zmq::poll(items, 2, std::chrono::milliseconds(-1));
      } catch (const zmq::error_t& e) {
        if (e.num() != EINTR) throw;
      }
      if (items[1].revents != 0) break;
      if (items[0].revents != 0) answer();
    }
  } catch (const zmq::error_t&) {
    // The context has been terminated: nobody asks any more.
  }
  socket_.close();
}

void ZapHandler::answer() {
  std::vector<std::string> request;
  bool more = true;
  while (more) {
    zmq::message_t frame;
    if (!socket_.recv(frame, zmq::recv_flags::none)) return;
    request.push_back(frame.to_string());
    more = frame.more();
  }
  const std::lock_guard lock(mutex_);
  const ZapReply reply = decide(request, domains_);
  const std::string status = std::to_string(static_cast<int>(reply.status));
  const std::string* const frames[] = {&reply.request_id, &status, &reply.text,
                                       &reply.user, &reply.metadata};
  (void)socket_.send(zmq::str_buffer("1.0"), zmq::send_flags::sndmore);
  for (const std::string* frame : frames)
    (void)socket_.send(zmq::buffer(*frame), frame == &reply.metadata
                                                ? zmq::send_flags::none
                                                : zmq::send_flags::sndmore);
  if (reply.status == ZapStatus::kAdmitted || !reply.key) return;
  const auto told = refused_.find(reply.domain);
  if (told != refused_.end() && told->second)
    told->second(plain_ipv4(reply.address), *reply.key);
}

}  // namespace mdgan
