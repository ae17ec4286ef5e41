// Which backend of convolutions the build has (backend.h). No LibTorch.
#pragma once

#include <string>

namespace mdgan::backend {

// For --version: "oneDNN 2.6.3", or "layer by layer, by LibTorch".
std::string name();

// Whether it keeps weights in layouts of its own while they are trained.
bool has_own_layouts();

}  // namespace mdgan::backend
