// What a program tells the service manager that started it (systemd, or what
// speaks its protocol, sd_notify(3)): that it is ready, how it stands, that it
// is alive. Without one ($NOTIFY_SOCKET) nothing is told. What cannot be sent
// is not told: a manager that hangs must not stop the program.
#pragma once

#include <string>

namespace mdgan {

// Threads: any. REQUIRES: no line end in `status`, which is for people.
void tell_ready(const std::string& status);
// Tells the manager's watchdog that the program is alive, and its status. The
// thread whose hanging is to be noticed calls this every few seconds.
void tell_alive(const std::string& status);
void tell_stopping();

}  // namespace mdgan
