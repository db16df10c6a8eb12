// What a value of a tensor will be, from those before it in its row: channels are correlated, those of embeddings most.
//
// The second moments of columns are counted exactly; now and then they are factored, moments + ridge = L D L', and from
// then on a value is predicted to be the sum of L's entries times the surprises in the columns before it. That is linear
// regression on all of these, through Cholesky's factors. Only the factoring has fractions, binary32 in a pinned order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fp_environment.hpp"
#include "tensor_scales.hpp"

namespace ncz::inline NCZ_ISA {

// Values are in units of 1/32 of the size that was expected of them.
inline constexpr int kSizeUnit = 32, kMostSize = 255;

// A size, of a level, where another was expected; levels are sixteenths of octaves.
inline int relative_size(int level, int expected) {
  const int octaves = (level >> 4) - (expected >> 4);
  if (octaves > 4) return kMostSize;
  const int size = octaves < -8 ? 0 : (2 * kSizeUnit << 8) * (16 + (level & 15)) >> (8 - octaves);
  return std::min((size / (16 + (expected & 15)) + 1) / 2, kMostSize);
}

class RowPredictor {
 public:
  RowPredictor(size_t row, size_t elements) : row_(row) {
    if (row < 2 || elements / row < kFirstRows) return;
    columns_ = std::min(row, kMostColumns);
    for (size_t begin = 0; begin < columns_; begin += kGroup) groups_.emplace_back(std::min(kGroup, columns_ - begin));
    deviations_.assign(columns_, kFirstDeviation);
  }

  // Of the next value.
  int predicted() const { return predicted_; }
  // How far from it those in its column are, on average; in units of 1/16 of a value's.
  int deviation() const { return at_ < columns_ ? std::max(deviations_[at_], kLeastDeviation) : kFirstDeviation; }
  // And the level of that, beside the one that was expected.
  int narrower() const { return level_of(static_cast<uint64_t>(deviation())) - level_of(kFirstDeviation); }

  void update(int value) {
    if (groups_.empty()) return;
    if (at_ < columns_) {
      groups_[at_ / kGroup].put(at_ % kGroup, value, predicted_);
      const int off = value < predicted_ ? predicted_ - value : value - predicted_;
      deviations_[at_] += (16 * off - deviations_[at_] + 16) >> 5;
    }
    if (++at_ == row_) end_row();
    predicted_ = at_ < columns_ ? groups_[at_ / kGroup].predicted(at_ % kGroup) : 0;
  }

  // Bytes for so many columns, at most.
  static constexpr size_t memory(size_t columns) {
    return std::min(columns, kMostColumns) * (6 * kGroup + 40) + 4 * kGroup * kGroup;
  }

 private:
  static constexpr size_t kGroup = 512;         // columns that predict each other
  static constexpr size_t kMostColumns = 8192;  // those that follow are not predicted
  static constexpr size_t kFirstRows = 32;      // after these comes the first factoring
  static constexpr int kFirstDeviation = 16 * kSizeUnit, kLeastDeviation = 16;

  class Group {
   public:
    explicit Group(size_t columns)
        : columns_(columns),
          moments_(columns * columns),
          weights_(columns * columns),
          rows_(kBatch * columns),
          surprises_(columns) {}

    int predicted(size_t column) const {
      const int16_t* const weights = weights_.data() + column * columns_;
      const int16_t* const surprises = surprises_.data();
      int32_t sum = 0;  // of 511 products, at most, of less than 2^13 and 2^9
      for (size_t k = 0; k < column; ++k) sum += int32_t{weights[k]} * surprises[k];
      return std::clamp((sum + (1 << (kWeightBits - 1))) >> kWeightBits, -kMostSurprise, kMostSurprise);
    }
    void put(size_t column, int value, int predicted) {
      rows_[waiting_ * columns_ + column] = static_cast<int16_t>(value);
      surprises_[column] = static_cast<int16_t>(std::clamp(value - predicted, -kMostSurprise, kMostSurprise));
    }
    void end_row(bool factors) {
      if (++waiting_ == kBatch || factors) count();
      if (factors) factor();
    }

   private:
    static constexpr size_t kBatch = 16;         // rows that are counted together, which is quicker
    static constexpr size_t kMostRows = 32'752;  // whose products make less than 2^31; half of what is older goes then
    static constexpr int kMostSurprise = 511, kMostWeight = 8191, kWeightBits = 12;
    static constexpr float kMostFactor = 64.0f;
    static constexpr float kRidge = 1.5f;  // rows of noise without correlation for each column, a priori

    void count() {
      if (counted_ + waiting_ > kMostRows) {
        counted_ /= 2;
        for (int32_t& moment : moments_) moment >>= 1;
      }
      for (size_t j = 0; j < columns_; ++j) {
        int32_t* const moments = moments_.data() + j * columns_;
        for (size_t r = 0; r < waiting_; ++r) {
          const int16_t* const row = rows_.data() + r * columns_;
          const int16_t value = row[j];
          for (size_t k = 0; k <= j; ++k) moments[k] += int32_t{value} * row[k];
        }
      }
      counted_ += waiting_;
      waiting_ = 0;
    }

    void factor() {
      const FpEnvironment environment;
      const size_t n = columns_;
      int64_t trace = 0;
      for (size_t j = 0; j < n; ++j) trace += moments_[j * n + j];
      if (trace == 0) return;
      const float ridge = kRidge * static_cast<float>(trace) / static_cast<float>(counted_);
      std::vector<float> rest(n * n), pivots(n), weights(n);  // what the columns before leave of column j is at j n
      for (size_t j = 0; j < n; ++j) {
        float* const column = rest.data() + j * n;
        for (size_t i = j; i < n; ++i) column[i] = static_cast<float>(moments_[i * n + j]);
        column[j] += ridge;
        for (size_t k = 0; k < j; ++k) {
          const float weight = rest[k * n + j] / pivots[k];
          // Halved moments need not be positive definite, and then there is no bound, or no number.
          weights[k] = std::abs(weight) <= kMostFactor ? weight : 0.0f;
          weights_[j * n + k] = fixed(weights[k]);
        }
        size_t k = 0;
        for (; k + 4 <= j; k += 4) {  // four at a time, and still one after the other
          const float *const a = rest.data() + k * n, *const b = a + n, *const c = b + n, *const d = c + n;
          const float wa = weights[k], wb = weights[k + 1], wc = weights[k + 2], wd = weights[k + 3];
          for (size_t i = j; i < n; ++i) column[i] = (((column[i] - wa * a[i]) - wb * b[i]) - wc * c[i]) - wd * d[i];
        }
        for (; k < j; ++k)
          for (size_t i = j; i < n; ++i) column[i] -= weights[k] * rest[k * n + i];
        pivots[j] = column[j] < ridge ? ridge : column[j];
      }
    }

    static int16_t fixed(float weight) {
      const float scaled = weight * (1 << kWeightBits);
      if (scaled > kMostWeight) return kMostWeight;
      if (scaled < -kMostWeight) return -kMostWeight;
      return static_cast<int16_t>(scaled + (scaled < 0 ? -0.5f : 0.5f));
    }

    size_t columns_, waiting_ = 0, counted_ = 0;
    std::vector<int32_t> moments_;  // row by row up to the diagonal
    std::vector<int16_t> weights_;  // row by row below it; in units of 2^-12
    std::vector<int16_t> rows_;     // not counted yet
    std::vector<int16_t> surprises_;
  };

  void end_row() {
    at_ = 0;
    const bool factors = ++rows_ >= next_;
    if (factors) next_ += std::max(next_ / 4, std::min(row_, kGroup) / 8);
    for (Group& group : groups_) group.end_row(factors);
  }

  size_t row_, columns_ = 0, at_ = 0, rows_ = 0, next_ = kFirstRows;
  std::vector<Group> groups_;
  std::vector<int32_t> deviations_;
  int predicted_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
