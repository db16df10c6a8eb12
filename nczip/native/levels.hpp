// What each level of the online mixture is made of, and the byte contexts that it looks up.
#pragma once

#include <cstdint>

#include "hashing.hpp"
#include "structure.hpp"
#include "sureness.hpp"

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
  static constexpr int selectors[sets] = {256, 1 << 9, 3 << 8, 1 << 12, 7 << 8, 1 << 12};
  static constexpr bool ssm = false, structure = true;
  static constexpr float rate_start = 0.015f, rate_end = 0.004f, final_rate = 0.0007f;
};

template <>
struct Parts<6> {
  static constexpr int hashed = 40, known = 6, slot_share = 256;
  static constexpr int pixels = 4, direct = 6, matches = 3, sets = 9, apms = 3, apm_bits = 16;
  static constexpr uint32_t match_length[matches] = {12, 7, 4};
  static constexpr int match_bits = 22;
  static constexpr int selectors[sets] = {256,    1 << 9,  3 << 8,  1 << 12, 7 << 8,
                                          1 << 12, 1 << 12, 1 << 12, 1 << 12};
  static constexpr bool ssm = true, structure = true;
  static constexpr float rate_start = 0.012f, rate_end = 0.002f, final_rate = 0.0007f;
};

// With a language model: its opinion of each bit is an input too, and selects weights. The tables are small at level 8,
// so that they fit the memory of a device that codes many blocks at once. What the model leaves is learnt slowly.
template <>
struct Parts<8> : Parts<5> {
  static constexpr int sets = 8, apm_bits = 11;
  static constexpr int selectors[sets] = {Parts<5>::selectors[0], Parts<5>::selectors[1], Parts<5>::selectors[2],
                                          Parts<5>::selectors[3], Parts<5>::selectors[4], Parts<5>::selectors[5],
                                          kSureness << 3,         kSureness << 3};
  static constexpr float rate_start = 0.003f, rate_end = 0.0007f, final_rate = 0.0002f;
};

template <>
struct Parts<9> : Parts<6> {
  static constexpr int sets = 11;
  static constexpr int selectors[sets] = {Parts<6>::selectors[0], Parts<6>::selectors[1], Parts<6>::selectors[2],
                                          Parts<6>::selectors[3], Parts<6>::selectors[4], Parts<6>::selectors[5],
                                          Parts<6>::selectors[6], Parts<6>::selectors[7], Parts<6>::selectors[8],
                                          kSureness << 3,         kSureness << 3};
  static constexpr float rate_start = 0.003f, rate_end = 0.0007f, final_rate = 0.0002f;
};

// The hashes of n-grams and words, which begin the list of text and that of binary data. They also tell the mixer how
// much is known.
inline constexpr int kShared = 6;
inline void shared_contexts(const Structure& s, uint32_t* hash) {
  const uint32_t c1 = s.back(1), c2 = s.back(2), c3 = s.back(3), c4 = s.back(4);
  hash[0] = hash_of(0, c1, c2);
  hash[1] = hash_of(1, c1, c2, c3);
  hash[2] = hash_of(2, c1, c2, c3, c4);
  hash[3] = hash_of(3, c1, c2, c3, c4, s.back(5), s.back(6));
  hash[4] = hash_of(4, s.word, c1);
  hash[5] = hash_of(5, s.word, s.word1);
}

// The hashes of the other byte contexts in binary data, the most useful first: a level takes as many as it has.
template <int kCount>
void binary_contexts(const Structure& s, uint32_t* hash) {
  static_assert(kCount == 4 || kCount == 34);
  uint32_t salt = 64;  // what has a lower one means something else in text
  const auto add = [&](auto... parts) { *hash++ = hash_of(salt++, parts...); };
  const uint32_t c1 = s.back(1), c2 = s.back(2), c3 = s.back(3), c4 = s.back(4), c5 = s.back(5), c6 = s.back(6);
  const uint32_t c7 = s.back(7), c8 = s.back(8);
  const uint32_t record = s.record, row = s.row;
  const auto at = [&](size_t distance) { return record ? s.back(distance) : 0; };
  const uint32_t north = at(record), north2 = at(2 * record), north_west = at(record + 1), north_east = at(record - 1);
  const uint32_t place = record ? static_cast<uint32_t>(s.pos % record) : 0;
  const uint32_t above = row ? s.back(row) : 0, above_west = row ? s.back(row + record) : 0;
  const uint32_t after1 = s.after1[c1], after2 = s.after2[c2 << 8 | c1];
  const uint32_t in = s.pos & 3;  // the place in a word, and the bytes of that word so far
  const uint32_t four = c1 | c2 << 8 | c3 << 16 | c4 << 24, begun = in ? four & ((1u << 8 * in) - 1) : 0;
  uint32_t zeros = 0, equal = 0;  // which of the last bytes are 0, and which as they were a record before
  for (uint32_t i = 1; i <= 12; ++i) zeros = zeros << 1 | (s.back(i) == 0);
  for (uint32_t i = 1; i <= 6; ++i) equal = equal << 1 | (s.back(i) == at(record + i));

  add(c2, c3);
  add(north + c1 - north_west, (north + c1) >> 1);
  add(2 * north - north2, place, record);
  add(north, place, record);
  if constexpr (kCount == 4) return;
  add(c3, c4);
  add(place, c1, record);
  add(c1 & 0xf8, c2 & 0xf8, c3 & 0xf8, c4 & 0xf8);  // opcodes without registers
  add(c2, c4, c6);
  add(in, c1, c4);
  add(c1, c3);
  add(after2 & 0xffff, c1);
  add(after1 & 0xffff, c1);
  add((c1 & 0xf0) | (c2 & 0xf0) << 8 | (c3 & 0xf0) << 16 | c4 << 24);
  add(north, c1, record);
  add(north, north2, at(3 * record));
  add(place, record, c1, c2);
  add(in, c4, c8);
  add(north, north2, c1 - north_west);
  add(zeros, c1);
  add(in, c1, c2);
  add(c3, c6);
  add(c5, c6, c7, c8);
  add(zeros & 255, c4, in);
  add(in, begun, s.back(4 + in), s.back(8 + in));
  add(place, north, equal);
  add(above + c1 - s.back(row + 1), above);
  add(above + north - above_west, north);
  add(above, north, row);
  add(c4, c5);
  add(c2, c3, c4);
  add(four, c5, c6, c7, c8);
  add(north, north_east, north_west, c1);
  add(s.expected, c1);
  add(s.expected, s.expected_for);
}

// The hashes of a level's byte contexts, in the order that the format fixes; each is salted with its place at levels 5
// and 6.
template <int kLevel>
void byte_contexts(const Structure& s, uint32_t* hash) {
  uint32_t shared[kShared];
  shared_contexts(s, shared);
  if constexpr (kLevel == 4) {
    // The levels share what is known of these. New contexts of order 6 come too often to look each up.
    hash[0] = shared[0], hash[1] = shared[2], hash[2] = shared[4], hash[3] = shared[3];
  } else {
    for (uint32_t context : shared) *hash++ = context;
    if (s.binary) return binary_contexts<Parts<kLevel>::hashed - kShared>(s, hash);
    uint32_t salt = kShared;
    const uint32_t c1 = s.back(1), c2 = s.back(2), c3 = s.back(3), c4 = s.back(4), c5 = s.back(5), c6 = s.back(6);
    const auto add = [&](auto... parts) { *hash++ = hash_of(salt++, parts...); };
    const uint32_t row = s.record;
    const auto either = [&](uint32_t in_records, uint32_t in_text) { add(row, row ? in_records : in_text); };
    const auto at = [&](size_t distance) { return row ? s.back(distance) : 0; };
    const uint32_t north = at(row), north2 = at(2 * row), north_west = at(row + 1), north_east = at(row - 1);
    const uint32_t place = row ? static_cast<uint32_t>(s.pos % row) : 0;
    const uint32_t column = s.column() < 255 ? s.column() : 255;
    const uint32_t after1 = s.after1[c1], after2 = s.after2[c2 << 8 | c1];

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

// The bits around the one to come, where records are rows: to its left in this row, and in the rows above.
struct Neighbourhood {
  uint32_t left;       // 16 bits of this row, the last one lowest
  uint32_t window[6];  // of each row above: the byte at this place between its neighbours
  uint32_t bits;

  Neighbourhood(const Structure& s, uint32_t partial, int bit_index, uint32_t rows)
      : bits(static_cast<uint32_t>(bit_index)) {
    left = s.back(2) << (8 + bits) | s.back(1) << bits | (partial & ((1u << bits) - 1));
    for (size_t k = 1; k <= rows; ++k) {
      const size_t distance = k * s.record;
      window[k] = s.back(distance + 1) << 16 | s.back(distance) << 8 | s.back(distance - 1);
    }
  }
  // In the k-th row above: `before` bits to the left of the one at this place, itself, and `after` bits to its right.
  uint32_t around(uint32_t k, uint32_t before, uint32_t after) const {
    return (window[k] >> (15 - bits - after)) & ((1u << (before + 1 + after)) - 1);
  }
};

// Contexts of the bits around this one, as on a bitmap; where no record length shows, sparse bit contexts.
// context[k] < 2^18. partial: the bits of this byte under a leading 1.
inline constexpr int kPixelBits = 18;
inline void pixel_contexts(const Structure& s, uint32_t partial, int bit_index, int count, uint32_t* context) {
  constexpr int kShift = 32 - kPixelBits;
  if (s.record) {
    const Neighbourhood n(s, partial, bit_index, 3);
    const uint32_t near = n.around(2, 2, 2), wide = n.around(1, 3, 3);
    context[0] = (n.left & 15) | n.around(1, 2, 2) << 4 | near << 9;
    if (count == 1) return;
    context[1] = hash_of(n.left & 127, wide, near, 1) >> kShift;
    context[2] = hash_of(n.left & 15, n.around(1, 4, 5), n.around(2, 3, 3), n.around(3, 1, 1)) >> kShift;
    context[3] = hash_of(n.left & 255, n.around(1, 3, 4), s.pos % s.record, 2) >> kShift;
  } else {
    const uint32_t bits = static_cast<uint32_t>(bit_index), left = s.back(1) << bits | (partial & ((1u << bits) - 1));
    context[0] = left & 0xffff;
    if (count == 1) return;
    context[1] = hash_of(left & 127, s.back(2), bits) >> kShift;
    context[2] = hash_of(left & 15, s.back(4), bits, 5) >> kShift;
    context[3] = hash_of(left & 7, s.back(3), bits, 6) >> kShift;
  }
}

// What the direct contexts are on a bitmap; these hashes are of single bits.
inline void raster_contexts(const Neighbourhood& n, uint32_t* hash) {
  const uint32_t left = n.left;
  hash[0] = hash_of(left & 255, n.around(1, 4, 4) | n.around(2, 2, 2) << 16);
  hash[1] = hash_of((left & 15) | n.around(1, 3, 3) << 4 | n.around(2, 3, 3) << 12, n.around(3, 2, 2));
  hash[2] = hash_of((left & 0xfff) | n.around(1, 1, 2) << 12, 2);
  hash[3] = hash_of((left & 7) | n.around(1, 5, 6) << 4 | n.around(2, 1, 1) << 20, 3);
  hash[4] = hash_of((left & 3) | n.around(1, 2, 2) << 2 | n.around(2, 2, 2) << 7 | n.around(3, 2, 2) << 12 |
                        n.around(4, 2, 2) << 17, n.around(5, 1, 1), 4);
  hash[5] = hash_of((left & 63) | n.around(1, 4, 5) << 6 | n.around(2, 3, 3) << 16,
                    n.around(3, 3, 3) | n.around(4, 1, 1) << 8, 5);
}

}  // namespace ncz::inline NCZ_ISA
