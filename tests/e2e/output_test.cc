// Where the programs' words go: results to stdout, the rest to stderr, and what
// --out names stays what it is.
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

// A shell that knows the programs as $server and $peer.
class Shell {
 public:
  // The exit code of `script`; its own stdout and stderr are in the files
  // "stdout" and "stderr" of the folder.
  int operator()(const std::string& script) const {
    ChildProcess child(
        {"/bin/sh", "-c",
         "cd \"$0\"; server=$1; peer=$2; { " + script + "\n} >stdout 2>stderr",
         files.path().string(), MDGAN_SERVER, MDGAN_PEER},
        files / "shell");
    return child.wait().value_or(-1);
  }
  std::string text(const std::string& name) const {
    return read_text(files / name);
  }
  // A finished run in the folder "run", of the images in "data".
  void make_run() const {
    write_bars(files / "data", 400, 8);
    REQUIRE((*this)("\"$server\" train --data data --local-peers 1 --rounds 2 "
                    "--samples-every 0 --run-dir run --batch 5") == 0);
  }

  TemporaryDirectory files;
};

}  // namespace

TEST_CASE("errors go to stderr and results to stdout") {
  const Shell shell;
  CHECK(shell("\"$server\" train --data nowhere --local-peers 1") == 6);
  CHECK(shell.text("stdout").empty());
  CHECK(has(shell.text("stderr"), "nowhere"));
  for (const char* command : {"sample", "export", "evaluate"}) {
    CHECK(shell("\"$server\" " + std::string(command) + " --run nowhere") == 7);
    CHECK(shell.text("stdout").empty());
    CHECK(has(shell.text("stderr"), "nowhere"));
  }
  CHECK(shell("\"$peer\" --server tcp://127.0.0.1:1 --data nowhere") == 6);
  CHECK(shell.text("stdout").empty());
  CHECK(has(shell.text("stderr"), "nowhere"));

  shell.make_run();
  CHECK(shell.text("stdout").empty());
  // The classifier that it trains is told of on the log, too.
  CHECK(shell("\"$server\" evaluate --run run --data data --samples 20 "
              "--cache cache") == 0);
  CHECK(shell.text("stdout").starts_with("round 2\n"));
  CHECK_FALSE(has(shell.text("stdout"), "info"));
}

TEST_CASE("the log has colours only on a terminal, and none with NO_COLOR") {
  const Shell shell;
  const std::string fails = "\"$server\" sample --run nowhere";
  CHECK(shell(fails) == 7);
  CHECK_FALSE(has(shell.text("stderr"), "\033["));
  // script(1) runs the command on a terminal of its own.
  const auto on_terminal = [&shell](const std::string& variables) {
    (void)shell("export server; TERM=xterm " + variables +
                " script -qec '\"$server\" sample --run nowhere' /dev/null");
    return shell.text("stdout");
  };
  const std::string coloured = on_terminal("NO_COLOR=");
  CHECK(has(coloured, "nowhere"));
  CHECK(has(coloured, "\033["));
  const std::string plain = on_terminal("NO_COLOR=1");
  CHECK(has(plain, "nowhere"));
  CHECK_FALSE(has(plain, "\033["));
}

TEST_CASE("nothing is written into a file for want of standard streams") {
  const Shell shell;
  shell.make_run();
  const std::string log = shell.text("run/log.txt");
  // What is opened first would be taken for them.
  CHECK(shell("exec \"$server\" train --resume run --rounds 3 "
              "<&- >&- 2>&-") == 0);
  CHECK_FALSE(has(shell.text("run/lock"), "round"));
  CHECK(shell.text("run/lock").size() < 12);  // a process's number
  const std::string lines = shell.text("run/log.txt").substr(log.size());
  REQUIRE(has(lines, "continues after round 2"));
  CHECK(lines.find("continues after round 2") ==
        lines.rfind("continues after round 2"));
}

TEST_CASE("no command writes over a run's own files") {
  const Shell shell;
  shell.make_run();
  const std::string before = shell.text("run/config.ini");
  for (const char* command : {"sample", "export"}) {
    CHECK(shell("\"$server\" " + std::string(command) +
                " --run run --out run/config.ini") == 2);
    CHECK(has(shell.text("stderr"), "is one of the run's own files"));
    CHECK(shell("\"$server\" " + std::string(command) +
                " --run run --out run/own") == 0);
  }
  CHECK(shell.text("run/config.ini") == before);
}

TEST_CASE("fault 36: text that cannot be printed is an error") {
  const Shell shell;
  for (const std::string command :
       {"\"$server\" --help", "\"$server\" --version",
        "\"$server\" train --help", "\"$server\" train --dry-run",
        "\"$server\" sample --help", "\"$server\" evaluate --help",
        "\"$server\" export --help", "\"$peer\" --help",
        "\"$peer\" --version"}) {
    INFO(command);
    CHECK(shell(command + " >/dev/full") == 7);
    CHECK(has(shell.text("stderr"), "No space left on device"));
    CHECK(shell(command + " >&-") == 7);
    CHECK(has(shell.text("stderr"), "cannot write to stdout"));
  }
}

TEST_CASE("what --out names is written into, if it is not a plain file") {
  const Shell shell;
  shell.make_run();
  const std::string sample =
      "\"$server\" sample --run run --count 4 --seed 1 --out ";
  const std::string exporting = "\"$server\" export --run run --out ";
  REQUIRE(shell(sample + "plain.png && " + exporting + "plain") == 0);
  const std::string picture = shell.text("plain.png");
  const std::string weights = shell.text("plain");
  REQUIRE(picture.starts_with("\x89PNG"));

  SECTION("a link stays a link, and its file has the result") {
    REQUIRE(shell("echo old >there; ln -s there link; ln -s new dangling; " +
                  sample + "link && " + exporting + "dangling") == 0);
    CHECK(fs::is_symlink(shell.files / "link"));
    CHECK(fs::is_symlink(shell.files / "dangling"));
    CHECK(shell.text("there") == picture);
    CHECK(shell.text("new") == weights);
  }
  SECTION("a pipe with a name") {
    REQUIRE(::mkfifo((shell.files / "pipe").c_str(), 0600) == 0);
    CHECK(shell("cat pipe >copy & " + exporting + "pipe && wait") == 0);
    CHECK(fs::is_fifo(shell.files / "pipe"));
    CHECK(shell.text("copy") == weights);
    CHECK(shell("cat pipe >copy & " + sample + "pipe && wait") == 0);
    CHECK(shell.text("copy") == picture);
  }
  SECTION("stdout gets the result alone, after what it has") {
    CHECK(shell(sample + "/dev/stdout | cat") == 0);
    CHECK(shell.text("stdout") == picture);
    CHECK(shell("printf first; " + exporting + "/dev/stdout; printf last") ==
          0);
    CHECK(shell.text("stdout") == "first" + weights + "last");
  }
  SECTION("a device that is full is an error, and is still there") {
    for (const std::string& command : {sample, exporting}) {
      CHECK(shell(command + "/dev/full") == 7);
      CHECK(has(shell.text("stderr"), "cannot write /dev/full: No space"));
    }
    CHECK(fs::is_character_file("/dev/full"));
  }
  SECTION("a folder is an error") {
    CHECK(shell("mkdir folder; " + exporting + "folder") == 7);
    CHECK(has(shell.text("stderr"), "folder: Is a directory"));
  }
}

}  // namespace mdgan::test
