// What is no plain file where one belongs: refused in words, and not waited
// for.
#include "common/files/plain_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "common/files/hash.h"
#include "common/files/jsonl.h"
#include "common/files/line_writer.h"
#include "common/options/options_parser.h"
#include "server/run/run_log.h"
#include "server/run/saved_status.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

std::string refusal(const auto& result) {
  return result ? "not refused" : result.error().message;
}

fs::path pipe_in(const TemporaryDirectory& dir) {
  const fs::path path = dir / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0666) == 0);
  return path;
}

}  // namespace

// Each of these would wait for the pipe's other end for ever, or write into it.
TEST_CASE("a pipe in the place of a file is refused, and not waited for") {
  const TemporaryDirectory dir;
  const fs::path pipe = pipe_in(dir);
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR | O_CREAT | O_APPEND})
    CHECK(contains(refusal(open_plain(pipe, flags, ExitCode::kData)),
                   {pipe.string()}));
  CHECK(contains(refusal(check_plain(pipe)), {pipe.string(), "is a pipe"}));
  CHECK(contains(refusal(sha256_of_file(pipe)), {pipe.string()}));
  CHECK(contains(refusal(LineWriter::open(pipe)),
                 {pipe.string(), "not a regular file"}));
  CHECK(contains(refusal(truncate_after_round(pipe, Round{1})),
                 {pipe.string(), "not a regular file"}));
  CHECK(contains(refusal(RunLog::open({pipe, false, stderr, false})),
                 {pipe.string(), "is a pipe"}));
  fs::rename(pipe, dir / "lock");
  CHECK(user_of(dir.path(), 0) == RunUser::kNobody);  // nobody holds it
}

TEST_CASE("a configuration that is no file is refused, and not waited for") {
  const TemporaryDirectory dir;
  const auto read = [](const fs::path& path) {
    OptionTable table({});
    return table.parse({}, {}, [&] { return std::vector<fs::path>{path}; });
  };
  for (const fs::path& path : {pipe_in(dir), dir.path()})
    CHECK(contains(refusal(read(path)),
                   {path.string(), "it is not a regular file"}));
  CHECK(contains(refusal(read(dir / "missing")),
                 {"cannot be read: No such file"}));
}

TEST_CASE("what stands where a file belongs is named by its kind") {
  const TemporaryDirectory dir;
  CHECK(check_plain(dir / "missing"));
  CHECK(contains(refusal(check_plain(dir.path())),
                 {"is a folder where a file belongs: move it away"}));
  CHECK(contains(refusal(check_plain("/dev/null")), {"is a device"}));
  write_text(dir / "file", "");
  CHECK(check_plain(dir / "file"));
  fs::create_symlink(dir / "file", dir / "link");
  fs::create_symlink(dir / "nothing", dir / "broken");
  CHECK(check_plain(dir / "link"));
  CHECK(check_plain(dir / "broken"));
}

TEST_CASE("a folder that cannot be written is found, and nothing is left") {
  const TemporaryDirectory dir;
  write_text(dir / "file", "");
  const auto check = [](const fs::path& folder) {
    return check_writable({&folder, 1});
  };
  CHECK(check(dir / "a" / "b" / "c"));
  CHECK(check(dir.path()));
  CHECK(contains(refusal(check(dir / "file" / "b")),
                 {"cannot write the folder", "file/b"}));
  CHECK(contains(refusal(check(dir / "file")), {"file: that is no folder"}));
  // Nobody can make a folder there, root neither.
  CHECK(contains(refusal(check("/proc/none/state")),
                 {"cannot write the folder /proc/none/state"}));
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 1);
}

}  // namespace mdgan::test
