// Sixteen binary32 lanes: one type, in as many 512-, 256- or 128-bit registers as that takes, or plain loops in the
// scalar twin (NCZ_SCALAR). All operations are elementwise IEEE; the one reduction has a pinned order.
// Include only from files compiled once for each instruction set, inside its namespace.
#pragma once

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
  for (int i = 0; i < kLanes; ++i) v.lane[i] = p[i];
  return v;
}
inline Vec gather8(const float* p) {
  Vec v = {};
  for (int i = 0; i < 8; ++i) v.lane[i] = p[i];
  return v;
}
inline Vec gather16(const float* p) { return load(p); }
inline void store(float* p, Vec v) {
  for (int i = 0; i < kLanes; ++i) p[i] = v.lane[i];
}
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
  for (float& lane : v.lane) lane = ncz::square_root(lane);
  return v;
}
// Lane i is sum(v[i]), for eight vectors; the other lanes are zeros.
inline Vec sums8(const Vec* v) {
  Vec out = {};
  for (int i = 0; i < 8; ++i) out.lane[i] = sum(v[i]);
  return out;
}
// Lane i is sum(v[i]), for sixteen.
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

#define NCZ_INLINE inline __attribute__((always_inline))

// A Vec is as many of the machine's registers as sixteen lanes take: compilers keep wider vector types in memory.
#if defined(__AVX512F__)
inline constexpr int kPartLanes = 16;
#elif defined(__AVX__)
inline constexpr int kPartLanes = 8;
#else
inline constexpr int kPartLanes = 4;
#endif
inline constexpr int kParts = kLanes / kPartLanes;
typedef float Part __attribute__((vector_size(kPartLanes * sizeof(float))));
typedef int32_t PartInt __attribute__((vector_size(kPartLanes * sizeof(int32_t))));
typedef float Four __attribute__((vector_size(4 * sizeof(float))));

struct Vec {
  Part part[kParts];
};
#define NCZ_EACH_PART _Pragma("GCC unroll 4") for (int i = 0; i < kParts; ++i)

#define NCZ_VEC_OP(op)                                         \
  NCZ_INLINE Vec operator op(Vec a, Vec b) {                   \
    NCZ_EACH_PART a.part[i] = a.part[i] op b.part[i];          \
    return a;                                                  \
  }
NCZ_VEC_OP(+)
NCZ_VEC_OP(-)
NCZ_VEC_OP(*)
NCZ_VEC_OP(/)
#undef NCZ_VEC_OP
NCZ_INLINE Vec broadcast(float x) {
  Vec v;
  NCZ_EACH_PART v.part[i] = x - Part{};
  return v;
}
NCZ_INLINE Vec load(const float* p) {
  Vec v;
  NCZ_EACH_PART std::memcpy(&v.part[i], p + i * kPartLanes, sizeof(Part));
  return v;
}
NCZ_INLINE void store(float* p, Vec v) {
  NCZ_EACH_PART std::memcpy(p + i * kPartLanes, &v.part[i], sizeof(Part));
}
// The eight values and eight zeros, put together in registers.
NCZ_INLINE Vec gather8(const float* p) {
#if defined(__AVX512F__)
  return {{Part{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]}}};
#elif defined(__AVX__)
  return {{Part{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]}, Part{}}};
#else
  return {{Part{p[0], p[1], p[2], p[3]}, Part{p[4], p[5], p[6], p[7]}, Part{}, Part{}}};
#endif
}
// The sixteen values, likewise.
NCZ_INLINE Vec gather16(const float* p) {
#if defined(__AVX512F__)
  return {{Part{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]}}};
#elif defined(__AVX__)
  return {{Part{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]},
           Part{p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]}}};
#else
  return {{Part{p[0], p[1], p[2], p[3]}, Part{p[4], p[5], p[6], p[7]}, Part{p[8], p[9], p[10], p[11]},
           Part{p[12], p[13], p[14], p[15]}}};
#endif
}
// a < b ? a : b and a > b ? a : b, to the sign of a zero: what x86 has one instruction for, though compilers use two.
NCZ_INLINE Part min_part(Part a, Part b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Part>(_mm512_maskz_min_ps(0xffff, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#else
  return a < b ? a : b;
#endif
}
NCZ_INLINE Part max_part(Part a, Part b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Part>(_mm512_maskz_max_ps(0xffff, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#else
  return a > b ? a : b;
#endif
}
NCZ_INLINE Vec min(Vec a, Vec b) {
  NCZ_EACH_PART a.part[i] = min_part(a.part[i], b.part[i]);
  return a;
}
NCZ_INLINE Vec max(Vec a, Vec b) {
  NCZ_EACH_PART a.part[i] = max_part(a.part[i], b.part[i]);
  return a;
}

// Lane i of the result: lanes i, i + 8, then those and i + 4, i + 12.
NCZ_INLINE Four to_four(Vec v) {
#if defined(__AVX512F__)
  typedef float Eight __attribute__((vector_size(8 * sizeof(float))));
  const Eight a = __builtin_shufflevector(v.part[0], v.part[0], 0, 1, 2, 3, 4, 5, 6, 7) +
                  __builtin_shufflevector(v.part[0], v.part[0], 8, 9, 10, 11, 12, 13, 14, 15);
  return __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
#elif defined(__AVX__)
  const Part a = v.part[0] + v.part[1];
  return __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
#else
  return (v.part[0] + v.part[2]) + (v.part[1] + v.part[3]);
#endif
}
NCZ_INLINE float sum(Vec v) {
  const Four a = to_four(v);
  return (a[0] + a[2]) + (a[1] + a[3]);
}
// Four sums at once: their last two steps are done side by side.
NCZ_INLINE Four sums4(const Vec* v) {
  const Four a = to_four(v[0]), b = to_four(v[1]), c = to_four(v[2]), d = to_four(v[3]);
  const Four ab = __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
  const Four cd = __builtin_shufflevector(c, d, 0, 1, 4, 5) + __builtin_shufflevector(c, d, 2, 3, 6, 7);
  return __builtin_shufflevector(ab, cd, 0, 2, 4, 6) + __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
}
NCZ_INLINE Vec sums8(const Vec* v) {
  const Four a = sums4(v), b = sums4(v + 4);
#if defined(__AVX512F__)
  const __m256 ab = _mm256_set_m128(reinterpret_cast<__m128>(b), reinterpret_cast<__m128>(a));
  return {{reinterpret_cast<Part>(_mm512_maskz_broadcast_f32x8(0xff, ab))}};
#elif defined(__AVX__)
  return {{__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7), Part{}}};
#else
  return {{a, b, Part{}, Part{}}};
#endif
}
NCZ_INLINE Vec sums(const Vec* v) {
  alignas(64) float out[kLanes];
  for (int i = 0; i < kLanes; i += 4) {
    const Four sum = sums4(v + i);
    std::memcpy(out + i, &sum, sizeof sum);
  }
  return load(out);
}

// The same steps as arithmetic.hpp's scalar functions, lane by lane.
NCZ_INLINE Part exp2_part(Part x) {
  const Part low = -126.0f - Part{}, high = 126.0f - Part{};
  x = min_part(high, max_part(low, x));
  const Part shifted = x + 12582912.0f;  // its lowest bits are the nearest integer
  const Part f = x - (shifted - 12582912.0f);
  Part y = f * kExp2[0] + kExp2[1];
  for (int i = 2; i < 7; ++i) y = y * f + kExp2[i];
  return y * reinterpret_cast<Part>((reinterpret_cast<PartInt>(shifted) << 23) + (127 << 23));
}
NCZ_INLINE Part log2_part(Part x) {
  const PartInt bits = reinterpret_cast<PartInt>(x);
  const PartInt exponent = (bits - 0x3f3504f3) >> 23;
  const Part m = reinterpret_cast<Part>(bits - (exponent << 23));
  const Part s = (m - 1.0f) / (m + 1.0f);
  const Part q = s * s;
  Part y = q * kLog2[0] + kLog2[1];
  y = y * q + kLog2[2];
  y = y * q + kLog2[3];
  return __builtin_convertvector(exponent, Part) + y * s;
}
NCZ_INLINE Part square_root_part(Part x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Part>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(x)));
#elif defined(__AVX__)
  return reinterpret_cast<Part>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#elif defined(__SSE2__)
  return reinterpret_cast<Part>(_mm_sqrt_ps(reinterpret_cast<__m128>(x)));
#elif defined(__aarch64__)
  return reinterpret_cast<Part>(vsqrtq_f32(reinterpret_cast<float32x4_t>(x)));
#else
  for (int i = 0; i < kPartLanes; ++i) x[i] = std::sqrt(x[i]);
  return x;
#endif
}
NCZ_INLINE Vec exp2_pinned(Vec v) {
  NCZ_EACH_PART v.part[i] = exp2_part(v.part[i]);
  return v;
}
NCZ_INLINE Vec log2_pinned(Vec v) {
  NCZ_EACH_PART v.part[i] = log2_part(v.part[i]);
  return v;
}
NCZ_INLINE Vec square_root(Vec v) {
  NCZ_EACH_PART v.part[i] = square_root_part(v.part[i]);
  return v;
}
NCZ_INLINE void store_counts(uint32_t* p, Vec v) {
  NCZ_EACH_PART {
    const PartInt n = __builtin_convertvector(v.part[i], PartInt);
    std::memcpy(p + i * kPartLanes, &n, sizeof n);
  }
}
NCZ_INLINE Vec load_counts(const uint32_t* p) {
  Vec v;
  NCZ_EACH_PART {
    PartInt n;
    std::memcpy(&n, p + i * kPartLanes, sizeof n);
    v.part[i] = __builtin_convertvector(n, Part);
  }
  return v;
}
#undef NCZ_EACH_PART
#undef NCZ_INLINE

#endif

inline Vec squash(Vec x) { return broadcast(1.0f) / (broadcast(1.0f) + exp2_pinned(broadcast(0.0f) - x)); }
inline Vec stretch(Vec p) { return log2_pinned(p / (broadcast(1.0f) - p)); }

}  // namespace ncz::inline NCZ_ISA
