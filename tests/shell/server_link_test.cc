// A peer's link to its server, where nobody listens.
#include "peer/io/server_link.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/link.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("fault 7: tries to connect come apart, each peer's at its own time") {
  zmq::context_t context;
  // A port on which nobody listens, and on which nobody else can begin to.
  zmq::socket_t taken(context, zmq::socket_type::router);
  taken.bind("tcp://127.0.0.1:*");
  const std::string endpoint = taken.get(zmq::sockopt::last_endpoint);
  taken.unbind(endpoint);

  ServerLink link(context, endpoint, {});
  TimePoint now{1h};
  REQUIRE(link.open(now).ok());
  std::vector<Duration> waits;
  // Time goes on only where the link waits; a refusal takes what it takes.
  REQUIRE(eventually([&] {
    CHECK_FALSE(link.advance(now));
    const Duration wait = link.next_deadline() - now;
    const bool refused = wait > 0s && wait <= 2s;  // a try may take longer
    if (refused) {
      waits.push_back(wait);
      now += wait;
    }
    return waits.size() == 20;
  }));
  Duration longest = 100ms;
  for (const Duration wait : waits) {
    CHECK(wait <= longest);
    CHECK(wait >= longest / 2);
    longest = std::min<Duration>(2 * longest, 2s);
  }
  CHECK(std::set(waits.begin() + 5, waits.end()).size() > 1);
}

}  // namespace mdgan::test
