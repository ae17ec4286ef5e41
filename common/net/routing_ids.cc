#include "common/net/routing_ids.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace mdgan {

void seed_routing_ids() {
  unsigned seed = 0;
  ssize_t got = 0;
  do {
    got = ::getrandom(&seed, sizeof seed, 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof seed))
    throw std::system_error(errno, std::generic_category(),
                            "the kernel gives no random numbers");
  std::srand(seed);
}

}  // namespace mdgan
