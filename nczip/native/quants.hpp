// GGUF's blocks of quantised weights, taken apart and put together: the scales, and each weight's integer.
//
// The layouts are ggml's (github.com/ggml-org/ggml, ggml-common.h); formats/tensor.md has them byte by byte.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace ncz {

enum class Quant { kInt8, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4_K, kQ5_K, kQ6_K };
inline constexpr int kQuants = 9;

struct QuantLayout {
  size_t bytes, weights;  // of a block
  int bits;               // of a weight's integer
  size_t parts;           // of a block, that have scales of their own
  bool offset;            // whether weights have an offset beside their scale
  int steps;              // between the ends of what a block's integers span, where its maker set them by the ends
};
// Rows of plain int8 have no blocks; 32 of them go together.
inline constexpr QuantLayout kQuantLayouts[kQuants] = {
    {32, 32, 8, 0, false, 0},     {18, 32, 4, 0, false, 0},    {20, 32, 4, 0, true, 15},
    {22, 32, 5, 0, false, 0},     {24, 32, 5, 0, true, 31},    {34, 32, 8, 0, false, 127},
    {144, 256, 4, 8, true, 0},    {176, 256, 5, 8, true, 0},   {210, 256, 6, 16, false, 0}};
inline constexpr size_t kMostParts = 16, kMostWeights = 256, kMostUnit = 210;

// Every value of every field is one that some block has: taking apart loses nothing, whatever the bytes. Signed fields
// have their top bit flipped, so that they are in order as integers without sign.
struct QuantBlock {
  uint16_t scale = 0, offset = 0;  // fp16
  uint8_t part_scale[kMostParts] = {}, part_offset[kMostParts] = {};
  uint8_t q[kMostWeights] = {};
};

namespace quants {

// One description serves both directions: move(at, shift, width, field, to) says that the field's `width` bits from bit
// `to` on are those of byte `at` from bit `shift` on.
template <class Move>
void each_field(Quant kind, QuantBlock& block, Move&& move) {
  const auto half = [&](size_t at, uint16_t& value) { move(at, 0, 8, value, 0), move(at + 1, 0, 8, value, 8); };
  const auto nibbles = [&](size_t at, uint8_t* q, size_t count, size_t apart) {
    for (size_t i = 0; i < count; ++i) move(at + i, 0, 4, q[i], 0), move(at + i, 4, 4, q[i + apart], 0);
  };
  switch (kind) {
    case Quant::kInt8:
      for (size_t i = 0; i < 32; ++i) move(i, 0, 8, block.q[i], 0);
      break;
    case Quant::kQ8_0:
      half(0, block.scale);
      for (size_t i = 0; i < 32; ++i) move(2 + i, 0, 8, block.q[i], 0);
      break;
    case Quant::kQ4_0:
    case Quant::kQ4_1:
    case Quant::kQ5_0:
    case Quant::kQ5_1: {
      size_t at = 2;
      half(0, block.scale);
      if (kind == Quant::kQ4_1 || kind == Quant::kQ5_1) half(2, block.offset), at = 4;
      const bool fifth = kind == Quant::kQ5_0 || kind == Quant::kQ5_1;
      nibbles(fifth ? at + 4 : at, block.q, 16, 16);
      for (size_t i = 0; fifth && i < 32; ++i) move(at + i / 8, static_cast<int>(i % 8), 1, block.q[i], 4);
      break;
    }
    case Quant::kQ4_K:
    case Quant::kQ5_K: {
      half(0, block.scale), half(2, block.offset);
      for (size_t j = 0; j < 4; ++j) {
        move(4 + j, 0, 6, block.part_scale[j], 0), move(8 + j, 0, 6, block.part_offset[j], 0);
        move(12 + j, 0, 4, block.part_scale[j + 4], 0), move(4 + j, 6, 2, block.part_scale[j + 4], 4);
        move(12 + j, 4, 4, block.part_offset[j + 4], 0), move(8 + j, 6, 2, block.part_offset[j + 4], 4);
      }
      const bool fifth = kind == Quant::kQ5_K;
      for (size_t g = 0; g < 4; ++g) nibbles((fifth ? 48 : 16) + 32 * g, block.q + 64 * g, 32, 32);
      for (size_t i = 0; fifth && i < 256; ++i) move(16 + i % 32, static_cast<int>(i / 32), 1, block.q[i], 4);
      break;
    }
    case Quant::kQ6_K:
      for (size_t h = 0; h < 2; ++h) {
        for (size_t g = 0; g < 2; ++g) nibbles(64 * h + 32 * g, block.q + 128 * h + 32 * g, 32, 64);
        for (size_t i = 0; i < 128; ++i)
          move(128 + 32 * h + i % 32, static_cast<int>(2 * (i / 32)), 2, block.q[128 * h + i], 4);
      }
      for (size_t j = 0; j < 16; ++j) move(192 + j, 0, 8, block.part_scale[j], 0);
      half(208, block.scale);
      break;
  }
}

inline void flip_signs(Quant kind, QuantBlock& block) {
  const QuantLayout& layout = kQuantLayouts[static_cast<size_t>(kind)];
  if (layout.bits == 8)
    for (size_t i = 0; i < layout.weights; ++i) block.q[i] ^= 0x80;
  if (kind == Quant::kQ6_K)
    for (size_t i = 0; i < layout.parts; ++i) block.part_scale[i] ^= 0x80;
}

}  // namespace quants

inline QuantBlock taken_apart(Quant kind, const uint8_t* bytes) {
  QuantBlock block;
  quants::each_field(kind, block, [&](size_t at, int shift, int width, auto& field, int to) {
    field = static_cast<std::remove_reference_t<decltype(field)>>(field | (bytes[at] >> shift & ((1 << width) - 1)) << to);
  });
  quants::flip_signs(kind, block);
  return block;
}

// The block's bytes, all of which this writes.
inline void put_together(Quant kind, QuantBlock block, uint8_t* bytes) {
  quants::flip_signs(kind, block);
  std::memset(bytes, 0, kQuantLayouts[static_cast<size_t>(kind)].bytes);
  quants::each_field(kind, block, [&](size_t at, int shift, int width, auto& field, int to) {
    bytes[at] = static_cast<uint8_t>(bytes[at] | (field >> to & ((1 << width) - 1)) << shift);
  });
}

// ---- what fp16 numbers are in integers

// Its magnitude in units of 2^-24, and the distance to the next one. Exponent 31 goes on as a number: nothing depends on
// what infinities mean.
inline int64_t half_magnitude(uint16_t half) {
  const int exponent = half >> 10 & 31;
  return exponent ? int64_t{1024 + (half & 1023)} << (exponent - 1) : half & 1023;
}
inline int64_t half_step(uint16_t half) {
  const int exponent = half >> 10 & 31;
  return int64_t{1} << (exponent ? exponent - 1 : 0);
}
inline int64_t half_value(uint16_t half) { return half >> 15 ? -half_magnitude(half) : half_magnitude(half); }

// Whether the scale is the nearest fp16 number to (top - offset) / steps for some top of 8 significant bits. It is in
// every block that was made by its ends from bf16 weights, and in a fourth or an eighth of all others.
inline bool ends_at_bf16(uint16_t scale, uint16_t offset, int steps) {
  const int64_t top = half_value(offset) + steps * half_value(scale), size = top < 0 ? -top : top;
  if (size < 256) return true;
  const int dropped = std::bit_width(static_cast<uint64_t>(size)) - 8;
  const int64_t nearest = (size + (int64_t{1} << (dropped - 1))) >> dropped << dropped;
  return 2 * (size > nearest ? size - nearest : nearest - size) <= steps * half_step(scale);
}

}  // namespace ncz
