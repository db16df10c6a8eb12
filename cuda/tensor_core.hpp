// Exact integer products on tensor cores, and where their operands lie in memory.
//
// One instruction multiplies 16 x 32 signed bytes (rows times depth) with 32 x 8 (depth times columns) and adds to
// 16 x 8 sums of 32 bits; each of a warp's 32 lanes holds a fixed part of each ("fragments" in the PTX manual,
// mma.m16n8k32). Everything here is kept in memory as fragments: a tile of rows is 32 times 16 bytes, one of columns
// 32 times 8 bytes, in the order of the lanes, so that a warp loads a tile with one instruction and without shared
// memory.
//
// What multiplies weights, keys and values has more than 8 bits. It comes as two limbs in neighbouring columns, the
// upper one first: a tile of columns is four vectors, and a lane finds both sums of a vector in its own registers.
#pragma once

#include "threads.hpp"

namespace ncz::inline NCZ_ISA {

constexpr int kDepth = 32;             // of a tile
constexpr int kTileRows = 16;
constexpr int kVectors = 4;            // of a tile of columns
constexpr int kActivationLimb = 6;     // bits of the lower limb of activations and queries: -2047..2047
constexpr int kWeightLimb = 7;         // of attention weights: 0..8191

// sums += rows * columns. A lane's sums are those of rows lane / 4 and lane / 4 + 8, for columns lane % 4 * 2 and the
// next: [row 0: both limbs, row 1: both limbs] of vector lane % 4.
__device__ inline void multiply_add(int32_t (&sums)[4], uint4 rows, uint2 columns) {
#ifdef NCZ_TWIN
  twin::multiply_add(sums, rows, columns);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
      : "r"(rows.x), "r"(rows.y), "r"(rows.z), "r"(rows.w), "r"(columns.x), "r"(columns.y));
#endif
}

// The word of four depths (word = depth / 4) of a row, in words from the start of a matrix of `tiles` tiles a row.
__device__ inline size_t row_word(size_t row, size_t word, size_t tiles) {
  const size_t tile = row / kTileRows * tiles + word / 8, lane = row % 8 * 4 + word % 4;
  return (tile * kWarp + lane) * 4 + row % kTileRows / 8 + word % 8 / 4 * 2;
}
// The same in bytes, of one depth.
__device__ inline size_t row_byte(size_t row, size_t depth, size_t tiles) {
  return row_word(row, depth / 4, tiles) * 4 + depth % 4;
}
// The word of four depths of a limb (0: upper) of a vector, in words.
__device__ inline size_t column_word(size_t vector, size_t limb, size_t word, size_t tiles) {
  const size_t tile = vector / kVectors * tiles + word / 8, lane = (vector % kVectors * 2 + limb) * 4 + word % 4;
  return (tile * kWarp + lane) * 2 + word % 8 / 4;
}

}  // namespace ncz::inline NCZ_ISA
