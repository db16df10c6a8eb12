// Spelled coding: one token of a language model as decisions, each corrected by what the mixture knows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cdf.hpp"
#include "mixture.hpp"
#include "token_ends.hpp"

namespace ncz::inline NCZ_ISA {

// The two directions of one decision: the answer goes in, or comes out.
template <typename Coder>
int decide(Coder& coder, int answer, uint32_t p1) {
  if constexpr (requires { coder.decode_bit(p1); }) {
    return coder.decode_bit(p1);
  } else {
    coder.encode_bit(answer, p1);
    return answer;
  }
}

template <int kLevel>
class Speller {
 public:
  // raw: the block's bytes, known or, when decoding, to be written.
  Speller(uint8_t* raw, size_t raw_size, int table_bits, const uint8_t* knowledge)
      : raw_(raw), mixture_(raw, raw_size, table_bits, knowledge), ends_(kEndBits) {}

  static size_t memory(size_t raw_size, int table_bits) {
    return Mixture<kLevel>::memory(raw_size, table_bits) + TokenEnds::memory(kEndBits);
  }
  size_t position() const { return mixture_.position(); }

  // Codes one token, which matters only to an encoder; returns it.
  template <typename Sums, typename Coder>
  size_t code(const Vocabulary& vocabulary, Sums sums, size_t token, Coder& coder) {
    Walk<Sums> walk(vocabulary, sums);
    for (size_t depth = 0;; ++depth) {
      if (walk.is_at(depth, -1)) {
        const size_t known = mixture_.position();
        const int end = decide(coder, walk.answer(token),
                               ends_.predict(share(walk), raw_ + known, known, depth, mixture_.word()));
        ends_.update(end);
        walk.take(end);
        if (end) break;
      } else if (walk.done() && vocabulary.length(walk.token()) == depth) {
        break;
      }
      uint32_t byte = 0;
      for (int i = 7; i >= 0; --i) {
        const bool asked = walk.is_at(depth, i);
        int bit = vocabulary.bytes[vocabulary.begin[walk.first()] + depth] >> i & 1;
        if (asked) {
          bit = decide(coder, walk.answer(token), mixture_.predict({share(walk), static_cast<int>(depth)}));
          walk.take(bit);
        }
        byte = byte * 2 + static_cast<uint32_t>(bit);
        if (i == 0) raw_[mixture_.position()] = static_cast<uint8_t>(byte);  // seen when the byte is complete
        if (asked)
          mixture_.update(bit);
        else
          mixture_.pass(bit);
      }
    }
    return walk.token();
  }

 private:
  static constexpr int kEndBits = kLevel == 8 ? 12 : 16;

  template <typename W>
  static float share(const W& walk) {
    return static_cast<float>(walk.one()) / static_cast<float>(walk.total());
  }
  uint8_t* raw_;
  Mixture<kLevel> mixture_;
  TokenEnds ends_;
};

}  // namespace ncz::inline NCZ_ISA
