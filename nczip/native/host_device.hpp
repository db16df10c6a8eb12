// What the headers that CUDA kernels share with the core need of a compiler: the host's, nvcc, or NVRTC.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__) || defined(NCZ_TWIN)
#define NCZ_DEVICE  // the code of kernels, also where the CPU runs it
#endif

#ifdef __CUDACC__
#define NCZ_HD __device__ inline          // a function of both
#define NCZ_LANES __device__ inline       // one of a real or of lanes of them
#define NCZ_METHOD __device__              // a member of a class of both
#define NCZ_TABLE static __device__ constexpr
#else
#define NCZ_HD constexpr
#define NCZ_LANES inline __attribute__((always_inline))
#define NCZ_METHOD
#define NCZ_TABLE inline constexpr
#endif

namespace ncz::inline NCZ_ISA {

NCZ_HD float float_of_bits(int32_t bits) {
#ifdef __CUDACC__
  return __int_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}
NCZ_HD int32_t bits_of_float(float x) {
#ifdef __CUDACC__
  return __float_as_int(x);
#else
  return std::bit_cast<int32_t>(x);
#endif
}
NCZ_LANES float square_root(float x) {
#ifdef __CUDACC__
  return __fsqrt_rn(x);
#else
  return std::sqrt(x);
#endif
}

}  // namespace ncz::inline NCZ_ISA
