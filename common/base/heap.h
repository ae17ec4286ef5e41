// How memory is got from the kernel.
#pragma once

namespace mdgan {

// Makes the C library keep what is freed for the next allocation. Every round
// frees and allocates the same tensors of some megabytes; by default these go
// back to the kernel, which hands them out anew one zeroed page a fault. What
// is kept is bounded: single blocks of 32 MiB and more, and what lies free
// beyond 128 MiB, still go back. Call first in main().
void keep_freed_memory();

}  // namespace mdgan
