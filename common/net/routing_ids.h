// The routing ids that libzmq gives to the connections of a ROUTER.
#pragma once

namespace mdgan {

// Makes the routing ids that libzmq will draw unpredictable: it numbers
// connections upwards from the C library's rand(), which begins alike in every
// process that nobody seeds, and a stranger who knows another connection's id
// can claim it. Seeds rand() from the kernel's random numbers. Throws
// std::system_error if the kernel gives none.
// REQUIRES: called at the start of main(), before the first socket.
void seed_routing_ids();

}  // namespace mdgan
