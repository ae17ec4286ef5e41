// Vectors of MDGAN_LANES floats in the notation of g++ and clang. A source sets
// MDGAN_LANES before it includes this; everything is in an anonymous namespace,
// so that nothing compiled for one instruction set is linked into another's
// place.
#pragma once

namespace mdgan {
namespace {

#define MDGAN_INLINE [[gnu::always_inline]] inline
#define MDGAN_INLINE_LAMBDA __attribute__((always_inline))

typedef float V __attribute__((vector_size(MDGAN_LANES * sizeof(float))));
// The same at any address.
typedef float UnalignedV __attribute__((
    vector_size(MDGAN_LANES * sizeof(float)), aligned(4), may_alias));

MDGAN_INLINE V load(const float* p) {
  return *reinterpret_cast<const UnalignedV*>(p);
}
MDGAN_INLINE void store(float* p, V v) {
  *reinterpret_cast<UnalignedV*>(p) = v;
}

}  // namespace
}  // namespace mdgan
