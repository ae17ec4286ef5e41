// The descriptors of the process: the standard ones, and how many there may be.
#pragma once

#include <cstddef>

namespace mdgan {

// Opens /dev/null where standard input, output or error are closed: else the
// next file that is opened would be taken for them, and written into. What is
// read from or written to them fails as before, but for words to stderr. Call
// before anything is opened.
void open_standard_descriptors();

// Raises the limit to what the system allows without asking: the usual one is
// kept low for programs that use select(). Call first in main().
void raise_descriptor_limit();

std::size_t descriptor_limit();

}  // namespace mdgan
