#include "common/base/heap.h"

#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace mdgan {

void keep_freed_memory() {
#if defined(__GLIBC__)
  // Setting either ends glibc's own adapting of both, which follows the blocks
  // that happen to be freed first. 32 MiB is the most it takes.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 128 << 20);
#endif
}

}  // namespace mdgan
