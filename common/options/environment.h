// Options from environment variables: that of --round-timeout is
// MDGAN_ROUND_TIMEOUT.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mdgan {

// The variables that begin with MDGAN_, by their whole names.
using Environment = std::map<std::string, std::string>;
Environment environment_of_process();

std::string variable_of(std::string_view option);

// A warning for each variable that is none of `options`', but for those that
// other programs of ours and Kubernetes set.
std::vector<std::string> unknown_variables(
    const Environment& environment, std::span<const std::string_view> options);

}  // namespace mdgan
