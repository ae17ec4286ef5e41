#include "common/base/words.h"

#include <limits>

#include "tests/support/catch.h"

namespace mdgan::test {

TEST_CASE("numbers read as a person writes them") {
  CHECK(count_words(0) == "0");
  CHECK(count_words(999) == "999");
  CHECK(count_words(12400) == "12,400");
  CHECK(count_words(std::numeric_limits<std::uint64_t>::max()) ==
        "18,446,744,073,709,551,615");
  CHECK(duration_words(0.4) == "0 s");
  CHECK(duration_words(59.6) == "1 min");
  CHECK(duration_words(200) == "3 min 20 s");
  CHECK(duration_words(2 * 3600 + 600) == "2 h 10 min");
  CHECK(duration_words(76 * 3600) == "3 d 4 h");
  CHECK(duration_words(-1) == "?");
  CHECK(duration_words(std::numeric_limits<double>::infinity()) == "?");
  CHECK(bytes_words(512) == "512 B");
  CHECK(bytes_words(1536) == "1.5 KiB");
  CHECK(plural(1, "peer") == "1 peer");
  CHECK(plural(1000, "peer") == "1,000 peers");
}

TEST_CASE("a table is aligned by characters, not by bytes") {
  CHECK(table_text({{"name", "n"}, {"Zürich", "1"}, {"b", ""}}) ==
        "name    n\n"
        "Zürich  1\n"
        "b\n");
  CHECK(clipped("Zürich", 6) == "Zürich");
  CHECK(clipped("Zürich Süd", 6) == "Zür...");
}

}  // namespace mdgan::test
