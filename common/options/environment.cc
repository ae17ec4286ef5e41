#include "common/options/environment.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "common/options/text.h"

namespace mdgan {
namespace {

constexpr std::string_view kPrefix = "MDGAN_";

// What the tests and tools use, and what Kubernetes sets for a service whose
// name begins with "mdgan": MDGAN_SERVER_PORT_5555_TCP and the like.
bool is_of_others(std::string_view variable) {
  for (const std::string_view name :
       {"MDGAN_BLAS_CORE", "MDGAN_MNIST_DIR", "MDGAN_FAILPOINT",
        "MDGAN_NETWORK_TEST", "MDGAN_WRITE_CONFIGS"})
    if (variable == name) return true;
  return variable.find("_SERVICE_") != variable.npos ||
         variable.find("_PORT_") != variable.npos ||
         variable.ends_with("_PORT");
}

}  // namespace

Environment environment_of_process() {
  Environment all;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view entry = *at;
    const std::size_t equals = entry.find('=');
    if (entry.starts_with(kPrefix) && equals != entry.npos)
      all.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return all;
}

std::string variable_of(std::string_view option) {
  std::string name(kPrefix);
  for (const char c : option)
    name +=
        c == '-'
            ? '_'
            : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::vector<std::string> unknown_variables(
    const Environment& environment, std::span<const std::string_view> options) {
  std::vector<std::string> variables;
  for (const std::string_view option : options)
    variables.push_back(variable_of(option));
  const std::vector<std::string_view> known(variables.begin(), variables.end());
  std::vector<std::string> warnings;
  for (const auto& [name, value] : environment)
    if (!is_of_others(name) && std::ranges::find(known, name) == known.end())
      warnings.push_back(fmt::format("the variable {} is no option's{}", name,
                                     suggestion(name, known)));
  return warnings;
}

}  // namespace mdgan
