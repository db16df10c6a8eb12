// The match model: where the last bytes stood before, and what followed there.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "array.hpp"
#include "base_index.hpp"
#include "counters.hpp"
#include "hashing.hpp"

namespace ncz::inline NCZ_ISA {

class MatchModel {
 public:
  static constexpr uint32_t kBuckets = 32;
  static constexpr uint32_t kMaxLength = 65535;
  static constexpr uint32_t kMaxVerified = 400;  // how far back a new match is compared
  static constexpr uint32_t kLimit = 1023;       // of the counters
  static constexpr int kMaxMisses = 4;           // among the last 16 bytes: with more, a match is given up
  static constexpr int kTrusts = 4;              // kinds of matches: no, one, two, more misses among those bytes
  static constexpr uint32_t kLastsInText = 16;   // bytes of a match that may go on behind a wrong one

  void start(uint32_t min_length, int table_bits) {
    min_length_ = min_length;
    shift_ = 32 - table_bits;
    table_ = Array<uint32_t>(size_t{1} << table_bits);
    for (uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
      const uint32_t unexpected = (1u << 22) / (bucket + 3);
      for (auto& counters : counters_) {
        counters[bucket][0] = Counter::of(unexpected, 0);
        counters[bucket][1] = Counter::of((1u << 22) - unexpected, 0);
      }
    }
  }

  // After history[pos - 1] has become known. Records of binary data are often alike but for some bytes, so a match goes
  // on behind one that differs; in text only a long one is worth that. base: where strings of a base stand, or null.
  void update_byte(const uint8_t* history, size_t pos, bool binary, const BaseIndex* base) {
    if (length_ && history[pointer_] == history[pos - 1]) {
      length_ = length_ < kMaxLength ? length_ + 1 : kMaxLength;
      ++pointer_;
      misses_ = misses_ << 1 & 0xffff;
    } else if (length_ && (binary || misses_ || length_ >= kLastsInText) && count_miss() <= kMaxMisses) {
      length_ = 1;
      ++pointer_;
    } else {
      length_ = 0;
    }
    if (pos >= min_length_) {
      uint32_t hash = 0;
      for (uint32_t i = 1; i <= min_length_; ++i) hash = hash_step(hash, history[pos - i]);
      uint32_t& entry = table_[hash >> shift_];
      if (length_ < min_length_) consider(history, pos, entry, min_length_);
      entry = static_cast<uint32_t>(pos);
    }
    if (base && length_ < BaseIndex::kWindow) {
      const uint32_t entry = base->find(history, pos);
      if (entry < pos) consider(history, pos, entry, BaseIndex::kWindow);  // the base itself is read once, too
    }
    bucket_ = length_ < 16 ? length_ : length_ < 32 ? 12 + length_ / 4 : length_ < 64 ? 16 + length_ / 8
              : length_ < 400 ? 23 + length_ / 64 : 31;
    trust_ = std::min(std::popcount(misses_), kTrusts - 1);
    expected_byte_ = length_ ? history[pointer_] | 256u : 0;
  }

  void drop() { length_ = 0; }
  // `count` expected bytes came, one after another; update_byte follows.
  void skip(size_t count) {
    // update_byte goes one further with the last of them
    pointer_ += static_cast<uint32_t>(count - 1);
    length_ = length_ + count - 1 < kMaxLength ? length_ + static_cast<uint32_t>(count) - 1 : kMaxLength;
  }

  // The bit that the match expects after `partial` (the bits of this byte so far under a leading 1), or -1.
  int expect(uint32_t partial, int bit_index) {
    const bool agrees = length_ && expected_byte_ >> (8 - bit_index) == partial;
    expected_bit_ = agrees ? static_cast<int>(expected_byte_ >> (7 - bit_index) & 1) : -1;
    return expected_bit_;
  }
  uint32_t p22() const { return counters_[trust_][bucket_][expected_bit_].p22(); }  // where a bit is expected
  void update(int bit) {
    if (expected_bit_ >= 0) counters_[trust_][bucket_][expected_bit_].update(bit, kLimit);
  }

  int expected_bit() const { return expected_bit_; }
  uint32_t expected_byte() const { return expected_byte_; }  // with 256 added; 0: none
  uint32_t bucket() const { return bucket_; }
  uint32_t length() const { return length_; }
  uint32_t pointer() const { return pointer_; }  // the position in history of the expected byte

 private:
  // Follows what stands before `entry` (0: nothing), if the last `least` bytes or more are the same there.
  void consider(const uint8_t* history, size_t pos, uint32_t entry, uint32_t least) {
    uint32_t length = 0;
    while (length < kMaxVerified && length < entry && history[entry - 1 - length] == history[pos - 1 - length]) ++length;
    if (length < least) return;
    if (!length_ || entry != pointer_) misses_ = 0;
    length_ = length;
    pointer_ = entry;
  }
  int count_miss() {
    misses_ = (misses_ << 1 | 1) & 0xffff;
    return std::popcount(misses_);
  }

  uint32_t min_length_ = 0;
  int shift_ = 0;
  Array<uint32_t> table_;
  uint32_t pointer_ = 0, length_ = 0, bucket_ = 0, expected_byte_ = 0;
  uint32_t misses_ = 0;  // a bit for each of the last bytes: 1 where the match was wrong
  int trust_ = 0, expected_bit_ = -1;
  Counter counters_[kTrusts][kBuckets][2];
};

}  // namespace ncz::inline NCZ_ISA
