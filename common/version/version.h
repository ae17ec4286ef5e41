// What --version prints: ours, and the libraries' that do the work.
#pragma once

#include <string>

namespace mdgan {

// "mdgan-server 0.1.0", then a line each for the protocol, the libraries, and
// the kernels that layers run on.
std::string version_text(const std::string& program);

}  // namespace mdgan
