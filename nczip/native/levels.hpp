// What each level of the online mixture is made of, and the byte contexts that it looks up.
#pragma once

#include <cstdint>

#include "hashing.hpp"
#include "structure.hpp"

namespace ncz::inline NCZ_ISA {

// hashed: byte contexts in the hash table; slot_share: bytes of that table for a byte of the block; pixels: bit contexts
// in the plane of the record length; direct: contexts with a counter for each bit and no history; match_length: least
// lengths of the match models, the longest first; selectors: values of each mixer selector; apms: secondary
// estimations, with any the mixer has two layers; structure: words, lines and records are kept, not words alone.
template <int kLevel>
struct Parts;

// known: of the hashed contexts, the first so many have histories in the knowledge that every block starts with.
template <>
struct Parts<4> {
  static constexpr int hashed = 4, known = 3, slot_share = 8;
  static constexpr int pixels = 0, direct = 0, matches = 1, sets = 2, apms = 0, apm_bits = 0;
  static constexpr uint32_t match_length[matches] = {6};
  static constexpr int match_bits = 17;
  static constexpr int selectors[sets] = {256, 1 << 9};
  static constexpr bool ssm = false, structure = false;
  static constexpr float rate_start = 0.01f, rate_end = 0.0015f;
};

template <>
struct Parts<5> {
  static constexpr int hashed = 10, known = 6, slot_share = 64;
  static constexpr int pixels = 1, direct = 0, matches = 2, sets = 6, apms = 2, apm_bits = 12;
  static constexpr uint32_t match_length[matches] = {7, 4};
  static constexpr int match_bits = 22;
  static constexpr int selectors[sets] = {256, 1 << 9, 3 << 8, 1 << 11, 7 << 8, 1 << 11};
  static constexpr bool ssm = false, structure = true;
  static constexpr float rate_start = 0.015f, rate_end = 0.004f;
};

template <>
struct Parts<6> {
  static constexpr int hashed = 40, known = 6, slot_share = 256;
  static constexpr int pixels = 4, direct = 6, matches = 3, sets = 9, apms = 3, apm_bits = 16;
  static constexpr uint32_t match_length[matches] = {12, 7, 4};
  static constexpr int match_bits = 22;
  static constexpr int selectors[sets] = {256,    1 << 9,  3 << 8,  1 << 11, 7 << 8,
                                          1 << 11, 1 << 11, 1 << 11, 1 << 11};
  static constexpr bool ssm = true, structure = true;
  static constexpr float rate_start = 0.012f, rate_end = 0.002f;
};

// The hashes of a level's byte contexts, in the order that the format fixes; each is salted with its place at levels 5
// and 6.
template <int kLevel>
void byte_contexts(const Structure& s, uint32_t* hash) {
  const uint32_t c1 = s.back(1), c2 = s.back(2), c3 = s.back(3), c4 = s.back(4), c5 = s.back(5), c6 = s.back(6);
  if constexpr (kLevel == 4) {
    // The same hashes as in the other levels, which share what is known. New contexts of order 6 come too often to look
    // each up.
    hash[0] = hash_of(0, c1, c2);
    hash[1] = hash_of(2, c1, c2, c3, c4);
    hash[2] = hash_of(4, s.word, c1);
    hash[3] = hash_of(3, c1, c2, c3, c4, c5, c6);
  } else {
    uint32_t salt = 0;
    const auto add = [&](auto... parts) { *hash++ = hash_of(salt++, parts...); };
    const uint32_t row = s.record;
    const auto either = [&](uint32_t in_records, uint32_t in_text) { add(row, row ? in_records : in_text); };
    const auto at = [&](size_t distance) { return row ? s.back(distance) : 0; };
    const uint32_t north = at(row), north2 = at(2 * row), north_west = at(row + 1), north_east = at(row - 1);
    const uint32_t place = row ? static_cast<uint32_t>(s.pos % row) : 0;
    const uint32_t column = s.column() < 255 ? s.column() : 255;
    const uint32_t after1 = s.after1[c1], after2 = s.after2[c2 << 8 | c1];

    add(c1, c2);  // n-grams and words; the first six contexts also tell the mixer how much is known
    add(c1, c2, c3);
    add(c1, c2, c3, c4);
    add(c1, c2, c3, c4, c5, c6);
    add(s.word, c1);
    add(s.word, s.word1);
    add(s.word, c1, s.word2);
    either(hash_of(north, place, row), hash_of(s.word1, c1, s.classes & 15));  // records and rows
    either(hash_of(north, north2, row), hash_of(after2 & 0xffff, c1));
    add(c1, column, s.above());
    if constexpr (kLevel == 6) {
      add(s.classes & 0xffff, c1);
      add(s.word, after1 & 0xffff);
      add(s.classes & 0xffffff, s.word);
      add(c4, c5, c6);
      add(s.above(), c1);
      add(c1, c2, c3, c4, c5);
      add(after1 & 0xffff, c1);
      add(c2, c3);
      either(hash_of(north, c1, row), hash_of(c2, c3, c4, c5));
      either(hash_of(north, north_east, north_west, c1), hash_of(c1 | c2 << 8 | c3 << 16 | c4 << 24, c5, c6, s.back(7)));
      add(c1 | c2 << 8 | c3 << 16 | c4 << 24, c5, c6, s.back(7), s.back(8));
      add(c3, c4);
      add(c1, c3);
      add(s.word, s.word1, s.word2);
      add((c1 & 0xf0) | (c2 & 0xf0) << 8 | (c3 & 0xf0) << 16 | c4 << 24);
      add(c1, c4, s.back(8));
      add(s.word, s.open & 255);
      add(s.word, s.word2);
      add(c2, c3, c4);
      add(s.first, column, c1);
      add(after2 & 0xffffff, c1, c2);
      add(s.word, s.above(), s.first);
      add(s.word1, s.word2, s.word ? 0 : c1);
      add(c1 & 0xdf, c2 & 0xdf, c3 & 0xdf);
      add(s.word, s.word3);
      either(hash_of(north, north2, at(3 * row)), hash_of(s.word, s.word1, s.word2, s.word3));
      either(hash_of(place, c1, row), hash_of(s.word, s.word2, s.word3));
      either(hash_of(north + c1 - north_west, (north + c1) >> 1), hash_of(s.word1, s.word2, s.word3, s.word ? 0 : c1));
      add(s.open, s.word);
      either(hash_of(north, north_east, c1), hash_of(s.word, s.classes & 0xfff));
    }
  }
}

// Contexts whose bits have counters of their own (level 6).
inline void direct_contexts(const Structure& s, uint32_t* hash) {
  const uint32_t c1 = s.back(1), c2 = s.back(2), c3 = s.back(3);
  hash[0] = hash_of(c1);
  hash[1] = hash_of(c1, c2);
  hash[2] = hash_of(c1, c2, c3);
  hash[3] = hash_of(c1, c2, c3, s.back(4));
  hash[4] = hash_of(s.word, c1);
  hash[5] = hash_of(s.word, s.word1);
}

// Bits to the left in this row and around this bit in the rows above, as on a bitmap; where no record length shows,
// sparse bit contexts. context[k] < 2^18. partial: the bits of this byte under a leading 1.
inline constexpr int kPixelBits = 18;
inline void pixel_contexts(const Structure& s, uint32_t partial, int bit_index, int count, uint32_t* context) {
  constexpr int kShift = 32 - kPixelBits;
  const uint32_t row = s.record;
  const uint32_t bits = static_cast<uint32_t>(bit_index);
  const uint32_t left = s.back(1) << bits | (partial & ((1u << bits) - 1));
  if (row) {
    // `before` bits to the left of the one at this distance, itself, and `after` bits to its right.
    const auto around = [&](size_t distance, uint32_t before, uint32_t after) {
      const uint32_t window = s.back(distance + 1) << 16 | s.back(distance) << 8 | s.back(distance - 1);
      return (window >> (15 - bits - after)) & ((1u << (before + 1 + after)) - 1);
    };
    const uint32_t near = around(2 * row, 2, 2), wide = around(row, 3, 3);
    context[0] = (left & 15) | around(row, 2, 2) << 4 | near << 9;
    if (count == 1) return;
    context[1] = hash_of(left & 127, wide, near, 1) >> kShift;
    context[2] = hash_of(left & 15, around(row, 4, 5), around(2 * row, 3, 3), around(3 * row, 1, 1)) >> kShift;
    context[3] = hash_of(left & 255, around(row, 3, 4), s.pos % row, 2) >> kShift;
  } else {
    context[0] = left & 0xffff;
    if (count == 1) return;
    context[1] = hash_of(left & 127, s.back(2), bits) >> kShift;
    context[2] = hash_of(left & 15, s.back(4), bits, 5) >> kShift;
    context[3] = hash_of(left & 7, s.back(3), bits, 6) >> kShift;
  }
}

}  // namespace ncz::inline NCZ_ISA
