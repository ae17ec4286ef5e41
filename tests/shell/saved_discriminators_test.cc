// What a peer finds of its own on its disk.
#include "peer/io/saved_discriminators.h"

#include <cstddef>
#include <filesystem>
#include <string>

#include "protocol/limits.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

TEST_CASE("more runs than a hello can offer are told of") {
  const TemporaryDirectory state;
  const SavedDiscriminators saved(state.path(), "a", 0);
  const auto run = [&](std::size_t number) {
    std::string hex = std::to_string(number);
    hex.insert(0, 2 * RunId{}.size() - hex.size(), '0');
    std::filesystem::create_directory(state / hex);
  };
  std::filesystem::create_directory(state / "no run");
  CHECK(saved.warning_of_many_runs().empty());
  for (std::size_t i = 0; i < protocol::kMaxOffers; ++i) run(i);
  CHECK(saved.warning_of_many_runs().empty());
  run(protocol::kMaxOffers);
  CHECK(contains(saved.warning_of_many_runs(),
                 {state.path().string(), "49 runs", "those of 48",
                  "fresh discriminator", "Remove"}));
}

}  // namespace mdgan::test
