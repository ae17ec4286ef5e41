// The names of models that are in files.
#include "common/models/script_file.h"

#include <fstream>

#include "tests/support/contains.h"
#include "tests/support/parse_options.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

TEST_CASE("a kept file is found by its name, and another is not") {
  const TemporaryDirectory folder;
  std::ofstream(folder / "kept.pt") << "kept";
  const auto name = add_script(folder / "kept.pt");
  REQUIRE(name);
  CHECK(is_script(*name));
  std::ofstream(folder / "kept.pt") << "changed since";
  const auto file = find_script(*name);
  REQUIRE(file);
  CHECK((*file)->bytes == "kept");
  const std::string other = "script:" + std::string(64, 'f');
  const auto refused = find_script(other);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ExitCode::kConfiguration);
  CHECK(contains(refused.error().message, {other, *name, "--model-file"}));
  for (const std::string text : {"mlp", "script:", "script:mine.pt"})
    CHECK_FALSE(is_script(text));
}

TEST_CASE("a model of one's own is named by its file's hash") {
  const TemporaryDirectory folder;
  std::ofstream(folder / "mine.pt") << "abc";
  const std::string abc =
      "script:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const ServerOptions options =
      train({"--model", ("script:" + (folder / "mine.pt").string()).c_str()});
  CHECK(options.model == abc);
  CHECK(options.name == "mine");
  const auto refusal = [](const char* key, const std::string& value) {
    return train_error({key, value.c_str()}, ExitCode::kConfiguration);
  };
  CHECK(
      refusal("--model", "script:/nowhere/mine.pt").find("/nowhere/mine.pt") !=
      std::string::npos);

  // A configuration has the hash, and the file beside it.
  const auto config = (folder / "config.ini").string();
  const std::string other = "script:" + std::string(64, 'c');
  std::ofstream(config) << "model = " << other << "\n";
  CHECK(refusal("--config", config).find("model.pt") != std::string::npos);
  std::ofstream(folder / "model.pt") << "another";
  CHECK(refusal("--config", config).find("is another, script:") !=
        std::string::npos);
}

}  // namespace mdgan::test
