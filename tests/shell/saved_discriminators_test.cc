// What a peer finds of its own on its disk.
#include "peer/io/saved_discriminators.h"

#include <cstddef>
#include <filesystem>
#include <vector>

#include "protocol/limits.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

TEST_CASE("more runs than a hello can offer are told of") {
  const TemporaryDirectory folder;
  const SavedDiscriminators saved(folder.path(), "a", 0);
  PeerState state;
  state.parameters = constant_floats({2}, 1);
  const auto save_run = [&](std::size_t number) {
    RunId run{};
    run[0] = static_cast<std::byte>(number);
    REQUIRE(saved.save({run, {1}, {7}}, state, {}, {}));
  };
  std::filesystem::create_directory(folder / "no run");
  CHECK(saved.warning_of_many_runs().empty());
  for (std::size_t i = 0; i < protocol::kMaxOffers; ++i) save_run(i);
  std::filesystem::create_directory(folder /
                                    "ff000000000000000000000000000000");
  CHECK(saved.warning_of_many_runs().empty());
  CHECK(saved.offers().size() == protocol::kMaxOffers);
  save_run(protocol::kMaxOffers);
  CHECK(contains(saved.warning_of_many_runs(),
                 {folder.path().string(), "49 runs", "those of 48",
                  "fresh discriminator", "Remove"}));
  CHECK(saved.offers().size() == protocol::kMaxOffers);
}

}  // namespace mdgan::test
