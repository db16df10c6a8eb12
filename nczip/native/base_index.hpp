// Where the strings of a base stand, for matches that begin anywhere in it: a few bytes of table for many of the base.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "array.hpp"

namespace ncz::inline NCZ_ISA {

// A table by the hash of kWindow bytes, whose ends are looked at in steps; the last of several strings wins. It is filled
// once and then read by many.
class BaseIndex {
 public:
  static constexpr uint32_t kWindow = 22;  // bytes: further back all bits of a byte have left the hash
  static constexpr size_t kLeastStep = 4;  // of positions
  static constexpr int kLeastBits = 10, kMostBits = 24;

  BaseIndex(const uint8_t* base, size_t size)
      : base_(base), size_(size), step_(std::max(kLeastStep, (size + kMost - 1) / kMost)), shift_(64 - bits(size)),
        table_(size_t{1} << bits(size)) {}

  // Takes up to so many more bytes; whether all have been taken.
  bool extend(size_t bytes) {
    const size_t end = at_ + std::min(bytes, size_ - at_);
    for (; at_ < end; ++at_) {
      hash_ = next(hash_, base_[at_]);
      if ((at_ + 1) % step_ == 0 && at_ + 1 >= kWindow) table_[place(hash_)] = static_cast<uint32_t>(at_ + 1);
    }
    return at_ == size_;
  }

  // The position in the base behind what may be the last kWindow bytes before history[pos], or 0.
  uint32_t find(const uint8_t* history, size_t pos) const {
    if (pos < kWindow) return 0;
    uint64_t hash = 0;
    for (size_t i = pos - kWindow; i < pos; ++i) hash = next(hash, history[i]);
    return table_[place(hash)];
  }

  static size_t memory(size_t size) { return sizeof(uint32_t) << bits(size); }

 private:
  static constexpr size_t kMost = size_t{1} << kMostBits;
  static constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;

  static int bits(size_t size) {
    return std::clamp(static_cast<int>(std::bit_width(size / kLeastStep)), kLeastBits, kMostBits);
  }
  // Eight times an odd number: every step moves all that was there up by three bits.
  static uint64_t next(uint64_t hash, uint8_t byte) { return hash * (8 * kGolden) + byte; }
  size_t place(uint64_t hash) const { return (hash * kGolden) >> shift_; }

  const uint8_t* base_;
  size_t size_, at_ = 0, step_;
  int shift_;
  uint64_t hash_ = 0;
  Array<uint32_t> table_;
};

}  // namespace ncz::inline NCZ_ISA
