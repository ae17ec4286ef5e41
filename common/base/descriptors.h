// How many files and connections the process may have open.
#pragma once

#include <cstddef>

namespace mdgan {

// Raises the limit to what the system allows without asking: the usual one is
// kept low for programs that use select(). Call first in main().
void raise_descriptor_limit();

std::size_t descriptor_limit();

}  // namespace mdgan
