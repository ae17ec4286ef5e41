// What goes wrong in a simulated cluster (cluster.h).
#pragma once

#include <chrono>

namespace mdgan::test {

// Probabilities, unless it says otherwise.
struct Faults {
  double break_connection = 0;  // per message
  double lose_message = 0;      // silently, which TCP does not do
  double repeat_message = 0;    // to the server
  double old_message = 0;  // of before the server's restart, arrives after it
  double kill_peer = 0;    // per round and process; it restarts later
  double kill_server = 0;  // per second; it resumes from its checkpoint
  double kill_any = 0;     // per event: whichever process, or the server
  double stop_server = 0;  // per second; peers leave, all are started again
  double cut_off = 0;   // per second and process: from the server, for a while
  double cut_link = 0;  // per second and process: from another process
  double no_listener = 0;   // of a process: others cannot connect to it
  double bad_feedback = 0;  // not finite
  double bad_transfer = 0;  // not finite
  double slow_peer = 0;     // a computation takes 100 times as long
  double slow_disk = 0;     // a write or a read takes 100 times as long
  double full_disk = 0;     // a write fails
  double liar = 0;        // per second: a stranger, or a member, says anything
  double liar_flood = 0;  // per second: 200 times at once, by ever new names
  int pace = 1;  // the generator's computations take so many times as long
  // Faults end after so much virtual time; then everything must go on.
  std::chrono::seconds until{600};
};

}  // namespace mdgan::test
