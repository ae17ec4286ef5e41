#include "common/base/alike_names.h"

#include "tests/support/catch.h"

namespace mdgan::test {

TEST_CASE("names that differ by case or blanks only look alike") {
  CHECK(lookalike("Dog", {"cat", "dog"}) == "dog");
  CHECK(lookalike("red fox", {"redFox"}) == "redFox");
  CHECK_FALSE(lookalike("dog", {"dog"}).has_value());  // it is the same
  CHECK_FALSE(lookalike("-1", {"1"}).has_value());
  CHECK(first_alike({"cat", "dog", "Cat"}) ==
        std::pair<std::string, std::string>("cat", "Cat"));
}

TEST_CASE("names that differ by how Unicode writes them look alike") {
  // A with diaeresis: in capitals; as a letter and a mark, as a Mac writes it.
  CHECK(folded("\u00c4pfel") == folded("\u00e4pfel"));
  CHECK(folded("a\u0308pfel") == folded("\u00e4pfel"));
  CHECK(folded("\u041a\u041e\u0422") == folded("\u043a\u043e\u0442"));
  CHECK(folded("red\u00a0fox\u3000") == "redfox");  // other blanks
  CHECK(folded("\uff21") == "a");                   // of full width
  CHECK(folded("\u00e4pfel") != folded("apfel"));
  CHECK(folded("\xff\xfe") == "\xff\xfe");  // no UTF-8
}

}  // namespace mdgan::test
