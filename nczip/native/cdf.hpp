// From partial sums to coded decisions: the CDF of direct coding, and the walk down the vocabulary's trie.
//
// A vocabulary is a list of distinct byte strings in lexicographic order that holds every single byte. A predictor's
// integer partial sums S[0..V] run in that order, so every prefix owns a contiguous range of them, and the mass of
// any node of the trie is one subtraction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "range_decoder.hpp"

namespace ncz::inline NCZ_ISA {

// Direct coding: counts of at least 1 that total 2^24. cum has V + 1 entries; needs V < 2^24 and S[V] > 0.
inline void make_cdf(const uint32_t* sums, size_t vocabulary, uint32_t* cum) {
  const uint64_t spare = kTotal - vocabulary;
  for (size_t i = 0; i <= vocabulary; ++i)
    cum[i] = static_cast<uint32_t>(sums[i] * spare / sums[vocabulary] + i);
}

// Byte strings as one run of bytes: string i is bytes[begin[i] .. begin[i + 1]).
struct Vocabulary {
  const uint8_t* bytes;
  const uint32_t* begin;
  size_t size;

  size_t length(size_t string) const { return begin[string + 1] - begin[string]; }
};

// Spelled coding: one token as yes-or-no decisions, the bits of a byte from the highest, then END?, the next byte's
// bits, and so on. Decision 1 (the bit is 1, END is yes) has mass one() of total(). A decision that all strings which
// are left agree on is passed over, so both answers are possible until one string is left. Sums: anything that gives
// the partial sum below a string by [].
template <typename Sums>
class Walk {
 public:
  using Mass = std::remove_cvref_t<decltype(std::declval<const Sums&>()[0])>;

  Walk(const Vocabulary& vocabulary, Sums sums)
      : vocabulary_(vocabulary), sums_(sums), low_(0), high_(vocabulary.size), split_(0), depth_(0), bit_(7) {
    advance();
  }

  bool done() const { return high_ - low_ == 1; }
  size_t token() const { return low_; }     // once done
  bool at_end() const { return bit_ < 0; }  // the decision is END?, not a bit
  // Whether the decision is this bit (7 is the highest; below 0: END?) after `depth` known bytes.
  bool is_at(size_t depth, int bit) const { return !done() && depth_ == depth && bit_ == bit; }
  size_t first() const { return low_; }  // of the strings that are left
  Mass total() const { return sums_[high_] - sums_[low_]; }
  Mass one() const { return at_end() ? sums_[split_] - sums_[low_] : sums_[high_] - sums_[split_]; }
  // What coding `token` answers here.
  bool answer(size_t token) const { return at_end() ? token < split_ : token >= split_; }

  void take(bool answer) {
    if (answer == at_end())
      high_ = split_;
    else
      low_ = split_;
    next();
    advance();
  }

 private:
  void next() {
    if (bit_ < 0)
      bit_ = 7;
    else if (--bit_ < 0)
      ++depth_;
  }

  // Passes over decisions with one possible answer; finds where the next one splits [low, high).
  void advance() {
    for (; !done(); next()) {
      if (at_end()) {
        split_ = low_ + 1;
        if (vocabulary_.length(low_) == depth_) return;  // the string that ends here comes first
      } else {
        split_ = first_with_bit();
        if (split_ != low_ && split_ != high_) return;
      }
    }
  }

  // All strings of [low, high) agree above this bit of byte `depth`: the first of them that has it set.
  size_t first_with_bit() const {
    size_t low = low_, high = high_;
    while (low < high) {
      const size_t middle = low + (high - low) / 2;
      if (vocabulary_.bytes[vocabulary_.begin[middle] + depth_] >> bit_ & 1)
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }

  Vocabulary vocabulary_;
  Sums sums_;
  size_t low_, high_;  // the strings that agree with the answers so far
  size_t split_;       // a bit's ones are [split, high), END is [low, split)
  size_t depth_;       // bytes that are known in full
  int bit_;            // 7 is the highest; below 0: END?
};

}  // namespace ncz::inline NCZ_ISA
