// What ends a program in an orderly way: Ctrl-C (SIGINT), SIGTERM, and SIGHUP,
// which is sent when a terminal closes.
#pragma once

#include "common/base/result.h"

namespace mdgan {

// Installs the handlers for the process and returns a descriptor that becomes
// readable when the first signal has come; -1 if the system gives none. Another
// signal within two seconds counts as the same one, since a terminal and a
// supervisor may both pass one on; a later one ends the process at once with
// 128 and its number. SIGHUP stays ignored where it was (nohup). Also ignores
// SIGPIPE. Call once, before what takes long.
//
// A program that is still starting has nothing to save and looks at no
// descriptor: until stop_signals_are_read() a signal ends it at once, with the
// code that read_stop_signal() would give.
int install_stop_signals();
void stop_signals_are_read();

// Reads the descriptor, which is readable. kOk for Ctrl-C: a person ended the
// program; else kStopped: whoever supervises it is to start it again.
ExitCode read_stop_signal(int descriptor);

}  // namespace mdgan
