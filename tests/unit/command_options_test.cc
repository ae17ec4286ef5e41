// The options of the commands that take a run which is there.
#include "server/command_options.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/parse_options.h"

namespace mdgan::test {

TEST_CASE("evaluating needs images, and a run or one in training") {
  CHECK_FALSE(server({"evaluate"}).ok());
  CHECK_FALSE(server({"evaluate", "--run", "r", "--all", "--round", "5"}).ok());
  const auto evaluate = server({"evaluate", "--run", "r", "--samples", "500"});
  REQUIRE(evaluate.ok());
  CHECK(std::get<EvaluateOptions>(*evaluate).measure.samples == 500);
  CHECK(server({"evaluate", "--run", "r", "--samples", "20"}).ok());
  const auto few = server({"evaluate", "--run", "r", "--samples", "19"});
  REQUIRE_FALSE(few.ok());
  CHECK(few.error().code == ExitCode::kUsage);
  CHECK(few.error().message.find("not 19") != std::string::npos);
  CHECK_FALSE(server({"train", "--evaluate-every", "10"}).ok());
  const auto train = server(
      {"train", "--evaluate-every", "10", "--evaluate-data", "/a/../data"});
  REQUIRE(train.ok());
  CHECK(std::get<ServerOptions>(*train).evaluate_data == "/data");
}

TEST_CASE("sample and export need a run") {
  const auto sample =
      server({"sample", "--run", "r", "--classes", "0,7", "--count=16"});
  REQUIRE(sample.ok());
  const auto& s = std::get<SampleOptions>(*sample);
  CHECK(s.run == "r");
  CHECK(s.count == 16);
  CHECK(s.out == "grid.png");
  CHECK(s.classes == std::vector<std::string>{"0", "7"});
  CHECK_FALSE(s.seed.has_value());
  const auto exported =
      server({"export", "--run", "r", "--weights", "generator"});
  REQUIRE(exported.ok());
  CHECK_FALSE(std::get<ExportOptions>(*exported).ema);
  CHECK_FALSE(server({"sample"}).ok());
  CHECK_FALSE(server({"export"}).ok());
  // What says how features are measured is not passed over in silence.
  for (const auto& option :
       std::vector<std::vector<const char*>>{{"--real"},
                                             {"--data", "d"},
                                             {"--samples", "50"},
                                             {"--features", "f.pt"},
                                             {"--cache", "c"}}) {
    std::vector<const char*> arguments{"export", "--run", "r"};
    arguments.insert(arguments.end(), option.begin(), option.end());
    CHECK_FALSE(server(arguments).ok());
    arguments.insert(arguments.end(), {"--format", "npz"});
    CHECK(server(arguments).ok());
  }
  for (const char* wrong : {"1,", ",1", ",", "cat,,dog"})
    CHECK_FALSE(server({"sample", "--run", "r", "--classes", wrong}).ok());
}

}  // namespace mdgan::test
