// What a block of threads, or a warp, does together.
#pragma once

#include "language_arithmetic.hpp"
#ifdef NCZ_TWIN
#include "twin.hpp"
#endif

#define NCZ_KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)

namespace ncz::inline NCZ_ISA {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

__device__ inline int lane_of() { return static_cast<int>(threadIdx.x % kWarp); }
__device__ inline int warp_of() { return static_cast<int>(threadIdx.x / kWarp); }
__device__ inline int warps() { return static_cast<int>(blockDim.x / kWarp); }

__device__ inline float warp_most(float x) {
  for (int by = kWarp / 2; by > 0; by /= 2) x = max(x, __shfl_xor_sync(kAllLanes, x, by));
  return x;
}
template <typename T>
__device__ inline T warp_sum(T x) {
  for (int by = kWarp / 2; by > 0; by /= 2) x += __shfl_xor_sync(kAllLanes, x, by);
  return x;
}
// Of each lane the sum of the lanes up to it.
__device__ inline uint64_t warp_sums_up_to(uint64_t x) {
  for (int by = 1; by < kWarp; by *= 2) {
    const uint64_t other = __shfl_up_sync(kAllLanes, x, by);
    if (lane_of() >= by) x += other;
  }
  return x;
}
// What the warps have, joined from the first one on, for every thread. `of_this_warp`: the same in all of its lanes.
template <typename T, typename Join>
__device__ inline T block_joined(T of_this_warp, const Join& join) {
  __shared__ T of_warp[32];
  if (lane_of() == 0) of_warp[warp_of()] = of_this_warp;
  __syncthreads();
  T all = of_warp[0];
  for (int i = 1; i < warps(); ++i) all = join(all, of_warp[i]);
  __syncthreads();
  return all;
}
__device__ inline float block_most(float x) {
  return block_joined(warp_most(x), [](float a, float b) { return max(a, b); });
}
__device__ inline uint64_t block_sum(uint64_t x) {
  return block_joined(warp_sum(x), [](uint64_t a, uint64_t b) { return a + b; });
}

}  // namespace ncz::inline NCZ_ISA
