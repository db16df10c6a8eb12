// Floats beside those of a reference, a model that both sides have: what is coded is how many numbers lie between them.
//
// Fine-tuning moves weights by amounts that differ by row and by column, and hardly by how large a weight is. So the
// amount is learnt in absolute terms, and the exponent of the reference says how many steps of its numbers that is.
// formats/tensor.md is the specification.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "field_coder.hpp"
#include "row_predictor.hpp"
#include "tensor_scales.hpp"

namespace ncz::inline NCZ_ISA {

template <class Coder>
class DifferenceModel final : public TensorModel {
 public:
  // `bytes` matter to an encoder; `reference` has as many units.
  DifferenceModel(Coder& coder, int kind, size_t row, const uint8_t* bytes, size_t units, const uint8_t* reference)
      : coder_(coder),
        bytes_(unit_bytes(kind)),
        exponent_bits_(kFloatLayouts[kind].exponent_bits),
        mantissa_bits_(kFloatLayouts[kind].mantissa_bits),
        run_(row ? (kLeastRun + row - 1) / row * row : kLeastRun),
        left_in_block_(units),
        reference_(reference),
        scales_(row, units),
        predictor_(row, units) {
    Histogram same(2), size(kMostSizes), sign(2), head(16);
    uint64_t any = 0;  // bits that some difference has
    if constexpr (Coder::kEncodes) {
      for (size_t i = 0; i < units; ++i) any |= difference(load(bytes + i * bytes_), load(reference + i * bytes_));
      if (any) shift_ = std::countr_zero(any);
      for (size_t i = 0; i < units; i += run_) {
        const size_t count = std::min(run_, units - i);
        const bool is_same = std::equal(bytes + i * bytes_, bytes + (i + count) * bytes_, reference + i * bytes_);
        ++same[is_same];
        for (size_t k = i; k < i + count && !is_same; ++k) {
          const uint64_t d = difference(load(bytes + k * bytes_), load(reference + k * bytes_));
          const uint64_t steps = magnitude(d) >> shift_;
          const int bits = std::bit_width(steps);
          ++size[static_cast<size_t>(bits)];
          if (bits) ++sign[d >> (8 * bytes_ - 1)];
          if (bits > 1) ++head[head_of(steps, bits)];
        }
      }
    }
    shift_ = static_cast<int>(coder.uniform(static_cast<uint32_t>(shift_), 64));
    same_.begin(coder, 1, {256}, same);
    size_.begin(coder, std::bit_width(8 * bytes_), {kPlaces, kPlaces / 2, kPlaces / 2, 1u << exponent_bits_, 512, 256, 1024},
                size);
    sign_.begin(coder, 1, {16, 32, 16, 16, 64}, sign);
    head_.begin(coder, 4, {256, 128, 256, 129}, head);
  }

  void code(uint8_t* bytes, size_t units) override {
    for (size_t i = 0; i < units; ++i, bytes += bytes_, reference_ += bytes_) {
      if (left_in_run_ == 0) begin_run(bytes);
      --left_in_run_;
      const uint64_t from = load(reference_);
      uint64_t value = from;
      if (!is_same_) {
        uint64_t d = 0;
        if constexpr (Coder::kEncodes) d = difference(load(bytes), from);
        value = ordered((ordered(from) + element(d, from)) & mask());
      }
      if constexpr (!Coder::kEncodes)
        for (size_t k = 0; k < bytes_; ++k) bytes[k] = static_cast<uint8_t>(value >> 8 * k);
    }
  }

 private:
  static constexpr size_t kLeastRun = 256;   // elements that one decision says to be those of the reference
  static constexpr uint32_t kPlaces = 576;   // twice the sixteenths of 64 octaves and 8 more below
  static constexpr size_t kMostSizes = 128;

  uint64_t mask() const { return ~uint64_t{0} >> (64 - 8 * bytes_); }
  uint64_t load(const uint8_t* bytes) const {
    uint64_t value = 0;
    for (size_t k = 0; k < bytes_; ++k) value |= uint64_t{bytes[k]} << 8 * k;
    return value;
  }
  // Between bits and integers in the order of the numbers, both ways; those of negative numbers have the upper bit too.
  uint64_t ordered(uint64_t value) const { return value >> (8 * bytes_ - 1) ? value ^ (mask() >> 1) : value; }
  uint64_t difference(uint64_t value, uint64_t from) const { return (ordered(value) - ordered(from)) & mask(); }
  uint64_t magnitude(uint64_t d) const { return d >> (8 * bytes_ - 1) ? (0 - d) & mask() : d; }
  // Up to four bits below the highest, from the upper of four on.
  static uint32_t head_of(uint64_t steps, int bits) {
    return static_cast<uint32_t>(bits > 5 ? steps >> (bits - 5) : steps << (5 - bits)) & 15;
  }

  // Of a size in units of 1/32 of one whose level is so much above a step's.
  static uint64_t sixteenths(int size, int level) {
    const int t = std::clamp(level, -128, 255);
    return static_cast<uint64_t>(size) * (uint64_t{16} + static_cast<uint64_t>(t & 15)) << (8 + (t >> 4)) >> 13;
  }

  void begin_run(const uint8_t* bytes) {
    left_in_run_ = std::min(run_, left_in_block_);
    left_in_block_ -= left_in_run_;
    uint32_t is_same = 0;
    if constexpr (Coder::kEncodes) is_same = std::equal(bytes, bytes + left_in_run_ * bytes_, reference_);
    is_same_ = same_.code(coder_, {last_runs_}, is_same);
    last_runs_ = (last_runs_ << 1 | is_same_) & 255;
  }

  // The difference to a reference, modulo the numbers that there are.
  uint64_t element(uint64_t d, uint64_t from) {
    const Scales::Column& column = scales_.column();
    const auto exponent = static_cast<uint32_t>(from >> mantissa_bits_) & ((1u << exponent_bits_) - 1);
    const uint32_t from_negative = static_cast<uint32_t>(from >> (8 * bytes_ - 1));
    const int step = static_cast<int>(std::max(exponent, 1u)) * 16 + shift_ * 16;  // the level of one
    const int expected = scales_.expected(), of_column = scales_.of_column(), near = scales_.near();
    const auto place = [&](int level) { return within((level - step + 128) >> 1, 0, kPlaces - 1); };
    const auto beside = [&](int level) { return within((level - expected + 64) >> 4, 0, 7); };

    // What the row predicts, and how far off that is on average, in sixteenths of a step.
    const int predicted = predictor_.predicted();
    const uint32_t against = predicted < 0;
    const uint64_t away = sixteenths(against ? -predicted : predicted, expected - step);
    const uint64_t off = std::max<uint64_t>(sixteenths(predictor_.deviation(), expected - step) >> 4, 1);

    const uint64_t steps = magnitude(d) >> shift_;
    const uint32_t bits = std::min(
        size_.code(coder_,
                   {place(expected), place(of_column) >> 1, place(near) >> 1, exponent,
                    beside(left_) << 6 | beside(left_of_left_) << 3 | beside(column.above), zeros_,
                    within(level_of(away) >> 2, 0, 63) << 4 | within(level_of(off) >> 4, 0, 15)},
                   static_cast<uint32_t>(std::bit_width(steps))),
        static_cast<uint32_t>(8 * bytes_));  // no encoder writes more
    zeros_ = (zeros_ << 1 | (bits == 0)) & 255;
    if (bits == 0) {
      scales_.update(std::min(expected, step - 16));
      predictor_.update(0);
      left_of_left_ = left_, left_ = step - 16;
      return 0;
    }

    const uint32_t agrees = last_negative_ == last_above_;
    agreements_ = (agreements_ << 1 | agrees) & 7;
    const int over = static_cast<int>(bits) - mantissa_bits_ + shift_;
    const auto odds = static_cast<uint32_t>(  // for the prediction's sign
        std::min<uint64_t>((uint64_t{48} << std::min(bits, 24u)) * away / (off * off), 31));
    const uint32_t negative = sign_.code(
        coder_,
        {(signs_ & 7) << 1 | from_negative, within((column.sign >> 8) + 8, 0, 15) << 1 | from_negative,
         agreements_ << 1 | column.negative, within(over + 2, 0, 7) << 1 | from_negative,
         against ? 32 - odds : 32 + odds},
        static_cast<uint32_t>(d >> (8 * bytes_ - 1)));
    signs_ = (signs_ << 1 | negative) & 7;
    last_negative_ = negative, last_above_ = column.negative;

    uint64_t result = 1;
    int level = step + 16 * (static_cast<int>(bits) - 1);
    if (bits > 1) {
      const auto in_octave = [&](int scale) { return within((level - scale + 128) >> 2, 0, 63); };
      const uint32_t few = std::min(bits, 5u) - 2;
      // Where in the octave the prediction is, and how sure, if it is of this sign.
      const uint64_t there = std::clamp<uint64_t>(away * 2 >> std::min(bits, 63u), 8, 39) - 8;
      const uint32_t unsure = within((level_of(off * 32 >> std::min(bits, 63u)) >> 4) - 2, 0, 3);
      const uint32_t like = negative == against ? 1 + (static_cast<uint32_t>(there) << 2 | unsure) : 0;
      const uint32_t head =
          head_.code(coder_, {few << 6 | in_octave(expected), bits, few << 6 | in_octave(near), like},
                     head_of(steps, static_cast<int>(bits)));
      level += static_cast<int>(head);
      int rest = std::max(static_cast<int>(bits) - 5, 0);
      result = (16 | head) >> (bits < 5 ? 5 - bits : 0);
      while (rest > 0) {
        const int count = std::min(rest, 8);
        rest -= count;
        result = result << count | coder_.uniform(static_cast<uint32_t>(steps >> rest) & ((1u << count) - 1), 1u << count);
      }
    }
    scales_.update(level, negative);
    const int size = relative_size(level, expected);
    predictor_.update(negative ? -size : size);
    left_of_left_ = left_, left_ = level;
    result <<= shift_;
    return (negative ? 0 - result : result) & mask();
  }

  Coder& coder_;
  size_t bytes_;
  int exponent_bits_, mantissa_bits_;
  size_t run_, left_in_run_ = 0, left_in_block_;
  const uint8_t* reference_;
  int shift_ = 0;  // bits that no difference has, below those that some have
  Scales scales_;
  RowPredictor predictor_;
  Field<1> same_;
  Field<7> size_;  // bits of a difference
  Field<5> sign_;
  Field<4> head_;
  uint32_t is_same_ = 0, last_runs_ = 0, zeros_ = 0, signs_ = 0, agreements_ = 0;
  uint32_t last_negative_ = 0, last_above_ = 0;
  int left_ = 0, left_of_left_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
