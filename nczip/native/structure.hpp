// What the contexts see of the bytes so far: words, lines, brackets, what followed before, records and rows.
// Updated once a byte; integers only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "array.hpp"
#include "hashing.hpp"

namespace ncz::inline NCZ_ISA {

struct Structure {
  static constexpr uint32_t kMaxRecord = 1024;
  static constexpr size_t kRecordPeriod = 1024;  // bytes between two searches for the record length; in text that
  static constexpr size_t kMaxPeriod = 16384;    // shows none, twice as many until the next, to this many
  static constexpr size_t kKindPeriod = 512;     // bytes between two looks at whether this is text
  static constexpr uint32_t kLeastRaster = 64;
  static constexpr uint32_t kMaxPixel = 32, kMaxRow = 4096;  // bytes of records that may make rows, and of such rows

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
  uint32_t row = 0;                              // bytes in a row of short records, such as pixels; 0 where none shows
  uint32_t expected = 0, expected_for = 0;       // what a match says comes, and how long the match is
  bool regular = false;                          // records are much alike
  bool raster = false;                           // they are long as well, as the rows of a bitmap
  bool binary = false;                           // the last bytes don't look like text

  // has_rows: `row` is kept. start: bytes that are known at first.
  explicit Structure(const uint8_t* bytes, bool has_rows = false, size_t start = 0)
      : history(bytes), pos(start), after2(65536), has_rows_(has_rows) {}

  uint32_t back(size_t distance) const { return pos >= distance ? history[pos - distance] : 0; }
  uint32_t column() const { return static_cast<uint32_t>(pos) - line_start; }
  uint32_t above() const { return above_start + column() < line_start ? history[above_start + column()] : '\n'; }

  // history[pos] has become known. `whole`: keep lines, brackets and records too, not words and the kind alone.
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
    if (pos >= next_look_) find_kind();
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
    if (pos >= next_search_) {
      find_record();
      if (has_rows_) find_row();
    }
  }

 private:
  // Text has few control codes, and bytes from 128 on in the order of UTF-8. What it is for now says the past alone.
  void find_kind() {
    for (size_t i = pos - kKindPeriod; i < pos; ++i) {
      const uint32_t c = history[i], before = i ? history[i - 1] : 0;
      strange_ += (c < ' ' && c != '\n' && c != '\r' && c != '\t') || (c >= 0x80 && c < 0xc0 && before < 0x80) ||
                  (c < 0x80 && before >= 0xc0);
    }
    const bool was_text = !binary;
    binary = strange_ > kKindPeriod / 8;  // one in 16 of twice the period
    strange_ /= 2;
    if (binary && was_text) next_search_ = std::max(pos, kRecordPeriod);
    if (!binary) raster = regular = false;
    next_look_ = pos + kKindPeriod;
  }

  // The distance at which most bytes repeat, among bytes that differ from their neighbour (so that runs don't count);
  // short distances win ties, since the multiples of a record length match as well. Evidence is halved as more comes,
  // and lasts where nothing changes.
  void find_record() {
    const size_t from = pos - kRecordPeriod;
    for (size_t i = from ? from : 1; i < pos; ++i) changes_ += history[i] != history[i - 1];
    uint32_t best = 0, best_distance = 0, total = 0;
    for (uint32_t distance = 2; distance <= kMaxRecord; ++distance) {
      uint32_t score = 0;
      for (size_t i = from > distance ? from : distance; i < pos; ++i)
        score += static_cast<uint32_t>((history[i] == history[i - distance]) & (history[i] != history[i - 1]));
      repeats_[distance] += score;
      total += repeats_[distance];
      score = repeats_[distance] * 64 / (64 + distance / 16);
      if (score > best) best = score, best_distance = distance;
    }
    // In text every distance has many repeats, and a record length must stand out as well; elsewhere either will do.
    const bool many = best * 8 > changes_;
    const bool stands_out = best * kMaxRecord * 2 > total * (binary ? 3 : 4);  // 1.5 times the mean, twice in text
    record = (binary ? many || stands_out : many && stands_out) ? best_distance : 0;
    regular = binary && best * 2 > changes_;
    raster = binary && many && record >= kLeastRaster;
    if (changes_ > 2 * kRecordPeriod) {
      changes_ /= 2;
      for (uint32_t& repeats : repeats_) repeats /= 2;
    }
    period_ = binary || record ? kRecordPeriod : period_ * 2 < kMaxPeriod ? period_ * 2 : kMaxPeriod;
    next_search_ = pos + period_;
  }

  // The multiple of a short record at which upper halves of bytes repeat more often than at the multiples beside it.
  void find_row() {
    if (record != pixel_) {
      pixel_ = record;
      compared_ = 0;
      for (uint32_t& repeats : row_repeats_) repeats = 0;
    }
    row = 0;
    if (!binary || !record || record > kMaxPixel) return;
    const size_t from = pos - kRecordPeriod;
    const uint32_t most = kMaxRow / record;
    for (uint32_t k = 1; k <= most; ++k) {
      const size_t distance = size_t{k} * record;
      uint32_t score = 0;
      for (size_t i = from > distance ? from : distance; i < pos; ++i)
        score += static_cast<uint32_t>((history[i] ^ history[i - distance]) < 16);
      row_repeats_[k] += score;
    }
    compared_ += kRecordPeriod;
    uint32_t best = compared_ / 16;
    for (uint32_t k = 4; k < most; ++k) {
      const uint32_t beside = row_repeats_[k - 1] + row_repeats_[k + 1], here = 2 * row_repeats_[k];
      if (here > beside + best) best = here - beside, row = k * record;
    }
    if (compared_ > 16 * kRecordPeriod) {
      compared_ /= 2;
      for (uint32_t& repeats : row_repeats_) repeats /= 2;
    }
  }

  const bool has_rows_;
  size_t period_ = kRecordPeriod, next_search_ = kRecordPeriod, next_look_ = kKindPeriod;
  uint32_t strange_ = 0;                                 // bytes of late that text does not have
  uint32_t repeats_[kMaxRecord + 1] = {}, changes_ = 0;  // bytes that repeat at each distance; that could have
  uint32_t row_repeats_[kMaxRow / 2 + 1] = {}, compared_ = 0;  // the same at each multiple of a record of pixel_ bytes
  uint32_t pixel_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
