#include "common/base/heap.h"

#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace mdgan {

void keep_freed_memory() {
#if defined(__GLIBC__)
  // Setting one of them ends glibc's own adapting of the first two, which
  // follows the blocks that happen to be freed first. 32 MiB is the most it
  // takes.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 128 << 20);
  // A thread's heap grows in parts of 64 MiB; a part that falls empty is
  // unmapped, each round anew, unless there would be less than this to spare.
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace mdgan
