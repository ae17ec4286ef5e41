// Two sites whose folders differ, from their hello to the checkpoint.
#include <memory>
#include <string>

#include "server/run/run_state.h"
#include "tests/support/catch.h"
#include "tests/support/in_process_run.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

// small_images() with labels of these two classes.
std::shared_ptr<const Dataset> site(const ClassNames& classes) {
  auto data = std::make_shared<Dataset>(*small_images());
  data->shape.classes = 2;
  data->class_names = classes;
  for (std::int32_t& label : data->labels) label %= 2;
  return data;
}

TEST_CASE("two sites with other folders train on the union of their classes") {
  const TemporaryDirectory directory;
  ServerOptions options = small_options();
  options.min_peers = 2;
  options.bind = "tcp://127.0.0.1:*";
  options.condition = Condition::kProjection;
  InProcessServer server(directory / "run", options);
  InProcessPeers a(server.context(), server.endpoint(), directory.path(), 0, 0,
                   2, true, site({"cat", "dog"}));
  InProcessPeers b(server.context(), server.endpoint(), directory.path(), 1, 1,
                   2, true, site({"dog", "fox"}));
  CHECK(server.wait().code == ExitCode::kOk);
  CHECK(a.wait().code == ExitCode::kOk);
  CHECK(b.wait().code == ExitCode::kOk);
  const auto state = load_run(directory / "run" / "checkpoints");
  REQUIRE(state);
  CHECK(state->classes == ClassNames{"cat", "dog", "fox"});
  CHECK(state->image->classes == 3);
}

}  // namespace
}  // namespace mdgan::test
