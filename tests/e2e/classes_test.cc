// Sites whose folders name other classes, in processes of their own.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/files/png.h"
#include "tests/support/catch.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

// 20 grey images of each class in a folder of its name.
void write_site(const fs::path& directory,
                const std::vector<std::string>& classes) {
  for (const std::string& name : classes) {
    fs::create_directories(directory / name);
    for (int i = 0; i < 20; ++i)
      REQUIRE(write_png(directory / name / (std::to_string(i) + ".png"), 8, 8,
                        1,
                        std::vector<std::uint8_t>(
                            64, static_cast<std::uint8_t>(name[0] * 2 + i))));
  }
}

ChildProcess peer(const ProcessRun& t, const std::string& site,
                  const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{MDGAN_PEER,
                                     "--server",
                                     t.endpoint("run"),
                                     "--name",
                                     site,
                                     "--data",
                                     (t / site).string(),
                                     "--state-dir",
                                     (t / "state").string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return t.tool(arguments, site + ".out");
}

TEST_CASE("a label means the same at every site, whatever folders it has") {
  const ProcessRun t;
  write_site(t / "A", {"cat", "dog"});
  write_site(t / "B", {"dog", "fox"});
  write_site(t / "C", {"bird", "cat"});
  fs::create_directories(t / "A" / "fox");  // that it has no images of
  auto server = t.server(
      "run", {"--bind", "tcp://127.0.0.1:*", "--min-peers", "2", "--rounds",
              "6", "--condition", "acgan", "--quorum-timeout", "60"});
  auto a = peer(t, "A");
  auto b = peer(t, "B", {"--tell-classes", "presence"});
  CHECK(a.wait() == 0);
  CHECK(b.wait() == 0);
  REQUIRE(server.wait() == 0);
  CHECK(t.log("run").find("classes: cat, dog, fox") != std::string::npos);

  // A peer that comes to the run later has no say in its classes.
  auto again = t.server("run", {"--bind", "tcp://127.0.0.1:*", "--min-peers",
                                "2", "--rounds", "8", "--condition", "acgan"});
  auto c = peer(t, "C");
  CHECK(c.wait() == 3);
  INFO(c.output());
  CHECK(c.output().find("class 'bird', which is none of this run's (cat, dog, "
                        "fox)") != std::string::npos);
  auto a_again = peer(t, "A");
  auto b_again = peer(t, "B");
  CHECK(a_again.wait() == 0);
  CHECK(b_again.wait() == 0);
  CHECK(again.wait() == 0);

  const std::string run = (t / "run").string();
  auto sample = t.tool({MDGAN_SERVER, "sample", "--run", run, "--count", "4",
                        "--classes", "fox,0", "--out", (t / "g.png").string()},
                       "sample.out");
  CHECK(sample.wait() == 0);
  auto unknown = t.tool({MDGAN_SERVER, "sample", "--run", run, "--classes",
                         "owl", "--out", (t / "g.png").string()},
                        "unknown.out");
  CHECK(unknown.wait() == 2);
  CHECK(unknown.output().find("no class 'owl', the run has cat, dog, fox") !=
        std::string::npos);
  auto exported = t.tool({MDGAN_SERVER, "export", "--run", run, "--out",
                          (t / "g.safetensors").string()},
                         "export.out");
  CHECK(exported.wait() == 0);
  CHECK(read_text(t / "g.safetensors").find(R"([\"cat\",\"dog\",\"fox\"])") !=
        std::string::npos);
}

}  // namespace
}  // namespace mdgan::test
