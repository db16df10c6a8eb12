// The language model's elementwise steps and its numbers, of one real or of sixteen lanes of them (vec.hpp): what the
// core and the CUDA kernels compute alike. formats/language.md states the same steps in words.
#pragma once

#include "arithmetic.hpp"

namespace ncz::inline NCZ_ISA {

inline constexpr float kLog2E = 0x1.715476p+0f;
inline constexpr float kWeightMax = 127.0f;        // of weights, keys and values
inline constexpr int kActivationMax = 2047;        // 2047 * 127 * columns has to stay below 2^31
inline constexpr float kFinest = 8191.0f;          // the largest attention weight
inline constexpr float kMostWeight = 16760000.0f;  // of all together: 127 times as much is below 2^31
inline constexpr int32_t kMostWeights = 1 << 24;   // above it they become fewer
inline constexpr float kHidden = -0x1p100f;        // bits; scores that are seen are -2^60..2^60
inline constexpr float kNever = -1e30f;            // the bias of a token that the model does not know
inline constexpr float kBiasRate = 0.1f;           // of the other tokens' biases, in nats a token
inline constexpr int kSinkPositions = 4;           // that are always seen
inline constexpr int kSinkSlots = 16;              // of a cache, a panel of their own

// The same value in every lane.
template <typename Real>
NCZ_LANES Real real(float x);
template <>
NCZ_LANES float real<float>(float x) {
  return x;
}
NCZ_LANES float min(float a, float b) { return a < b ? a : b; }
NCZ_LANES float max(float a, float b) { return a > b ? a : b; }

// Nearest integer, ties to even, of |x| < 2^22.
template <typename Real>
NCZ_LANES Real nearest(Real x) {
  return (x + real<Real>(12582912.0f)) - real<Real>(12582912.0f);
}
// What is no number, or too large for one, becomes a large one: hostile weights must not reach conversions.
template <typename Real>
NCZ_LANES Real finite(Real x) {
  return max(min(x, real<Real>(0x1p60f)), real<Real>(-0x1p60f));
}
template <typename Real>
NCZ_LANES Real magnitude(Real x) {
  return max(x, real<Real>(0.0f) - x);
}

// How reals become integers of -most to most, and back.
struct Scaling {
  float unit;    // of an integer
  float factor;  // of a real, before it is rounded
};
// By the largest magnitude; what is next to nothing becomes 0.
NCZ_HD Scaling scaling(float largest, float most) {
  if (!(largest > 0x1p-100f)) return {0.0f, 0.0f};
  return {largest / most, most / largest};
}
template <typename Real>
NCZ_LANES Real whole(Real x, float factor) {
  return nearest(finite(x) * real<Real>(factor));
}

// Of a sum of integers, the scale of the row that went in, and that of the matrix's row.
template <typename Real>
NCZ_LANES Real product(Real sum, Real scale, Real row_scale) {
  return sum * scale * row_scale;
}
NCZ_HD float embedded(float weight, float scale, float embedding_scale) { return weight * scale * embedding_scale; }

// Root mean square norm: what all of a row are multiplied with, and one of them.
NCZ_LANES float norm_factor(float squares, size_t size, float eps) {
  return 1.0f / square_root(squares / static_cast<float>(size) + eps);
}
template <typename Real>
NCZ_LANES Real normed(Real x, Real factor, Real gain) {
  return x * factor * gain;
}

template <typename Real>
NCZ_LANES Real gated(Real gate, Real value, bool gelu) {
  Real slope = gate;
  if (gelu)  // tanh's form: x / (1 + e^(-2 sqrt(2 / pi) (x + 0.044715 x^3)))
    slope = real<Real>(0x1.988454p+0f) * (gate + real<Real>(0x1.6e4e26p-5f) * gate * gate * gate);
  const Real open = gate / (real<Real>(1.0f) + exp2_pinned(real<Real>(0.0f) - slope * real<Real>(kLog2E)));
  return open * value;
}

// sin and cos of a phase in 2^-32 turns: Taylor polynomials of degree 11 on a quarter turn either way.
NCZ_HD float sine(uint32_t phase) {
  int32_t x = static_cast<int32_t>(phase);
  if (x > 0x40000000 || x < -0x40000000) x = static_cast<int32_t>(0x80000000u - static_cast<uint32_t>(x));
  const float t = static_cast<float>(x) * 0x1p-32f;  // turns, -0.25..0.25
  const float q = t * t;
  float y = q * -0x1.e3075p+3f + 0x1.507834p+5f;  // (2 pi)^11 / 11!, ...
  y = y * q + -0x1.32d2ccp+6f;
  y = y * q + 0x1.466bc6p+6f;
  y = y * q + -0x1.4abbcep+5f;
  y = y * q + 0x1.921fb6p+2f;
  return y * t;
}
NCZ_HD float cosine(uint32_t phase) { return sine(phase + 0x40000000u); }
// Of a pair a, b: what each becomes when it turns.
NCZ_HD float turned_first(float a, float b, float cos, float sin) { return a * cos - b * sin; }
NCZ_HD float turned_second(float a, float b, float cos, float sin) { return b * cos + a * sin; }

// Attention: a score in bits; what a position weighs, 1 the highest; that in a sum; and what sums of values times
// weights are to be multiplied with.
template <typename Real>
NCZ_LANES Real score(Real sum, Real scale, Real key_scale) {
  return finite(sum * scale * key_scale);
}
template <typename Real>
NCZ_LANES Real counted(Real e) {
  return nearest(e * real<Real>(0x1p17f));
}
NCZ_HD float fewer_weights(int32_t sum) { return kFinest * (kMostWeight / static_cast<float>(sum)); }
NCZ_HD float attention_unit(float unit, uint32_t total) {
  return unit / (static_cast<float>(static_cast<int32_t>(total)) * 0x1p-17f);
}

// A token's weight, of its logit in bits, its bias, and the most of both together. Finite before too: what has no bias
// but kNever has none of any size.
template <typename Real>
NCZ_LANES Real biased(Real logit, Real bias) {
  return finite(finite(logit) + bias);
}
template <typename Real>
NCZ_LANES Real token_weight(Real biased, Real top) {
  return max(exp2_pinned(biased - top) * real<Real>(0x1p28f), real<Real>(1.0f));
}

// Direct coding: so many bits are cut from partial sums; then how much of 2^24 lies below an entry.
NCZ_HD int cut_bits(uint64_t all) {
  int shift = 0;
  while (all >> shift >> 40) ++shift;
  return shift;
}
NCZ_HD uint32_t cumulative(uint64_t sum, uint64_t all, int shift, size_t vocabulary, size_t entry) {
  return static_cast<uint32_t>((sum >> shift) * ((uint64_t{1} << 24) - vocabulary) / (all >> shift) + entry);
}

}  // namespace ncz::inline NCZ_ISA
