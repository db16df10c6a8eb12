// The range coder's way back, which the CUDA kernels share. range_coder.hpp says what it is.
#pragma once

#include "host_device.hpp"

namespace ncz::inline NCZ_ISA {

inline constexpr int kPrecision = 24;
inline constexpr uint32_t kTotal = uint32_t{1} << kPrecision;
// Zero bytes that an encoder leaves out at the end. A decoder that has read further past it reads what nobody wrote.
inline constexpr size_t kLeftOut = 64;

class RangeDecoder {
 public:
  NCZ_METHOD RangeDecoder(const uint8_t* bytes, size_t size) : next_(bytes), end_(bytes + size) {
    offset_ = uint64_t{word()} << 32;
    offset_ |= word();
  }

  // The position of the coded point in [0, 2^24): the caller finds the interval that holds it, then calls take.
  NCZ_METHOD uint32_t peek() {
    const uint64_t position = offset_ / (range_ >> kPrecision);
    return position < kTotal ? static_cast<uint32_t>(position) : kTotal - 1;  // only damaged data goes past the end
  }

  NCZ_METHOD void take(uint32_t left, uint32_t width) {
    const uint64_t scale = range_ >> kPrecision;
    offset_ -= scale * left;
    range_ = scale * width;
    renormalise();
  }

  NCZ_METHOD int decode_bit(uint32_t p1) {
    const uint64_t scale = range_ >> kPrecision;
    const uint64_t split = scale * p1;
    const int bit = offset_ < split;
    // By masks: a branch on a bit that the models could not foresee is one that the CPU could not either.
    const uint64_t one = uint64_t{0} - static_cast<uint64_t>(bit);
    offset_ -= split & ~one;
    range_ = (split & one) | ((scale * (kTotal - p1)) & ~one);
    renormalise();
    return bit;
  }

  // Whether it has read more than an encoder left out: no encoder wrote this.
  NCZ_METHOD bool ran_out() const { return past_ > kLeftOut; }

 private:
  NCZ_METHOD void renormalise() {
    while (range_ < (uint64_t{1} << 32)) {
      range_ <<= 32;
      offset_ = (offset_ << 32) | word();
    }
  }

  NCZ_METHOD uint32_t word() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      past_ += next_ == end_;
      value = (value << 8) | (next_ < end_ ? *next_++ : 0);
    }
    return value;
  }

  const uint8_t* next_;
  const uint8_t* end_;
  size_t past_ = 0;  // bytes read past the end
  uint64_t offset_ = 0;  // coded point minus the interval's lower end
  uint64_t range_ = ~uint64_t{0};
};

}  // namespace ncz::inline NCZ_ISA
