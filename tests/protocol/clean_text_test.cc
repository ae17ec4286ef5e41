#include "protocol/clean_text.h"

#include "tests/support/catch.h"

namespace mdgan::test {

using mdgan::protocol::is_clean_text;
using mdgan::protocol::presentable;

TEST_CASE("names of all scripts are clean text") {
  for (const char* name : {"", "hospital-c", "a b", "crème brûlée", "日本 語",
                           "Москва", "مستشفى", "🏥", "\xf4\x8f\xbf\xbd"})
    CHECK(is_clean_text(name));
}

TEST_CASE("what cannot be seen, or is no UTF-8, is no clean text") {
  for (const char* name : {"a\tb",
                           "a\nb",
                           "\033[31m",
                           "\x7f",
                           "\xc2\x80",
                           "\xc2\x9b",
                           "\xc2\xad",         // soft hyphen
                           "\xd8\x9c",         // Arabic letter mark
                           "\xe2\x80\x8b",     // zero width space
                           "\xe2\x80\x8f",     // right-to-left mark
                           "\xe2\x80\xa8",     // line separator, U+2028
                           "\xe2\x80\xa9",     // paragraph separator
                           "abc\xe2\x80\xae",  // right-to-left override, U+202E
                           "\xe2\x81\xa6",     // left-to-right isolate
                           "\xef\xbb\xbf",     // byte order mark
                           "\xef\xbf\xbf",     // a noncharacter
                           "\xf3\xa0\x81\x81",  // a tag
                           "\xff",
                           "\xc3",
                           "\xc3(",
                           "\xc0\xaf",
                           "\xed\xa0\x80",
                           "\xe0\x80\xaf",
                           "\xf4\x90\x80\x80",
                           "\xf5\x80\x80\x80"}) {
    INFO(presentable(name));
    CHECK_FALSE(is_clean_text(name));
    CHECK_FALSE(is_clean_text(std::string("a") + name + "b"));
  }
  CHECK_FALSE(is_clean_text(std::string(1, '\0')));
}

TEST_CASE("text that is not clean is shown as ASCII") {
  CHECK(presentable("plain, also é") == "plain, also é");
  CHECK(presentable("é\033[2J") == "???[2J");
}

}  // namespace mdgan::test
