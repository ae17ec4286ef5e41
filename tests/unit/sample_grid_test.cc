#include "server/run/sample_grid.h"

#include "tests/support/catch.h"

namespace mdgan::test {

TEST_CASE("a grid has a class a column where they are few") {
  using Names = std::vector<std::string>;
  const auto columns = [](std::uint32_t preferred, const Names& names) {
    return sample_grid(preferred, names).columns;
  };
  CHECK(sample_grid(10, Names{"cat", "dog", "fox"}).names ==
        Names{"cat", "dog", "fox", "cat", "dog", "fox", "cat", "dog", "fox"});
  CHECK(columns(10, Names(10, "a")) == 10);
  CHECK(columns(10, Names(26, "a")) == 26);
  for (const Names& names : {Names{}, Names{"one"}, Names(31, "a")}) {
    CHECK(columns(10, names) == 10);
    CHECK(sample_grid(10, names).names.empty());
  }
}

}  // namespace mdgan::test
