// What an event loop does of what a connection guard reports.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/mailbox.h"
#include "common/net/complaints.h"
#include "common/net/connection_guard.h"

namespace mdgan {

// Calls that post to the loop's mailbox: they wake it to drain the socket,
// append a closed connection (descriptor and socket_cookie()) to `closed`, and
// log a warning when a connection is cut. `mailbox` must outlive the guard; the
// others must outlive the mailbox's last drain().
ConnectionGuard::Calls guard_calls(
    Mailbox& mailbox, std::vector<std::pair<int, std::uint64_t>>& closed,
    Complaints& complaints);

}  // namespace mdgan
