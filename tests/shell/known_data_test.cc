// What a server knows of its run's data before any peer speaks.
#include "server/commands/known_data.h"

#include <string>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

Dataset data_of(const ClassNames& classes) {
  Dataset data;
  data.shape = {1, 4, 4, static_cast<std::uint32_t>(classes.size())};
  data.class_names = classes;
  return data;
}

ServerOptions conditional(const ClassNames& classes = {}) {
  ServerOptions options;
  options.condition = Condition::kAcgan;
  options.classes = classes;
  options.data = "DIR";
  return options;
}

RunState saved(const ClassNames& classes) {
  RunState state;
  state.image = ImageShape{1, 4, 4, static_cast<std::uint32_t>(classes.size())};
  state.classes = classes;
  return state;
}

std::string refusal(const Result<KnownData>& known) {
  if (known) return "it is accepted";
  CHECK(known.error().code == ExitCode::kConfiguration);
  return known.error().message;
}

TEST_CASE("the classes of a run are those of its data, unless it lists them") {
  const Dataset data = data_of({"cat", "dog"});
  CHECK(known_data(conditional(), &data, {})->classes ==
        ClassNames{"cat", "dog"});
  const auto listed = known_data(conditional({"fox", "dog", "cat"}), &data, {});
  CHECK(listed->classes == ClassNames{"fox", "dog", "cat"});
  CHECK(listed->image->classes == 3);
  CHECK(known_data(conditional(), nullptr, {})->classes.empty());
  const ServerOptions without;
  CHECK(known_data(without, &data, {})->classes.empty());
  CHECK(known_data(without, &data, {})->image->classes == 0);
}

TEST_CASE("a server's data that does not fit its run is refused by class") {
  const Dataset data = data_of({"cat", "owl"});
  CHECK(refusal(known_data(conditional({"cat", "dog"}), &data, {})) ==
        "DIR has the class 'owl', which is none of this run's (cat, dog): take "
        "it out of the data, or begin a run whose classes = has it");
  CHECK(refusal(known_data(conditional(), &data, saved({"cat", "dog"})))
            .find("'owl'") != std::string::npos);
  const Dataset flat = data_of({});
  CHECK(refusal(known_data(conditional(), &flat, {})).find("have no labels") !=
        std::string::npos);
  CHECK(known_data({}, &data, saved({"cat", "dog"})).ok());
  const Dataset alike = data_of({"Cat", "cat", "dog"});
  CHECK(refusal(known_data(conditional(), &alike, {})) ==
        "DIR has the classes 'Cat' and 'cat', which differ by case, blanks or "
        "how accents are stored only: make one of them, or name both in "
        "classes =");
  CHECK(known_data(conditional({"Cat", "cat", "dog"}), &alike, {}).ok());
}

TEST_CASE("a run goes on with its own classes") {
  CHECK(known_data(conditional(), nullptr, saved({"cat", "dog"}))->classes ==
        ClassNames{"cat", "dog"});
  CHECK(refusal(
            known_data(conditional({"cat"}), nullptr, saved({"cat", "dog"}))) ==
        "classes is cat, and this run's are cat, dog: leave out classes, or "
        "begin another run");
  // A checkpoint of before classes had names has their number.
  RunState old = saved({"cat", "dog"});
  old.classes.clear();
  CHECK(known_data(conditional(), nullptr, old)->classes ==
        ClassNames{"0", "1"});
  CHECK(known_data(conditional({"cat", "dog"}), nullptr, old)->classes ==
        ClassNames{"cat", "dog"});
}

TEST_CASE("a class folder without images is for a run that lists the class") {
  Dataset data = data_of({"cat"});
  data.empty_classes = {"dog"};
  CHECK(refusal(known_data(conditional(), &data, {})).find("folder 'dog'") !=
        std::string::npos);
  CHECK(known_data(conditional({"cat", "dog"}), &data, {}).ok());
  data.empty_classes = {"dog\n\x1b[31minfo all is well"};
  CHECK(refusal(known_data(conditional(), &data, {})).find_first_of("\n\x1b") ==
        std::string::npos);
}

}  // namespace
}  // namespace mdgan::test
