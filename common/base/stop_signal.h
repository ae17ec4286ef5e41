// Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the
// process at once with 130 or 143.
#pragma once

namespace mdgan {

// Installs the handlers for the process and returns a descriptor that becomes
// readable when the first signal has come. Call once, in main. Also ignores
// SIGPIPE.
int install_stop_signals();

}  // namespace mdgan
