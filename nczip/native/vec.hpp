// Sixteen binary32 lanes. One type, lowered by the compiler to 512-, 256- or 128-bit registers, or to plain loops in
// the scalar twin (NCZ_SCALAR). All operations are elementwise IEEE; the one reduction has a pinned order.
// Include only from files compiled once for each instruction set, inside its namespace.
#pragma once

#include <cstdint>
#include <cstring>

#include "arithmetic.hpp"

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
inline Vec exp2_pinned(Vec v) {
  for (float& lane : v.lane) lane = ncz::exp2_pinned(lane);
  return v;
}
inline Vec log2_pinned(Vec v) {
  for (float& lane : v.lane) lane = ncz::log2_pinned(lane);
  return v;
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

// The same steps as arithmetic.hpp's scalar functions, lane by lane.
typedef int32_t VecInt __attribute__((vector_size(64)));
inline __attribute__((always_inline)) Vec exp2_pinned(Vec x) {
  const Vec low = broadcast(-126.0f), high = broadcast(126.0f), magic = broadcast(12582912.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vec rounded = (x + magic) - magic;
  const Vec f = x - rounded;
  Vec y = f * kExp2[0] + kExp2[1];
  for (int i = 2; i < 7; ++i) y = y * f + kExp2[i];
  const VecInt exponent = __builtin_convertvector(rounded, VecInt);
  return y * reinterpret_cast<Vec>((exponent + 127) << 23);
}
inline __attribute__((always_inline)) Vec log2_pinned(Vec x) {
  const VecInt bits = reinterpret_cast<VecInt>(x);
  const VecInt exponent = (bits - 0x3f3504f3) >> 23;
  const Vec m = reinterpret_cast<Vec>(bits - (exponent << 23));
  const Vec s = (m - 1.0f) / (m + 1.0f);
  const Vec q = s * s;
  Vec y = q * kLog2[0] + kLog2[1];
  y = y * q + kLog2[2];
  y = y * q + kLog2[3];
  return __builtin_convertvector(exponent, Vec) + y * s;
}

#endif

inline Vec squash(Vec x) { return broadcast(1.0f) / (broadcast(1.0f) + exp2_pinned(broadcast(0.0f) - x)); }
inline Vec stretch(Vec p) { return log2_pinned(p / (broadcast(1.0f) - p)); }

}  // namespace ncz::NCZ_ISA
