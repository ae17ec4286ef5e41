#include "server/run/run_state.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "common/files/checkpoint_store.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

constexpr Round kRound{30};

PublicKey key_of_four() {
  PublicKey key{};
  key[5] = std::byte{4};
  return key;
}

nlohmann::json some_meta() {
  RunState state;
  state.run[0] = std::byte{0xab};
  state.position = {kRound,
                    Round{20},
                    {{"a", PeerId{0}}, {"b", PeerId{4}}},
                    {{PeerId{4}, DiscriminatorId{7}}},
                    {{PeerId{4}, 0xFFFF'FFFF'FFFF'FFFFU}},
                    {{PeerId{4}, key_of_four()}}};
  state.k = 2;
  TrainingSpec spec;
  spec.algorithm = Algorithm::kFlGan;
  spec.image = {1, 28, 28, 2};
  spec.classes = {"cat", "dog"};
  return nlohmann::json::parse(describe_run(state, spec));
}

Result<RunState> loaded(const std::string& meta) {
  const TemporaryDirectory directory;
  CheckpointStore store(directory.path(), 1, 0);
  REQUIRE(store.open_for_writing());
  const std::vector<NamedBlob> tensors{
      {"w", copy_blob({protocol::DType::kFloat32, {1}},
                      std::vector<std::byte>(sizeof(float)))}};
  REQUIRE(store.save(kRound, tensors, meta));
  return load_run(directory.path());
}

// Why a checkpoint with this `value` in place of the right one is refused.
std::string refusal(const char* field, const nlohmann::json& value) {
  nlohmann::json meta = some_meta();
  meta[field] = value;
  const auto state = loaded(meta.dump());
  if (state) return "it is accepted";
  CHECK(state.error().code == ExitCode::kCheckpoint);
  const std::string& text = state.error().message;
  const std::string begin =
      "/00000030/meta.json does not say how the run stood: ";
  const auto at = text.find(begin);
  INFO(text);
  REQUIRE(at != text.npos);
  return text.substr(at + begin.size());
}

}  // namespace

TEST_CASE("a checkpoint brings back how the run stood") {
  const auto state = loaded(some_meta().dump());
  INFO((state ? "" : state.error().message));
  REQUIRE(state.ok());
  CHECK(state->run[0] == std::byte{0xab});
  CHECK(state->position.completed == kRound);
  CHECK(state->position.last_swap == Round{20});
  CHECK(state->position.names.at("b") == PeerId{4});
  CHECK(state->position.set_aside.at(PeerId{4}) == 0xFFFF'FFFF'FFFF'FFFFU);
  CHECK(state->position.keys ==
        std::map<PeerId, PublicKey>{{PeerId{4}, key_of_four()}});
  CHECK(state->algorithm == Algorithm::kFlGan);
  CHECK(state->k == 2);
  CHECK(state->image == ImageShape{1, 28, 28, 2});
  CHECK(state->classes == ClassNames{"cat", "dog"});
  CHECK(state->generator.size() == 1);
}

TEST_CASE("a checkpoint from before there were other algorithms is MD-GAN's") {
  nlohmann::json meta = some_meta();
  meta.erase("algorithm");
  CHECK(loaded(meta.dump())->algorithm == Algorithm::kMdGan);
}

TEST_CASE("a checkpoint from before it kept who is set aside has nobody") {
  nlohmann::json meta = some_meta();
  meta.erase("set_aside");
  CHECK(loaded(meta.dump())->position.set_aside.empty());
}

TEST_CASE("a checkpoint from before classes had names has none") {
  nlohmann::json meta = some_meta();
  meta.erase("classes");
  CHECK(loaded(meta.dump())->classes.empty());
}

TEST_CASE("a checkpoint whose classes cannot be true is refused") {
  for (const nlohmann::json& wrong :
       {nlohmann::json{"cat"}, nlohmann::json{"cat", "cat"},
        nlohmann::json{"cat", 1}, nlohmann::json("cat")})
    CHECK(refusal("classes", wrong).starts_with("classes is "));
}

TEST_CASE("a checkpoint of an algorithm nobody knows is refused") {
  CHECK(refusal("algorithm", "wd-gan") == "algorithm is \"wd-gan\"");
  CHECK(refusal("algorithm", 3) == "algorithm is 3");
}

TEST_CASE("a checkpoint that cannot be true is refused, with the value") {
  CHECK(refusal("completed", -1) == "completed is -1");
  CHECK(refusal("completed", 1'000'000) == "completed is 1000000");
  CHECK(refusal("last_swap", 31) == "last_swap is 31");
  CHECK(refusal("k", 1.5) == "k is 1.5");
  CHECK(refusal("k", 1ULL << 32U) == "k is 4294967296");
  CHECK(refusal("run", "abc") == "run is \"abc\"");
  CHECK(refusal("run", std::string(32, 'x')).starts_with("run is"));
  CHECK(refusal("image", {1, 28, 28}) == "image is [1,28,28]");
  CHECK(refusal("image", {1, 28, -1, 0}) == "a part of image is -1");
  CHECK(refusal("names", {1, 2}) == "names is [1,2]");
  CHECK(refusal("names", {{"a", -1}}) == "a peer's id is -1");
  CHECK(refusal("set_aside", {{9, 1}}) == "set_aside is [[9,1]]");
  CHECK(refusal("set_aside", {{4, -1}}) == "a nonce is -1");
  CHECK(refusal("set_aside", 4) == "set_aside is 4");
  CHECK(refusal("names", {{"a", 3}, {"b", 3}}) == "two peers have the id 3");
}

TEST_CASE("a checkpoint whose description is emptied is refused in words") {
  for (const char* meta : {"", "{}", "[]", "null", "{\"run\": \"ab"}) {
    const auto state = loaded(meta);
    REQUIRE_FALSE(state.ok());
    CHECK(state.error().code == ExitCode::kCheckpoint);
    CHECK(state.error().message.find(
              "meta.json does not say how the run stood: ") !=
          std::string::npos);
  }
}

TEST_CASE("keys of peers that are none are refused") {
  CHECK(refusal("keys", 3) == "keys is 3");
  CHECK(refusal("keys", {{"c", "x"}}) == R"(keys is {"c":"x"})");
  CHECK(refusal("keys", {{"b", "x"}}) == R"(keys is {"b":"x"})");
  CHECK(refusal("keys", {{"b", 4}}) == R"(keys is {"b":4})");
}

}  // namespace mdgan::test
