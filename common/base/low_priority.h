// Threads for what can wait.
#pragma once

#include <functional>

namespace mdgan {

// What a pool's threads are to begin with that do so: they get what others
// leave of the processors. `start_thread` follows.
std::function<void()> at_lower_priority(std::function<void()> start_thread);

}  // namespace mdgan
