#include "common/net/guard_calls.h"

#include <string>

#include "common/base/time.h"

namespace mdgan {

ConnectionGuard::Calls guard_calls(
    Mailbox& mailbox, std::vector<std::pair<int, std::uint64_t>>& closed,
    Complaints& complaints) {
  ConnectionGuard::Calls calls;
  calls.drain = [&mailbox] { mailbox.post([] {}); };
  calls.closed = [&mailbox, &closed](int descriptor, std::uint64_t cookie) {
    mailbox.post([&closed, descriptor, cookie] {
      closed.emplace_back(descriptor, cookie);
    });
  };
  calls.complain = [&mailbox, &complaints](const std::string& address,
                                           const std::string& why) {
    mailbox.post([&complaints, address, why] {
      complaints.warn(address, "its connection is closed: " + why,
                      Clock::now());
    });
  };
  return calls;
}

}  // namespace mdgan
