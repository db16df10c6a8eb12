// Small symbols through binary decisions: each decision's probability is mixed from what followed in several contexts.
//
// Everything is integers, so every platform makes the same archives. Mixing in the logistic domain is after Mahoney
// (PAQ, 2005), counts that set a counter's rate after Howard and Vitter (1992).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "range_coder.hpp"

namespace ncz::inline NCZ_ISA {

// ---- logistic functions

inline constexpr int kMostStretch = 2815;     // 11 nats, in units of 1/256
inline constexpr int kProbabilityBits = 22;   // of a counter; the other ten of its 32 bits count
inline constexpr uint32_t kCountMask = 1023;
inline constexpr uint32_t kFirstCount = 2;    // what symbols weigh is worth so many decisions
inline constexpr uint32_t kMostCount = 1020;  // from here on a counter's rate stays: weights do not drift
inline constexpr int kRateBits = 16;

struct LogisticTables {
  std::array<uint16_t, 2 * kMostStretch + 1> squash;  // 2^16 / (1 + e^-x), at x + kMostStretch
  std::array<int16_t, 4096> stretch;                  // its inverse, of a probability in units of 2^-12
  std::array<uint32_t, kCountMask + 1> rate;          // 1 / (n + 1.5)

  LogisticTables() {
    constexpr int kOneBits = 22;
    constexpr uint64_t kOne = uint64_t{1} << kOneBits, kStep = 4210720;  // e^(1/256)
    uint64_t power = kOne;                                               // e^(x/256)
    for (int x = 0; x <= kMostStretch; ++x) {
      const uint64_t p = (power << 16) / (power + kOne);
      squash[static_cast<size_t>(kMostStretch + x)] = static_cast<uint16_t>(p);
      squash[static_cast<size_t>(kMostStretch - x)] = static_cast<uint16_t>(65536 - p);
      power = (power * kStep + kOne / 2) >> kOneBits;
    }
    int x = -kMostStretch;
    for (size_t i = 0; i < stretch.size(); ++i) {
      while (x < kMostStretch && squash[static_cast<size_t>(kMostStretch + x)] < 16 * i + 8) ++x;
      stretch[i] = static_cast<int16_t>(x);
    }
    for (uint32_t n = 0; n <= kCountMask; ++n) rate[n] = (2u << kRateBits) / (2 * n + 3);
  }
};
inline const LogisticTables kLogistic;

// log2 in units of 2^-16, rounded down; of 0 as of 1.
inline uint32_t log2_fixed(uint64_t value) {
  if (value <= 1) return 0;
  const int whole = std::bit_width(value) - 1;
  uint64_t x = whole > 31 ? value >> (whole - 31) : value << (31 - whole);  // [1, 2) in units of 2^-31
  uint32_t result = static_cast<uint32_t>(whole);
  for (int i = 0; i < 16; ++i) {
    x = (x * x) >> 31;
    result = result << 1 | (x >> 32 & 1);
    if (x >> 32) x >>= 1;
  }
  return result;
}

// ---- the coders: one traversal of a block's symbols serves both directions

struct FieldEncoder {
  static constexpr bool kEncodes = true;
  RangeEncoder range;

  int bit(int value, uint32_t p1) {  // p1: probability of 1 in units of 2^-16
    range.encode_bit(value, p1 << (kPrecision - 16));
    return value;
  }
  uint32_t uniform(uint32_t value, uint32_t count) {  // one of `count` that are equally likely; 1 <= count <= 256
    const uint32_t width = kTotal / count;
    range.encode(value * width, width);
    return value;
  }
};

struct FieldDecoder {
  static constexpr bool kEncodes = false;
  RangeDecoder range;

  int bit(int, uint32_t p1) { return range.decode_bit(p1 << (kPrecision - 16)); }
  uint32_t uniform(uint32_t, uint32_t count) {
    const uint32_t width = kTotal / count, value = std::min(range.peek() / width, count - 1);
    range.take(value * width, width);
    return value;
  }
};

// A decision with nothing to go by but its own past; only headers have these.
class AdaptiveBit {
 public:
  template <class Coder>
  int code(Coder& coder, int value) {
    const int bit = coder.bit(value, p_);
    p_ = static_cast<uint16_t>(bit ? p_ + ((65536 - p_) >> 4) : p_ - (p_ >> 4));
    return bit;
  }

 private:
  uint16_t p_ = 32768;  // stays within [15, 65521]: there a step of 1/16 moves it no further
};

using Histogram = std::vector<uint64_t>;

// A field of a few bits of every element. Its symbols are told apart by questions "is it s or more?", arranged in a tree
// that halves what is left by weight, so that a symbol takes little more decisions than its bits of information. Each
// question has a counter in every context, and weights that mix what they say.
template <size_t kContexts>
class Field {
 public:
  static constexpr size_t kMostSymbols = 256;

  // `bits` of the symbols, and how many values each context takes. The histogram matters to an encoder. With `or_noise`
  // symbols may also go as they are, where only contexts could tell them apart.
  template <class Coder>
  void begin(Coder& coder, int bits, const std::array<uint32_t, kContexts>& values, const Histogram& histogram,
             bool or_noise = false) {
    symbols_ = uint32_t{1} << bits;
    std::array<uint8_t, kMostSymbols> logs{};
    uint32_t raw = 0;
    if constexpr (Coder::kEncodes) {
      for (uint32_t s = 0; s < symbols_; ++s) logs[s] = static_cast<uint8_t>(std::bit_width(histogram[s]));
      raw = or_noise && is_noise(bits, histogram);
    }
    raw_ = or_noise ? coder.uniform(raw, 2) : 0;
    if (raw_) return;
    code_logs(coder, logs);
    std::array<uint64_t, kMostSymbols + 1> sums{};  // of the weights of the symbols below
    for (uint32_t s = 0; s < symbols_; ++s) sums[s + 1] = sums[s] + (logs[s] ? uint64_t{1} << (logs[s] - 1) : 0);
    only_ = grow(sums, 0, symbols_) & ~kLeaf;
    for (size_t i = 0; i < kContexts; ++i) {
      counters_[i].resize(size_t{values[i]} * nodes_.size());
      for (size_t k = 0; k < counters_[i].size(); ++k) counters_[i][k] = nodes_[k % nodes_.size()].first;
    }
    std::array<int32_t, kContexts> equal;
    equal.fill(static_cast<int32_t>(65536 / kContexts));
    weights_.assign(nodes_.size(), equal);
  }

  template <class Coder>
  uint32_t code(Coder& coder, const std::array<uint32_t, kContexts>& contexts, uint32_t symbol) {
    if (raw_) return coder.uniform(symbol, symbols_);
    if (nodes_.empty()) return only_;
    std::array<uint32_t*, kContexts> counters;
    for (size_t i = 0; i < kContexts; ++i) counters[i] = counters_[i].data() + contexts[i] * nodes_.size();
    uint32_t next = 0;
    do {
      const Node& node = nodes_[next];
      auto& weights = weights_[next];
      std::array<int32_t, kContexts> inputs;
      int64_t sum = 0;  // |weight| <= 2^20 and |input| < 2^12
      for (size_t i = 0; i < kContexts; ++i) {
        inputs[i] = kLogistic.stretch[counters[i][next] >> 20];
        sum += int64_t{weights[i]} * inputs[i];
      }
      const auto x = std::clamp<int64_t>(sum >> 16, -kMostStretch, kMostStretch);
      const uint32_t p1 = kLogistic.squash[static_cast<size_t>(x + kMostStretch)];
      const int bit = coder.bit(symbol >= node.least, p1);
      const int32_t error = (bit << 16) - static_cast<int32_t>(p1);
      for (size_t i = 0; i < kContexts; ++i) {
        weights[i] = std::clamp(weights[i] + ((inputs[i] * error + 32768) >> 16), -kMostWeight, kMostWeight);
        counters[i][next] = counted(counters[i][next], bit);
      }
      next = node.child[bit];
    } while (!(next & kLeaf));
    return next & ~kLeaf;
  }

 private:
  struct Node {
    uint32_t first;     // what its counters start as
    uint16_t least;     // of the symbols on the side of 1
    uint16_t child[2];  // a node's number, or a symbol with kLeaf
  };
  static constexpr uint16_t kLeaf = 0x8000;
  static constexpr int32_t kMostWeight = 1 << 20;  // 16; in units of 2^-16
  static constexpr uint32_t kNodeBits = 8;         // what a question costs until its counters know, about

  static uint32_t counted(uint32_t counter, int bit) {
    constexpr int64_t kLeast = 64, kMost = (1 << kProbabilityBits) - 64;
    const uint32_t count = counter & kCountMask;
    int64_t p = counter >> 10;
    p += (((int64_t{bit} << kProbabilityBits) - p) * kLogistic.rate[count]) >> kRateBits;
    return static_cast<uint32_t>(std::clamp(p, kLeast, kMost)) << 10 | (count < kMostCount ? count + 1 : count);
  }

  // Whether symbols are about equally likely: questions without contexts gain less than a hundredth of a bit a symbol.
  bool is_noise(int bits, const Histogram& histogram) const {
    uint64_t total = 0, information = 0, present = 0;
    for (uint64_t n : histogram) total += n, present += n > 0;
    for (uint64_t n : histogram) information += n * (log2_fixed(total) - log2_fixed(n));
    return present > 1 && information + present * kNodeBits * 65536 >= total * (static_cast<uint64_t>(bits) * 65536 - 655);
  }

  // How often each symbol comes: 0 if never, else 1 + log2 rounded down.
  template <class Coder>
  void code_logs(Coder& coder, std::array<uint8_t, kMostSymbols>& logs) {
    std::array<AdaptiveBit, 2> present;  // by whether the symbol before is
    std::array<AdaptiveBit, 32> tree;
    int before = 0;
    for (uint32_t s = 0; s < symbols_; ++s) {
      before = present[static_cast<size_t>(before)].code(coder, logs[s] > 0);
      if (!before) continue;
      uint32_t path = 1;
      for (int b = 4; b >= 0; --b) path = path << 1 | static_cast<uint32_t>(tree[path].code(coder, logs[s] >> b & 1));
      logs[s] = static_cast<uint8_t>(path & 31);
    }
  }

  // The tree over the symbols [low, high): a node's number, or a symbol with kLeaf. Where none has weight, the first.
  uint16_t grow(const std::array<uint64_t, kMostSymbols + 1>& sums, uint32_t low, uint32_t high) {
    while (high - low > 1 && sums[high - 1] == sums[high] && sums[high] > sums[low]) --high;
    while (high - low > 1 && sums[low + 1] == sums[low] && sums[high] > sums[low]) ++low;
    if (high - low == 1 || sums[high] == sums[low]) return static_cast<uint16_t>(kLeaf | low);
    const uint64_t total = sums[high] - sums[low];
    // The split nearest to half, the first of equals; a symbol without weight never begins the side of 1.
    uint32_t least = 0;
    uint64_t off = ~uint64_t{0};
    for (uint32_t s = low + 1; s < high; ++s) {
      if (sums[s + 1] == sums[s]) continue;
      const uint64_t twice = 2 * (sums[s] - sums[low]), by = twice > total ? twice - total : total - twice;
      if (by < off) off = by, least = s;
    }
    const auto number = static_cast<uint16_t>(nodes_.size());
    const uint64_t ones = sums[high] - sums[least];
    const auto p1 = static_cast<uint32_t>(std::clamp<uint64_t>((ones << kProbabilityBits) / total, 64, (1 << kProbabilityBits) - 64));
    nodes_.push_back({p1 << 10 | kFirstCount, static_cast<uint16_t>(least), {}});
    const uint16_t zero = grow(sums, low, least), one = grow(sums, least, high);
    nodes_[number].child[0] = zero, nodes_[number].child[1] = one;
    return number;
  }

  uint32_t symbols_ = 0, raw_ = 0, only_ = 0;
  std::vector<Node> nodes_;
  std::array<std::vector<uint32_t>, kContexts> counters_;
  std::vector<std::array<int32_t, kContexts>> weights_;
};

}  // namespace ncz::inline NCZ_ISA
