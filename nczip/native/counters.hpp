// Adaptive probabilities: integers throughout, so they are the same on every machine.
#pragma once

#include <array>
#include <cstdint>

#include "arithmetic.hpp"
#include "bit_history.hpp"

namespace ncz::inline NCZ_ISA {

// 2^16 / (n + 1.6), the step of a counter that has seen n bits.
inline constexpr auto kReciprocal = [] {
  std::array<uint32_t, 1024> table{};
  for (uint32_t n = 0; n < 1024; ++n) table[n] = 655360 / (10 * n + 16);
  return table;
}();

// A probability of bit 1 in 22 bits with a count of 10 bits: a running average that turns into an exponential one
// when the count reaches its limit.
struct Counter {
  static constexpr uint32_t kMax22 = (1u << 22) - 1;
  uint32_t bits = uint32_t{1} << 31;

  static Counter of(uint32_t p22, uint32_t count) { return {p22 << 10 | count}; }
  uint32_t p22() const { return bits >> 10; }
  bool is_new() const { return (bits & 1023) == 0; }
  void update(int bit, uint32_t limit) {
    const uint32_t n = bits & 1023;
    const int64_t error = static_cast<int64_t>(bit ? kMax22 : 0) - static_cast<int64_t>(bits >> 10);
    bits += (static_cast<uint32_t>((error * kReciprocal[n]) >> 16) << 10) + (n < limit);
  }
};

// What a bit history is worth in one model: 256 counters, starting from the counts in the history.
struct HistoryMap {
  std::array<Counter, 256> counter;

  HistoryMap() {
    for (size_t s = 0; s < 256; ++s) {
      const uint32_t n0 = kHistories.zeros[s], n1 = kHistories.ones[s];
      // KT-like estimate that trusts deterministic histories more the longer they are.
      const uint32_t p = static_cast<uint32_t>(((uint64_t{n1} * 10 + 4) << 22) / (n0 * 10 + n1 * 10 + 8));
      counter[s] = Counter::of(p, 0);
    }
  }
};

// The tables are made by the compiler: code that runs when the library is loaded would run in whatever floating-point
// mode the thread has, and for every instruction set, also those that the CPU lacks.

// stretch() of a counter's probability, by its upper 12 bits.
NCZ_HD float stretch_of(uint32_t upper) { return stretch((static_cast<float>(upper) + 0.5f) * 0x1p-12f); }
class StretchTable {
 public:
#ifdef NCZ_DEVICE  // a GPU has no cache to spare for it
  float of(uint32_t p22) const { return stretch_of(p22 >> 10); }
#else
  constexpr StretchTable() {
    for (uint32_t i = 0; i < 4096; ++i) value_[i] = stretch_of(i);
  }
  float of(uint32_t p22) const { return value_[p22 >> 10]; }

 private:
  float value_[4096] = {};
#endif
};
inline constexpr StretchTable kStretch;

// squash() in steps of 1/128 bit, for the level that has no time for more. Arguments beyond 12 bits are cut.
NCZ_HD float squash_of(int step) { return squash((static_cast<float>(step) - 1535.5f) * 0x1p-7f); }
class SquashTable {
 public:
  float of(float x) const {
    const float cut = x < -11.99f ? -11.99f : x > 11.99f ? 11.99f : x;
    const int step = static_cast<int>(cut * 128.0f + 1536.0f);
#ifdef NCZ_DEVICE
    return squash_of(step);
  }
#else
    return value_[step];
  }
  constexpr SquashTable() {
    for (int i = 0; i < 3072; ++i) value_[i] = squash_of(i);
  }

 private:
  float value_[3072] = {};
#endif
};
inline constexpr SquashTable kSquash;

}  // namespace ncz::inline NCZ_ISA
