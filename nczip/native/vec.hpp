// Sixteen binary32 lanes. One type, lowered by the compiler to 512-, 256- or 128-bit registers, or to plain loops in
// the scalar twin (NCZ_SCALAR). All operations are elementwise IEEE; the one reduction has a pinned order.
// Include only from files compiled once for each instruction set, inside its namespace.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__SSE2__) && !defined(NCZ_SCALAR)
#include <immintrin.h>
#elif defined(__aarch64__) && !defined(NCZ_SCALAR)
#include <arm_neon.h>
#endif

#include "arithmetic.hpp"

namespace ncz::inline NCZ_ISA {

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
inline Vec gather8(const float* p) {
  Vec v = {};
  std::memcpy(&v, p, 8 * sizeof(float));
  return v;
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
// ((lanes i and i+8) then (i and i+4) then (i and i+2) then (0 and 1)): the pinned order of every sum over lanes.
inline float sum(Vec v) {
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) v.lane[i] = v.lane[i] + v.lane[i + width];
  return v.lane[0];
}
inline Vec min(Vec a, Vec b) {
  for (int i = 0; i < kLanes; ++i) a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
  return a;
}
inline Vec max(Vec a, Vec b) {
  for (int i = 0; i < kLanes; ++i) a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
  return a;
}
inline Vec exp2_pinned(Vec v) {
  for (float& lane : v.lane) lane = ncz::exp2_pinned(lane);
  return v;
}
inline Vec log2_pinned(Vec v) {
  for (float& lane : v.lane) lane = ncz::log2_pinned(lane);
  return v;
}
inline Vec square_root(Vec v) {
  for (float& lane : v.lane) lane = std::sqrt(lane);
  return v;
}
// Lane i is sum(v[i]).
inline Vec sums(const Vec* v) {
  Vec out;
  for (int i = 0; i < kLanes; ++i) out.lane[i] = sum(v[i]);
  return out;
}
// Counts are integers below 2^31: rounded towards zero on the way in, exact on the way out below 2^24.
inline void store_counts(uint32_t* p, Vec x) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<uint32_t>(static_cast<int32_t>(x.lane[i]));
}
inline Vec load_counts(const uint32_t* p) {
  Vec v;
  for (int i = 0; i < kLanes; ++i) v.lane[i] = static_cast<float>(static_cast<int32_t>(p[i]));
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
// The eight values and eight zeros, put together in registers.
inline __attribute__((always_inline)) Vec gather8(const float* p) { return Vec{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]}; }
inline __attribute__((always_inline)) void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
inline __attribute__((always_inline)) float sum(Vec v) {
  typedef float V8 __attribute__((vector_size(32)));
  typedef float V4 __attribute__((vector_size(16)));
  const V8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
               __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const V4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
  return (b[0] + b[2]) + (b[1] + b[3]);
}

inline __attribute__((always_inline)) Vec min(Vec a, Vec b) { return a < b ? a : b; }
inline __attribute__((always_inline)) Vec max(Vec a, Vec b) { return a > b ? a : b; }

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
inline __attribute__((always_inline)) Vec square_root(Vec v) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(v)));
#elif defined(__AVX__)
  __m256 half[2];
  std::memcpy(half, &v, sizeof v);
  for (__m256& h : half) h = _mm256_sqrt_ps(h);
  std::memcpy(&v, half, sizeof v);
  return v;
#elif defined(__SSE2__)
  __m128 quarter[4];
  std::memcpy(quarter, &v, sizeof v);
  for (__m128& q : quarter) q = _mm_sqrt_ps(q);
  std::memcpy(&v, quarter, sizeof v);
  return v;
#elif defined(__aarch64__)
  float32x4_t quarter[4];
  std::memcpy(quarter, &v, sizeof v);
  for (float32x4_t& q : quarter) q = vsqrtq_f32(q);
  std::memcpy(&v, quarter, sizeof v);
  return v;
#else
  for (int i = 0; i < kLanes; ++i) v[i] = std::sqrt(v[i]);
  return v;
#endif
}
// Sixteen sums at once, each in the order of sum(): pairs of vectors merge until lane i holds that of v[i].
inline __attribute__((always_inline)) Vec sums(const Vec* v) {
  Vec a[8], b[4], c[2];
  for (int i = 0; i < 8; ++i)
    a[i] = __builtin_shufflevector(v[i], v[i + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           __builtin_shufflevector(v[i], v[i + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  for (int i = 0; i < 4; ++i)
    b[i] = __builtin_shufflevector(a[i], a[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) +
           __builtin_shufflevector(a[i], a[i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  for (int i = 0; i < 2; ++i)
    c[i] = __builtin_shufflevector(b[i], b[i + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           __builtin_shufflevector(b[i], b[i + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  // Position 4g + 2h + k of c[i] holds, for k = 0, 1, two halves of one vector's sum: g = 0..3 and h name it.
  return __builtin_shufflevector(c[0], c[1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) +
         __builtin_shufflevector(c[0], c[1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
}
inline __attribute__((always_inline)) void store_counts(uint32_t* p, Vec x) {
  const VecInt n = __builtin_convertvector(x, VecInt);
  std::memcpy(p, &n, sizeof n);
}
inline __attribute__((always_inline)) Vec load_counts(const uint32_t* p) {
  VecInt n;
  std::memcpy(&n, p, sizeof n);
  return __builtin_convertvector(n, Vec);
}

#endif

inline Vec squash(Vec x) { return broadcast(1.0f) / (broadcast(1.0f) + exp2_pinned(broadcast(0.0f) - x)); }
inline Vec stretch(Vec p) { return log2_pinned(p / (broadcast(1.0f) - p)); }

}  // namespace ncz::inline NCZ_ISA
