// Sixteen binary32 lanes. One type, lowered by the compiler to 512-, 256- or 128-bit registers, or to plain loops in
// the scalar twin (NCZ_SCALAR). All operations are elementwise IEEE; the one reduction has a pinned order.
// Include only from files compiled once for each instruction set, inside its namespace.
#pragma once

#include <cstdint>
#include <cstring>

namespace ncz::NCZ_ISA {

inline constexpr int kLanes = 16;

#ifdef NCZ_SCALAR

struct Vec {
  float lane[kLanes];
};
#define NCZ_VEC_OP(op)                                        \
  inline Vec operator op(Vec a, Vec b) {                      \
    for (int i = 0; i < kLanes; ++i) a.lane[i] = a.lane[i] op b.lane[i]; \
    return a;                                                 \
  }
NCZ_VEC_OP(+)
NCZ_VEC_OP(-)
NCZ_VEC_OP(*)
NCZ_VEC_OP(/)
#undef NCZ_VEC_OP
inline Vec broadcast(float x) {
  Vec v;
  for (float& lane : v.lane) lane = x;
  return v;
}
inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
// ((lanes i and i+8) then (i and i+4) then (i and i+2) then (0 and 1)): the pinned order of every sum over lanes.
inline float sum(Vec v) {
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) v.lane[i] = v.lane[i] + v.lane[i + width];
  return v.lane[0];
}

#else

typedef float Vec __attribute__((vector_size(64)));
inline __attribute__((always_inline)) Vec broadcast(float x) { return x - Vec{}; }
inline __attribute__((always_inline)) Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline __attribute__((always_inline)) void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
inline __attribute__((always_inline)) float sum(Vec v) {
  typedef float V8 __attribute__((vector_size(32)));
  typedef float V4 __attribute__((vector_size(16)));
  const V8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
               __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const V4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
  return (b[0] + b[2]) + (b[1] + b[3]);
}

#endif

}  // namespace ncz::NCZ_ISA
