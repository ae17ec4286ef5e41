// What a peer that says hello starts with.
#include "server/core/start_choice.h"

#include <algorithm>
#include <vector>

#include "tests/support/catch.h"

namespace mdgan::test {

using protocol::Held;
using protocol::Start;

namespace {

const RunId kThisRun{std::byte{1}};
const RunId kOther{std::byte{2}};

struct Member {
  protocol::Hello hello;
  RunAtHello at{kThisRun, {20}, false, {7}};
  std::vector<std::uint64_t> taken{};  // by others

  StartChoice choice() const {
    return choose_start(hello, at, [this](const Held& offer) {
      return std::ranges::find(taken, offer.discriminator.value) == taken.end();
    });
  }
};

}  // namespace

TEST_CASE("before a round has begun a run goes back to its checkpoint") {
  Member p;
  p.hello.held = {kThisRun, {27}, {7}};
  p.hello.saved = {
      {kThisRun, {10}, {7}}, {kThisRun, {20}, {7}}, {kThisRun, {25}, {8}}};
  const StartChoice choice = p.choice();
  CHECK(choice.start == Start::kRestore);
  CHECK(choice.restore == Round{20});
  CHECK(choice.discriminator == DiscriminatorId{7});
  CHECK(choice.exact);
}

TEST_CASE("in a run that goes on a peer keeps its own, and only its own") {
  Member p;
  p.at.begun = true;
  p.hello.saved = {{kThisRun, {10}, {7}}, {kThisRun, {20}, {7}}};
  SECTION("in use") {
    p.hello.held = {kThisRun, {27}, {7}};
    CHECK(p.choice().start == Start::kKeep);
  }
  SECTION("what it has in use is another's since a swap that it missed") {
    p.hello.held = {kThisRun, {27}, {8}};
    p.hello.saved.push_back({kThisRun, {25}, {7}});  // it was staged
    p.at.completed = {30};
    CHECK(p.choice().start == Start::kRestore);
    CHECK(p.choice().restore == Round{25});
  }
  SECTION("a later one of a past that was rewound is not taken") {
    p.hello.saved.push_back({kThisRun, {40}, {7}});
    CHECK(p.choice().restore == Round{20});
    CHECK_FALSE(p.choice().exact);
  }
}

TEST_CASE("a peer finds its own past among those of other runs") {
  Member p;
  p.hello.saved = {
      {kOther, {20}, {7}}, {kThisRun, {20}, {7}}, {kOther, {90}, {9}}};
  CHECK(p.choice().start == Start::kRestore);
  CHECK(p.choice().exact);
  p.hello.saved = {{kOther, {20}, {7}}};
  CHECK(p.choice().start == Start::kReceive);
  p.hello.held = {kOther, {20}, {7}};
  CHECK(p.choice().start == Start::kReceive);
}

TEST_CASE("a peer without its own takes what nobody else has, or a copy") {
  Member p;
  p.hello.held = {kThisRun, {27}, {8}};
  p.hello.saved = {{kThisRun, {25}, {9}}};
  CHECK(p.choice().start == Start::kKeep);
  CHECK(p.choice().discriminator == DiscriminatorId{8});
  p.taken = {8};
  CHECK(p.choice().start == Start::kRestore);
  CHECK(p.choice().discriminator == DiscriminatorId{9});
  p.taken = {8, 9};
  CHECK(p.choice().start == Start::kReceive);
  CHECK(p.choice().discriminator == DiscriminatorId{0});
}

TEST_CASE("an offer without a name is none") {
  Member p;
  p.hello.held = {kThisRun, {27}, {0}};
  p.hello.saved = {{kThisRun, {20}, {0}}};
  CHECK(p.choice().start == Start::kReceive);
}

}  // namespace mdgan::test
