#include "common/base/unblocking_output.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> block{};
  for (ssize_t n = 0; (n = ::read(descriptor, block.data(), block.size())) > 0;)
    text.append(block.data(), static_cast<std::size_t>(n));
  return text;
}

}  // namespace

TEST_CASE("a pipe or socket that nobody reads costs lines, never time") {
  std::array<int, 2> ends{};
  if (GENERATE(true, false)) {
    REQUIRE(::pipe(ends.data()) == 0);
  } else {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  }
  std::string text;
  {
    UnblockingOutput output(ends[1]);
    constexpr int kLines = 100'000;  // a write that waits would hang here
    for (int i = 0; i < kLines; ++i)
      output.write("line " + std::to_string(i) + "\n");
    REQUIRE(::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    // What others write to is as it was.
    CHECK((::fcntl(ends[1], F_GETFL) & O_NONBLOCK) == 0);
    for (int i = 0; i < 100; ++i) {
      text += read_all(ends[0]);
      output.flush();
    }
    output.write("read again\n");
  }
  text += read_all(ends[0]);
  CHECK(text.starts_with("line 0\nline 1\n"));
  CHECK(text.find(" lines are not shown here") != std::string::npos);
  CHECK(text.ends_with("read again\n"));
  for (const int end : ends) ::close(end);
}

TEST_CASE("output to a reader who has gone is dropped") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  ::close(ends[0]);
  UnblockingOutput output(ends[1]);
  output.write("nobody\n");
  ::close(ends[1]);
}

}  // namespace mdgan::test
