// The one thread of a process that libzmq asks whom to let in (zap_decision.h).
//
// Threads: one of its own; all members may be called from any.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "common/base/ids.h"
#include "common/net/zap_decision.h"

namespace mdgan {

class ZapHandler {
 public:
  // Tells of somebody who was not let in. From the handler's thread.
  using Refused =
      std::function<void(const std::string& address, const PublicKey& key)>;

  // Make it before the sockets that ask it, and at most one for a context.
  // Throws zmq::error_t or std::system_error.
  explicit ZapHandler(zmq::context_t& context);
  ~ZapHandler();
  ZapHandler(const ZapHandler&) = delete;
  ZapHandler& operator=(const ZapHandler&) = delete;

  // Sets which keys the domain lets in from now on, and who is told of others.
  // Connections that are there stay.
  void set(const std::string& name, ZapDomain domain, Refused refused = {});
  // The same for a domain that is there, whose `refused` stays.
  void update(const std::string& name, ZapDomain domain);
  // Lets one more in.
  void admit(const std::string& domain, const PublicKey& key,
             const std::string& name);
  // Lets it in no more. Connections that are there stay.
  void withdraw(const std::string& domain, const PublicKey& key);
  // Nobody is let in any more, and nobody told: returns when the last call of
  // its `refused` is over.
  void remove(const std::string& domain);

 private:
  // A request with the envelope of its way back.
  struct Request {
    std::vector<std::string> envelope;
    std::vector<std::string> frames;
  };

  void serve();
  void wake();
  std::optional<Request> take();
  // False: it has to wait. REQUIRES: mutex_ is held.
  bool answer(const Request& request);

  zmq::socket_t socket_;        // the thread's, once it runs
  std::list<Request> waiting_;  // likewise; the oldest first
  int woken_ = -1;              // an eventfd
  std::mutex mutex_;            // of what follows
  bool stopping_ = false;
  ZapDomains domains_;
  std::map<std::string, Refused> refused_;
  std::thread thread_;
};

}  // namespace mdgan
