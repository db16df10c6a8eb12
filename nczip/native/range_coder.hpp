// The range coder: 24-bit precision, 32-bit words, 64-bit state. It knows intervals and nothing else.
//
// Arithmetic coding after Pasco (1976) and Martin (1979). State and words agree with the `constriction` package's
// queue coder (u32 words, u64 state, precision 24), which the tests use as the oracle.
#pragma once

#include <cstddef>
#include <cstdint>

#include "growing_array.hpp"
#include "isa.hpp"
#include "range_decoder.hpp"

namespace ncz::inline NCZ_ISA {

class RangeEncoder {
 public:
  // Codes the interval [left, left + width) of [0, 2^24). width >= 1.
  void encode(uint32_t left, uint32_t width) {
    const uint64_t scale = range_ >> kPrecision;
    const uint64_t lower = lower_ + scale * left;
    if (lower < lower_) carry();
    lower_ = lower;
    range_ = scale * width;
    while (range_ < (uint64_t{1} << 32)) {  // at most once, since width >= 1 and scale >= 2^8 leave range >= 2^8
      words_.push_back(static_cast<uint32_t>(lower_ >> 32));
      lower_ <<= 32;
      range_ <<= 32;
    }
  }

  // One binary decision; p1 = probability of bit 1 in units of 2^-24, 0 < p1 < 2^24. Bit 1 owns the lower part.
  void encode_bit(int bit, uint32_t p1) {
    if (bit)
      encode(0, p1);
    else
      encode(p1, kTotal - p1);
  }

  size_t words() const { return words_.size(); }

  // Ends the stream: the words, big-endian bytes each, of the number inside the final interval that has the most
  // trailing zero bytes; those zero bytes are left out, since a decoder reads zeros past the end, though not without
  // bound. They stay the coder's.
  Packed finish() {
    if (range_ != ~uint64_t{0}) {
      for (int zero_bits = 56; zero_bits >= 0; zero_bits -= 8) {
        const uint64_t mask = zero_bits ? (~uint64_t{0} >> (64 - zero_bits)) : 0;
        const uint64_t point = (lower_ + mask) & ~mask;  // may wrap to 0: then it is a carry
        if (point - lower_ < range_) {
          if (point < lower_) carry();
          words_.push_back(static_cast<uint32_t>(point >> 32));
          words_.push_back(static_cast<uint32_t>(point));
          break;
        }
      }
    }
    auto* const bytes = reinterpret_cast<uint8_t*>(words_.data());
    for (size_t i = 0; i < words_.size(); ++i) {
      const uint32_t word = words_[i];
      for (size_t k = 0; k < 4; ++k) bytes[4 * i + k] = static_cast<uint8_t>(word >> (24 - 8 * k));
    }
    const size_t all = 4 * words_.size(), least = all > kLeftOut ? all - kLeftOut : 0;
    size_t size = all;
    while (size > least && bytes[size - 1] == 0) --size;
    return {bytes, size};
  }

 private:
  void carry() {
    for (size_t i = words_.size(); i-- > 0;)
      if (++words_[i] != 0) break;
  }

  uint64_t lower_ = 0;
  uint64_t range_ = ~uint64_t{0};
  GrowingArray<uint32_t> words_;
};

}  // namespace ncz::inline NCZ_ISA
