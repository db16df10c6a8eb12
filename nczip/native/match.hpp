// The match model: where the last bytes stood before, and what followed there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "array.hpp"
#include "counters.hpp"
#include "hashing.hpp"

namespace ncz::inline NCZ_ISA {

class MatchModel {
 public:
  static constexpr uint32_t kBuckets = 32;
  static constexpr uint32_t kMaxLength = 65535;
  static constexpr uint32_t kMaxVerified = 400;  // how far back a new match is compared
  static constexpr uint32_t kLimit = 1023;       // of the counters

  void start(uint32_t min_length, int table_bits) {
    min_length_ = min_length;
    shift_ = 32 - table_bits;
    table_ = Array<uint32_t>(size_t{1} << table_bits);
    for (uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
      const uint32_t unexpected = (1u << 22) / (bucket + 3);
      counters_[bucket][0] = Counter::of(unexpected, 0);
      counters_[bucket][1] = Counter::of((1u << 22) - unexpected, 0);
    }
  }

  // After history[pos - 1] has become known.
  void update_byte(const uint8_t* history, size_t pos) {
    if (length_ && history[pointer_] == history[pos - 1]) {
      length_ = length_ < kMaxLength ? length_ + 1 : kMaxLength;
      ++pointer_;
    } else {
      length_ = 0;
    }
    if (pos >= min_length_) {
      uint32_t hash = 0;
      for (uint32_t i = 1; i <= min_length_; ++i) hash = hash_step(hash, history[pos - i]);
      uint32_t& entry = table_[hash >> shift_];
      if (!length_ && entry) {
        pointer_ = entry;
        while (length_ < kMaxVerified && length_ < pointer_ &&
               history[pointer_ - 1 - length_] == history[pos - 1 - length_])
          ++length_;
        if (length_ < min_length_) length_ = 0;
      }
      entry = static_cast<uint32_t>(pos);
    }
    bucket_ = length_ < 16 ? length_ : length_ < 32 ? 12 + length_ / 4 : length_ < 64 ? 16 + length_ / 8
              : length_ < 400 ? 23 + length_ / 64 : 31;
    expected_byte_ = length_ ? history[pointer_] | 256u : 0;
  }

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
  uint32_t p22() const { return counters_[bucket_][expected_bit_].p22(); }  // where a bit is expected
  void update(int bit) {
    if (expected_bit_ >= 0) counters_[bucket_][expected_bit_].update(bit, kLimit);
  }

  int expected_bit() const { return expected_bit_; }
  uint32_t bucket() const { return bucket_; }
  uint32_t length() const { return length_; }
  uint32_t pointer() const { return pointer_; }  // the position in history of the expected byte

 private:
  uint32_t min_length_ = 0;
  int shift_ = 0;
  Array<uint32_t> table_;
  uint32_t pointer_ = 0, length_ = 0, bucket_ = 0, expected_byte_ = 0;
  int expected_bit_ = -1;
  Counter counters_[kBuckets][2];
};

}  // namespace ncz::inline NCZ_ISA
