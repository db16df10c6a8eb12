// Pinned arithmetic: every real-valued function that an archive depends on, in IEEE-754 binary32 + - * / alone.
//
// No library transcendental, no contraction (the build passes -ffp-contract=off), constants given as exact binary32.
// The core and the CUDA kernels both include this header; formats/mixture.md states the same steps in words.
#pragma once

#include "host_device.hpp"

namespace ncz::inline NCZ_ISA {

// Coefficients from the highest power down.
NCZ_TABLE float kExp2[7] = {
    0x1.430912p-13f,  // ln(2)^6 / 6!
    0x1.5d87fep-10f,  // ln(2)^5 / 5!
    0x1.3b2ab6p-7f,   // ln(2)^4 / 4!
    0x1.c6b08ep-5f,   // ln(2)^3 / 3!
    0x1.ebfbep-3f,    // ln(2)^2 / 2!
    0x1.62e43p-1f,    // ln(2)
    1.0f};
NCZ_TABLE float kLog2[4] = {
    0x1.a61762p-2f,   // 2 / (7 ln 2)
    0x1.2776c6p-1f,   // 2 / (5 ln 2)
    0x1.ec709ep-1f,   // 2 / (3 ln 2)
    0x1.715476p+1f};  // 2 / ln 2

// 2^x for x in [-126, 126] (clamped). Nearest integer by adding and subtracting 1.5 * 2^23, then a degree-6 Taylor
// polynomial of 2^f on [-0.5, 0.5]: relative error below 2^-22.
NCZ_HD float exp2_pinned(float x) {
  x = x < -126.0f ? -126.0f : x;
  x = x > 126.0f ? 126.0f : x;
  const float shifted = x + 12582912.0f;
  const float rounded = shifted - 12582912.0f;
  const float f = x - rounded;
  float y = f * kExp2[0] + kExp2[1];
  for (int i = 2; i < 7; ++i) y = y * f + kExp2[i];
  const int32_t exponent = static_cast<int32_t>(rounded);
  return y * float_of_bits((exponent + 127) << 23);
}

// log2(x) for normal positive x: exponent plus 2/ln(2) * atanh((m - 1) / (m + 1)) with m in [0.7071, 1.4142).
NCZ_HD float log2_pinned(float x) {
  const int32_t bits = bits_of_float(x);
  const int32_t exponent = (bits - 0x3f3504f3) >> 23;
  const float m = float_of_bits(bits - (exponent << 23));
  const float s = (m - 1.0f) / (m + 1.0f);
  const float q = s * s;
  float y = q * kLog2[0] + kLog2[1];
  y = y * q + kLog2[2];
  y = y * q + kLog2[3];
  return static_cast<float>(exponent) + y * s;
}

// The logistic domain, in bits: stretch(p) = log2(p / (1 - p)), squash(x) = 1 / (1 + 2^-x).
NCZ_HD float squash(float x) { return 1.0f / (1.0f + exp2_pinned(0.0f - x)); }
NCZ_HD float stretch(float p) { return log2_pinned(p / (1.0f - p)); }

}  // namespace ncz::inline NCZ_ISA
