// What models of tensors share: the kinds of elements, and how large the next one will be.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "field_coder.hpp"
#include "quants.hpp"

namespace ncz::inline NCZ_ISA {

// Kinds of elements, as packed bytes name them: floats, then the quants in their order.
struct FloatLayout {
  int exponent_bits, mantissa_bits;
};
inline constexpr FloatLayout kFloatLayouts[] = {{8, 7}, {5, 10}, {8, 23}, {11, 52}, {4, 3}, {5, 2}};
inline constexpr int kFloats = 6;
inline constexpr int kKinds = kFloats + kQuants;
inline constexpr size_t kMostRow = size_t{1} << 20;  // elements

inline constexpr size_t unit_bytes(int kind) {
  if (kind >= kFloats) return kQuantLayouts[kind - kFloats].bytes;
  return static_cast<size_t>(1 + kFloatLayouts[kind].exponent_bits + kFloatLayouts[kind].mantissa_bits) / 8;
}

inline uint32_t within(int value, int low, int high) { return static_cast<uint32_t>(std::clamp(value, low, high)); }

// A number's size in sixteenths of an octave: its exponent and the next four bits. A logarithm but for up to 0.086.
inline int level_of(uint64_t value) {
  const int exponent = value ? std::bit_width(value) - 1 : 0;
  return exponent * 16 + static_cast<int>((exponent >= 4 ? value >> (exponent - 4) : value << (4 - exponent)) & 15);
}

// How large the next value will be: the column's factor times the row's, learnt so that sizes average the product.
class Scales {
 public:
  struct Column {
    int32_t level = 0;     // of the factor, in units of 2^-12 octaves
    int32_t sign = 0;      // how positive its values are, -2047 to 2047
    int32_t above = 0;     // the level of the value in the row before
    uint8_t mantissa = 0;  // and its first bits
    uint8_t negative = 0;
  };

  // `row`: elements, 0 if not known.
  Scales(size_t row, size_t elements) : row_(row), columns_(std::max<size_t>(1, std::min(row, elements))) {}

  Column& column() { return columns_[at_]; }
  int expected() const { return (columns_[at_].level + row_factor_) >> 8; }
  int of_column() const { return columns_[at_].level >> 8; }
  int near() const { return near_ >> 8; }  // the average of the last values, whatever their columns

  void update(int level, bool negative) {
    Column& column = columns_[at_];
    column.sign += ((negative ? -2047 : 2047) - column.sign) >> 4;
    column.negative = negative;
    update(level);
  }
  void update(int level) {  // of a value that has no sign
    Column& column = columns_[at_];
    if (rows_ == 0 && in_row_ == 0) column.level = near_ = level << 8;  // the first value of all
    const int by = excess(level - expected());
    column.level += change(by, std::min<size_t>(rows_, kMostRows) + 1);
    row_factor_ += change(by, std::min<size_t>(in_row_, kMostInRow) + kRowInertia);
    near_ += change(excess(level - near()), kNear);
    column.above = level;
    ++in_row_;
    if (++at_ < columns_.size()) {
      if (rows_ == 0) columns_[at_].level = near_, columns_[at_].above = near();
      return;
    }
    at_ = 0;
    ++rows_;
    if (!row_) return;
    in_row_ = 0;
    row_factor_ -= row_factor_ >> 2;  // rows are alike, on the whole
  }

 private:
  static constexpr size_t kMostRows = 200, kMostInRow = 200, kRowInertia = 11, kNear = 23;

  // 2^octaves - 1, in units of 1/256, for sizes within four octaves: the factors are where its average is zero, which makes
  // them averages of sizes and not of logarithms.
  static int excess(int sixteenths) {
    const int d = std::clamp(sixteenths, -64, 63) + 64;
    return ((16 + (d & 15)) << (d / 16)) - 256;
  }
  // From 1/256 of the size to 2^-12 octaves is 16 log2(e).
  static int change(int by, size_t inertia) {
    return static_cast<int>((int64_t{by} * 23 * kLogistic.rate[inertia] + (1 << (kRateBits - 1))) >> kRateBits);
  }

  size_t row_;
  std::vector<Column> columns_;
  size_t at_ = 0, rows_ = 0, in_row_ = 0;
  int row_factor_ = 0, near_ = 0;
};

// A block's elements, `units` of them at a time: floats one by one, quants block by block.
class TensorModel {
 public:
  virtual ~TensorModel() = default;
  virtual void code(uint8_t* bytes, size_t units) = 0;  // only reads them when encoding, writes them when decoding
};

}  // namespace ncz::inline NCZ_ISA
