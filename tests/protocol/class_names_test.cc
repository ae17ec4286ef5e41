#include "protocol/class_names.h"

#include <vector>

#include "protocol/limits.h"
#include "tests/support/catch.h"

namespace mdgan::test {

using Lists = std::vector<ClassNames>;

TEST_CASE("the union of lists that are the same keeps their order") {
  CHECK(union_of(Lists{{"1", "10", "2"}, {"1", "10", "2"}}) ==
        ClassNames{"1", "10", "2"});
  CHECK(union_of(Lists{{"b", "a"}}) == ClassNames{"b", "a"});
  CHECK(union_of(Lists{}).empty());
}

TEST_CASE("the union of others is sorted: numbers by value, then by bytes") {
  CHECK(union_of(Lists{{"cat", "dog"}, {"dog", "fox"}}) ==
        ClassNames{"cat", "dog", "fox"});
  CHECK(union_of(Lists{{"dog", "fox"}, {"cat", "dog"}}) ==
        ClassNames{"cat", "dog", "fox"});
  CHECK(union_of(Lists{{"1", "10"}, {"10", "2"}}) ==
        ClassNames{"1", "2", "10"});
  // "01" is not the number 1, and what is too large is a word.
  CHECK(union_of(Lists{{"b", "10", "99999999999"}, {"01", "9"}}) ==
        ClassNames{"9", "10", "01", "99999999999", "b"});
}

TEST_CASE("a list of classes is read and written") {
  CHECK(parse_classes(" cat,dog ,\tred fox") ==
        ClassNames{"cat", "dog", "red fox"});
  CHECK(parse_classes("3") == ClassNames{"0", "1", "2"});
  CHECK(parse_classes("0") == ClassNames{});
  CHECK(parse_classes("cat") == ClassNames{"cat"});
  CHECK(parse_classes("1, 2") == ClassNames{"1", "2"});
  for (const char* wrong :
       {"", ",", "cat,", "cat,,dog", "cat, cat", "1025", "a\x01", "\xff"})
    CHECK_FALSE(parse_classes(wrong).has_value());
  for (const ClassNames& names :
       Lists{{}, {"0"}, {"0", "1"}, {"1", "10", "2"}, {"a", "b c"}})
    CHECK((names.empty() || parse_classes(to_text(names)) == names));
  CHECK(to_text(numbered_classes(10)) == "10");
}

TEST_CASE("names that cannot be told are named") {
  CHECK(defect_of({"cat", "dog"}).empty());
  CHECK(defect_of({"cat", "cat"}) == "two are named 'cat'");
  CHECK(defect_of({"\xff\xfe latin"}).find("'?? latin'") != std::string::npos);
  CHECK(defect_of({std::string(256, 'a')}).find("255") != std::string::npos);
  CHECK(defect_of(numbered_classes(protocol::kMaxNamedClasses)).empty());
  CHECK_FALSE(
      defect_of(numbered_classes(protocol::kMaxNamedClasses + 1)).empty());
  ClassNames long_ones = numbered_classes(100);
  for (std::string& name : long_ones) name.insert(0, 250, 'x');
  CHECK(defect_of(long_ones).find("24576") != std::string::npos);
}

TEST_CASE("names are found in a list by name") {
  const auto found = places({"dog", "owl", "cat"}, {"cat", "dog"});
  CHECK(found == std::vector<std::optional<std::uint32_t>>{1, {}, 0});
  CHECK(first_not_in({"dog", "owl", "emu"}, {"cat", "dog"}) == "owl");
  CHECK_FALSE(first_not_in({"dog"}, {"cat", "dog"}).has_value());
}

TEST_CASE("a person names a class, or gives its number") {
  CHECK(place_of("dog", {"cat", "dog"}) == 1);
  CHECK(place_of("0", {"cat", "dog"}) == 0);
  CHECK(place_of("1", {"10", "2", "1"}) == 2);  // its name comes first
  CHECK_FALSE(place_of("2", {"cat", "dog"}).has_value());
  CHECK_FALSE(place_of("Dog", {"cat", "dog"}).has_value());
}

TEST_CASE("of many classes a message lists the first") {
  CHECK(listed({"cat, dog", "fox"}) == "'cat, dog', fox");
  CHECK(listed({"cat", "dog"}) == "cat, dog");
  const std::string text = listed(numbered_classes(1000));
  CHECK(text.size() < 200);
  CHECK(text.ends_with(", ... (1000 in all)"));
}

}  // namespace mdgan::test
