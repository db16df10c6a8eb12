// What the contexts see of the bytes so far: words, lines, brackets, what followed before, the record length.
// Updated once a byte; integers only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "array.hpp"
#include "hashing.hpp"

namespace ncz::inline NCZ_ISA {

struct Structure {
  static constexpr uint32_t kMaxRecord = 1024;
  static constexpr size_t kRecordPeriod = 1024;  // bytes between two searches for the record length; in text that
  static constexpr size_t kMaxPeriod = 16384;    // shows none, twice as many until the next, to this many
  static constexpr size_t kRecordWindow = 2048;  // bytes that a search looks back
  static constexpr uint32_t kOverMean = 2;       // in text: times as often must bytes repeat as at a mean distance

  const uint8_t* history;  // the block so far: history[0, pos)
  size_t pos = 0;

  uint32_t word = 0;                             // hash of the letters of the current word, 0 outside words
  uint32_t word1 = 0, word2 = 0, word3 = 0;      // hashes of the words before
  uint32_t classes = 0;                          // two bits a byte: letter, digit, space, other
  uint32_t line_start = 0, above_start = 0;      // where this line and the one above begin
  uint32_t first = 0;                            // first byte of the line
  uint32_t open = 0;                             // the innermost four open brackets
  uint32_t after1[256] = {};                     // the last four bytes that followed each byte
  Array<uint32_t> after2;                        // the same for each pair of bytes
  uint32_t record = 0;                           // bytes in a record or row, 0 where none shows

  explicit Structure(const uint8_t* bytes) : history(bytes), after2(65536) {}

  uint32_t back(size_t distance) const { return pos >= distance ? history[pos - distance] : 0; }
  uint32_t column() const { return static_cast<uint32_t>(pos) - line_start; }
  uint32_t above() const { return above_start + column() < line_start ? history[above_start + column()] : '\n'; }

  // history[pos] has become known. `whole`: keep lines, brackets and records too, not words alone.
  void advance(bool whole) {
    ++pos;
    const uint32_t c1 = back(1), c2 = back(2), c3 = back(3);
    const uint32_t lower = c1 >= 'A' && c1 <= 'Z' ? c1 + 32 : c1;
    const bool letter = (lower >= 'a' && lower <= 'z') || c1 >= 128;
    if (letter) {
      word = hash_step(word, lower);
    } else if (word) {
      word3 = word2;
      word2 = word1;
      word1 = word;
      word = 0;
    }
    if (!whole) return;
    classes = classes << 2 | (letter ? 0 : c1 >= '0' && c1 <= '9' ? 1 : c1 <= ' ' ? 2 : 3);
    if (c1 == '\n') {
      above_start = line_start;
      line_start = static_cast<uint32_t>(pos);
      first = 0;
    } else if (!first) {
      first = c1;
    }
    switch (c1) {
      case '<': case '[': case '{': case '(': case '"': case '&': case '|': case '=':
        open = open << 8 | c1;
        break;
      case '>': case ']': case '}': case ')': case '\n':
        open >>= 8;
        break;
      default:
        break;
    }
    uint32_t& one = after1[c2];
    one = one << 8 | c1;
    uint32_t& two = after2[c3 << 8 | c2];
    two = two << 8 | c1;
    if (pos >= next_search_) find_record();
  }

 private:
  // The distance at which most bytes repeat, among bytes that differ from their neighbour (so that runs don't count);
  // short distances win ties, since the multiples of a record length match as well.
  void find_record() {
    const size_t from = pos > kRecordWindow ? pos - kRecordWindow : 0;
    uint32_t best = 0, best_distance = 0, total = 0;
    for (uint32_t distance = 2; distance <= kMaxRecord; ++distance) {
      uint32_t score = 0;
      for (size_t i = from > distance ? from : distance; i < pos; ++i)
        score += static_cast<uint32_t>((history[i] == history[i - distance]) & (history[i] != history[i - 1]));
      total += score;
      score = score * 64 / (64 + distance / 16);
      if (score > best) best = score, best_distance = distance;
    }
    // In text every distance has many repeats, and a record length must stand out.
    uint32_t printable = 0;
    for (size_t i = from; i < pos; ++i) printable += (history[i] >= ' ' && history[i] < 127) || history[i] == '\n';
    const bool text = printable * 16 > (pos - from) * 15;
    const bool often = best * 6 > kRecordWindow / 8;
    const bool stands_out = best * (kMaxRecord - 1) > total * kOverMean;
    record = often && (stands_out || !text) ? best_distance : 0;
    period_ = !text || record ? kRecordPeriod : period_ * 2 < kMaxPeriod ? period_ * 2 : kMaxPeriod;
    next_search_ = pos + period_;
  }

  size_t period_ = kRecordPeriod, next_search_ = kRecordPeriod;
};

}  // namespace ncz::inline NCZ_ISA
