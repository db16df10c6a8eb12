// Guesses of the next tokens, from where the last ones stood before: a decoder lets the model check several at a time.
// They shape the time that decoding takes, never what is decoded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "array.hpp"
#include "hashing.hpp"

namespace ncz::inline NCZ_ISA {

class Drafts {
 public:
  static constexpr size_t kMost = 7;  // guesses at a time

  explicit Drafts(size_t bytes) {
    size_t bits = 8;
    while (bits < 20 && size_t{1} << bits < bytes) ++bits;
    shift_ = 32 - static_cast<int>(bits);
    for (Array<uint32_t>& table : after_) table = Array<uint32_t>(size_t{1} << bits);
    for (float& right : right_) right = 0.5f;
  }

  // Writes guesses behind tokens[0, known), at most `most`, and returns how many are worth a try.
  size_t guess(uint32_t* tokens, size_t known, size_t most) {
    learn(tokens, known);
    size_t count = 0;
    float chance = 1.0f;
    while (next_ && count < most && next_ + count < known) {
      chance *= right_[bucket(length_ + count)];
      if (chance < (count < kCheap ? kAnyWorth : kWorth)) break;
      tokens[known + count] = tokens[next_ + count];
      ++count;
    }
    return count;
  }

 private:
  // A pass waits for the model's weights: the first guesses cost it next to nothing, others about a fifth.
  static constexpr size_t kCheap = 3;
  static constexpr float kAnyWorth = 0.1f, kWorth = 0.25f;
  static constexpr size_t kOrders = 3, kBuckets = 12;
  static constexpr size_t kOrder[kOrders] = {3, 2, 1};  // tokens of context, the longest first

  static size_t bucket(size_t length) { return std::min(length, kBuckets - 1); }
  uint32_t hash(const uint32_t* tokens, size_t known, size_t order) const {
    uint32_t h = static_cast<uint32_t>(order);
    for (size_t i = 1; i <= order; ++i) h = hash_step(h, tokens[known - i]);
    return h >> shift_;
  }

  // Takes in what has become known since the last time.
  void learn(const uint32_t* tokens, size_t known) {
    for (; learnt_ < known; ++learnt_) {
      if (next_) {
        const bool right = tokens[next_] == tokens[learnt_];
        float& rate = right_[bucket(length_)];
        rate += ((right ? 1.0f : 0.0f) - rate) * 0.03f;
        length_ = right ? length_ + 1 : 0;
        next_ = right ? next_ + 1 : 0;
      }
      const size_t end = learnt_ + 1;
      for (size_t k = 0; k < kOrders; ++k) {
        if (end < kOrder[k]) continue;
        uint32_t& entry = after_[k][hash(tokens, end, kOrder[k])];
        if (entry && length_ < kOrder[k]) {
          size_t length = 0;
          while (length < kBuckets && length < entry && tokens[entry - 1 - length] == tokens[end - 1 - length]) ++length;
          if (length >= kOrder[k]) next_ = entry, length_ = length;
        }
        entry = static_cast<uint32_t>(end);
      }
    }
  }

  int shift_;
  Array<uint32_t> after_[kOrders];  // where a context was last followed by something
  float right_[kBuckets];           // how often a guess was right, by the length of the context
  size_t learnt_ = 0, next_ = 0, length_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
