// What is remembered of links that failed.
#include "server/core/link_memory.h"

#include "tests/support/catch.h"

namespace mdgan::test {

using namespace std::chrono_literals;

TEST_CASE("a pair that needs the relay is tried again once one has moved") {
  LinkMemory links;
  links.use_relay({1}, {2}, true);
  links.worked({1}, {2}, /*directly=*/false);
  CHECK(links.needs_relay({1}, {2}));
  CHECK_FALSE(links.needs_relay({2}, {1}));
  CHECK_FALSE(links.avoided({1}, {2}, TimePoint{1h}));
  links.forget({2});
  CHECK_FALSE(links.needs_relay({1}, {2}));
}

TEST_CASE("fault 43: whom two cannot reach, and none has, gets all by relay") {
  LinkMemory links;
  links.use_relay({1}, {2}, true);
  links.use_relay({1}, {2}, true);
  links.use_relay({6}, {2}, false);
  CHECK_FALSE(links.needs_relay({3}, {2}));  // it may be peer 1 that hangs
  links.use_relay({3}, {2}, true);
  CHECK(links.needs_relay({4}, {2}));
  CHECK_FALSE(links.needs_relay({2}, {4}));
  SECTION("until one of them gets through") {
    links.worked({5}, {2}, /*directly=*/false);
    CHECK(links.needs_relay({4}, {2}));
    links.worked({5}, {2}, /*directly=*/true);
    CHECK_FALSE(links.needs_relay({4}, {2}));
    CHECK(links.needs_relay({1}, {2}));
    links.use_relay({6}, {2}, true);
    CHECK_FALSE(links.needs_relay({4}, {2}));
  }
  SECTION("until it listens elsewhere") {
    links.forget({2});
    CHECK_FALSE(links.needs_relay({4}, {2}));
  }
  SECTION("while both are there who tried") {
    links.forget({3});
    CHECK_FALSE(links.needs_relay({4}, {2}));
    links.use_relay({4}, {2}, true);
    CHECK(links.needs_relay({5}, {2}));
  }
}

}  // namespace mdgan::test
