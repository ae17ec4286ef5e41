// How memory is got from the kernel.
#pragma once

namespace mdgan {

// Makes the C library keep what is freed for the next allocation. Every round
// frees and allocates the same tensors of some megabytes; by default these go
// back to the kernel, which hands them out anew one zeroed page a fault. What
// is kept is bounded: what a thread has used at most, and for any part beyond
// 128 MiB, or a single block of 32 MiB and more, the default holds. Call first
// in main().
void keep_freed_memory();

}  // namespace mdgan
