// Method 5: a block of numbers, element by element through fields whose contexts know rows, columns and scales.
//
// Weights are noise around zero whose size differs by row and by column, so what there is to know of one is how large it
// will be. Two factors are learnt while coding, one for each column and one for the row, and most contexts are a value's
// or a bit's place relative to their product. formats/tensor.md is the specification.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "field_coder.hpp"
#include "quant_differences.hpp"
#include "quant_scales.hpp"
#include "quants.hpp"
#include "row_predictor.hpp"
#include "tensor_differences.hpp"
#include "tensor_scales.hpp"

namespace ncz::inline NCZ_ISA {

template <class Coder>
class FloatModel final : public TensorModel {
 public:
  // `bytes` matter to an encoder.
  FloatModel(Coder& coder, int kind, size_t row, const uint8_t* bytes, size_t units)
      : coder_(coder),
        bytes_(unit_bytes(kind)),
        exponent_bits_(kFloatLayouts[kind].exponent_bits),
        mantissa_bits_(kFloatLayouts[kind].mantissa_bits),
        head_bits_(std::min(mantissa_bits_, 4)),
        wide_(exponent_bits_ > 8),
        scales_(row, units),
        predictor_(row, units) {
    for (int rest = mantissa_bits_ - head_bits_; rest > 0; rest = tails_.back().shift)
      tails_.push_back({std::min(rest, 8), rest - std::min(rest, 8), 0});
    Histogram high(8), exponent(256), sign(2), head(size_t{1} << head_bits_);
    std::vector<Histogram> tails(tails_.size(), Histogram(256));
    if constexpr (Coder::kEncodes) {
      for (size_t i = 0; i < units; ++i) {
        const uint64_t value = load(bytes + i * bytes_);
        const uint32_t e = exponent_of(value);
        ++high[e >> 8], ++exponent[e & 255], ++sign[value >> (mantissa_bits_ + exponent_bits_)], ++head[head_of(value)];
        for (size_t t = 0; t < tails.size(); ++t) ++tails[t][tail_of(value, t)];
      }
    }
    if (wide_) high_.begin(coder, 3, {8, 8}, high);
    exponent_.begin(coder, std::min(exponent_bits_, 8), {2048, 264, 256, 512, 512 * kLeanings}, exponent);
    head_.begin(coder, head_bits_, {64, 256, 64, 17 * 17, 64 * kLeanings}, head);
    sign_.begin(coder, 1, {16, 128, 64, 64}, sign);
    tail_fields_.resize(tails_.size());
    for (size_t t = 0; t < tails_.size(); ++t) tail_fields_[t].begin(coder, tails_[t].bits, {256, 256, 256}, tails[t], true);
  }

  void code(uint8_t* bytes, size_t units) override {
    for (size_t i = 0; i < units; ++i) {
      uint64_t value = 0;
      if constexpr (Coder::kEncodes) value = load(bytes + i * bytes_);
      value = element(value);
      if constexpr (!Coder::kEncodes)
        for (size_t k = 0; k < bytes_; ++k) bytes[i * bytes_ + k] = static_cast<uint8_t>(value >> 8 * k);
    }
  }

 private:
  struct Tail {
    int bits, shift;
    uint32_t last;  // of the element before
  };
  // So far are the exponents of binary64 turned that those of numbers around one, 1023, have the same upper three bits.
  static constexpr uint32_t kWideTurn = 1152;
  static constexpr uint32_t kLeanings = 20;  // how far from zero a prediction is, beside the deviation from it

  uint64_t load(const uint8_t* bytes) const {
    uint64_t value = 0;
    for (size_t k = 0; k < bytes_; ++k) value |= uint64_t{bytes[k]} << 8 * k;
    return value;
  }
  uint32_t exponent_of(uint64_t value) const {
    const uint32_t e = static_cast<uint32_t>(value >> mantissa_bits_) & ((1u << exponent_bits_) - 1);
    return wide_ ? (e + kWideTurn) & 2047 : e;
  }
  uint32_t head_of(uint64_t value) const {
    return static_cast<uint32_t>(value >> (mantissa_bits_ - head_bits_)) & ((1u << head_bits_) - 1);
  }
  uint32_t tail_of(uint64_t value, size_t t) const {
    return static_cast<uint32_t>(value >> tails_[t].shift) & ((1u << tails_[t].bits) - 1);
  }

  uint64_t element(uint64_t value) {
    const Scales::Column& column = scales_.column();
    const int expected = static_cast<int>(within(scales_.expected(), 0, 4095));
    const int of_column = static_cast<int>(within(scales_.of_column(), 0, 4095));
    const auto beside = [&](int level) { return within((level - expected + 64) >> 4, 0, 7); };  // in octaves

    const int predicted = predictor_.predicted(), deviation = predictor_.deviation();
    const int away = predicted < 0 ? -predicted : predicted;
    const uint32_t leaning = within(away * 96 / deviation, 0, kLeanings - 1);
    const int around = std::clamp(expected + predictor_.narrower(), 0, 4095);

    uint32_t high = 0;
    if (wide_) high = high_.code(coder_, {last_high_, high_before_}, exponent_of(value) >> 8);
    const uint32_t exponent = exponent_.code(
        coder_,
        {static_cast<uint32_t>(expected) >> 1, high ? 256 + high : static_cast<uint32_t>(left_) >> 4,
         static_cast<uint32_t>(column.above) >> 4,
         beside(left_) << 6 | beside(left_of_left_) << 3 | beside(column.above),
         (static_cast<uint32_t>(around) >> 3) * kLeanings + leaning},
        exponent_of(value) & 255);

    const int octave = static_cast<int>(exponent) << 4;
    const auto place = [&](int scale) { return within((octave - scale + 128) >> 2, 0, 63); };
    const uint32_t like_left = left_ >> 4 == static_cast<int>(exponent) ? 1 + left_head_ : 0;
    const uint32_t like_above = column.above >> 4 == static_cast<int>(exponent) ? 1u + column.mantissa : 0;
    const uint32_t head =
        head_.code(coder_,
                   {place(expected), exponent, place(of_column), like_left * 17 + like_above,
                    place(around) * kLeanings + leaning},
                   head_of(value));

    const int level = octave | static_cast<int>(head) << (4 - head_bits_);
    const int size = relative_size(level, expected);
    const int odds = std::min((size * away << 11) / (deviation * deviation), 31);  // for the prediction's sign
    const auto nearness = [&](int other) { return within((other - level + 32) >> 3, 0, 7); };
    const uint32_t negative = sign_.code(
        coder_,
        {(signs_ & 7) << 1 | column.negative,
         within((column.sign >> 8) + 8, 0, 15) << 3 | within((level - expected + 64) >> 3, 0, 7),
         nearness(left_) << 3 | nearness(column.above),
         static_cast<uint32_t>(32 + (predicted < 0 ? -odds : odds))},
        static_cast<uint32_t>(value >> (mantissa_bits_ + exponent_bits_)));

    const uint32_t turned = high << 8 | exponent;
    uint64_t result = uint64_t{negative} << exponent_bits_ | (wide_ ? (turned - kWideTurn) & 2047 : turned);
    result = result << mantissa_bits_ | uint64_t{head} << (mantissa_bits_ - head_bits_);
    uint32_t before = head;
    for (size_t t = 0; t < tails_.size(); ++t) {
      before = tails_[t].last = tail_fields_[t].code(coder_, {before, tails_[t].last, exponent}, tail_of(value, t));
      result |= uint64_t{before} << tails_[t].shift;
    }

    scales_.column().mantissa = static_cast<uint8_t>(head);
    scales_.update(level, negative);
    predictor_.update(negative ? -size : size);
    signs_ = signs_ << 1 | negative;
    left_of_left_ = left_, left_ = level, left_head_ = head;
    high_before_ = last_high_, last_high_ = high;
    return result;
  }

  Coder& coder_;
  size_t bytes_;
  int exponent_bits_, mantissa_bits_, head_bits_;
  bool wide_;  // exponents are two fields
  Scales scales_;
  RowPredictor predictor_;
  Field<2> high_;
  Field<5> exponent_;
  Field<5> head_;  // the mantissa's first bits
  Field<4> sign_;
  std::vector<Tail> tails_;
  std::vector<Field<3>> tail_fields_;
  int left_ = 0, left_of_left_ = 0;
  uint32_t left_head_ = 0, signs_ = 0, last_high_ = 0, high_before_ = 0;
};

template <class Coder>
class QuantModel final : public TensorModel {
 public:
  QuantModel(Coder& coder, Quant kind, size_t row, const uint8_t* bytes, size_t units)
      : coder_(coder),
        kind_(kind),
        layout_(kQuantLayouts[static_cast<size_t>(kind)]),
        scales_(row, units * layout_.weights),
        predictor_(row, units * layout_.weights),
        of_blocks_(coder, kind, std::max<size_t>(1, std::min(row / layout_.weights, units)), layout_.steps) {
    Histogram weight(size_t{1} << layout_.bits);
    if constexpr (Coder::kEncodes) {
      for (size_t i = 0; i < units; ++i) {
        const QuantBlock block = taken_apart(kind, bytes + i * layout_.bytes);
        of_blocks_.count(block);
        for (size_t j = 0; j < layout_.weights; ++j) ++weight[block.q[j]];
      }
    }
    of_blocks_.begin();
    const uint32_t zeros = layout_.offset ? 16 : 1;
    weight_.begin(coder, layout_.bits, {zeros * 128, zeros * 256, 1024, 1024, 2048}, weight);
  }

  void code(uint8_t* bytes, size_t units) override {
    for (size_t i = 0; i < units; ++i) {
      QuantBlock block;
      if constexpr (Coder::kEncodes) block = taken_apart(kind_, bytes + i * layout_.bytes);
      of_blocks_.code(block);
      const size_t part = layout_.weights / std::max<size_t>(1, layout_.parts);
      for (size_t j = 0; j < layout_.weights; j += part) code_weights(block, j, part);
      if constexpr (!Coder::kEncodes) put_together(kind_, block, bytes + i * layout_.bytes);
    }
  }

 private:
  // The weights [begin, begin + count) of a block, which have one scale and one zero.
  void code_weights(QuantBlock& block, size_t begin, size_t count) {
    const int bits = layout_.bits;
    const QuantScale of_part = quant_scale(kind_, block, layout_.parts ? begin / count : 0);
    const int zero = of_part.zero, base = of_part.base;
    const bool is_turned = block.scale >> 15 != 0;
    const uint32_t place = layout_.offset ? within(zero >> (bits - 2), 0, 15) : 0;
    const uint32_t highest = (1u << bits) - 1;
    uint32_t ends = 0;  // whether the lowest and the highest integer have come
    uint32_t sum = 0;   // of what came, in quarters from zero
    for (size_t j = 0; j < count; ++j) {
      const Scales::Column& column = scales_.column();
      const auto finely = [&](int level) { return within((level - base - 16) >> 2, 0, 31); };
      const int level = scales_.expected();
      const uint32_t expected = finely(level), of_column = finely(scales_.of_column());
      const uint32_t so_far =
          j ? within((level_of(uint64_t{sum} * 16 / j) - 40) >> 2, 0, 31) : 31;
      const uint32_t predicted = within((quarters(level - base, is_turned) + zero) >> std::max(bits - 4, 0), 0, 63);
      const auto position = static_cast<uint32_t>(j * 32 / count);
      const uint32_t q = weight_.code(
          coder_,
          {place << 7 | position << 2 | ends,
           place << 8 | (left_weight_ >> (bits - 4)) << 4 | left_of_left_weight_ >> (bits - 4),
           within((column.sign >> 7) + 16, 0, 31) << 5 | of_column, so_far << 5 | expected,
           predicted << 5 | finely(level + predictor_.narrower())},
          block.q[begin + j]);
      block.q[begin + j] = static_cast<uint8_t>(q);
      ends |= (q <= lowest_) << 1 | (q == highest);
      const int from_zero = 4 * static_cast<int>(q) - zero;
      const auto size = static_cast<uint32_t>(from_zero < 0 ? -from_zero : from_zero);
      sum += size;
      left_of_left_weight_ = left_weight_, left_weight_ = q;
      const bool negative = (from_zero < 0) != is_turned;
      const int relative = size ? relative_size(base + level_of(size), level) : 0;
      scales_.update(base + level_of(size), negative);
      predictor_.update(negative ? -relative : relative);
    }
  }

  // How far from zero the predicted value is, in quarters, if the one expected is so many sixteenths of octaves off one.
  int quarters(int sixteenths, bool is_turned) const {
    const int octaves = std::clamp(sixteenths, 0, 175), predicted = predictor_.predicted();
    const int64_t expected = int64_t{16 + (octaves & 15)} << (octaves >> 4);  // in sixteenths of quarters
    return static_cast<int>((expected * (is_turned ? -predicted : predicted)) >> 9);
  }

  Coder& coder_;
  Quant kind_;
  QuantLayout layout_;
  Scales scales_;
  RowPredictor predictor_;
  QuantScales<Coder> of_blocks_;
  Field<5> weight_;
  uint32_t lowest_ = kind_ == Quant::kQ8_0 ? 1 : 0;  // Q8_0 is symmetric: its makers never write -128
  uint32_t left_weight_ = 0, left_of_left_weight_ = 0;
};

template <class Coder>
std::unique_ptr<TensorModel> tensor_model(Coder& coder, int kind, size_t row, const uint8_t* bytes, size_t units,
                                          const uint8_t* reference) {
  if (reference && kind >= kFloats)
    return std::make_unique<QuantDifferenceModel<Coder>>(coder, static_cast<Quant>(kind - kFloats), bytes, units, reference);
  if (reference) return std::make_unique<DifferenceModel<Coder>>(coder, kind, row, bytes, units, reference);
  if (kind < kFloats) return std::make_unique<FloatModel<Coder>>(coder, kind, row, bytes, units);
  return std::make_unique<QuantModel<Coder>>(coder, static_cast<Quant>(kind - kFloats), row, bytes, units);
}

// ---- what a block's content is, for encoders

// Which blocks of quants bytes consist of, and where the first begins, judged by a sample from the middle: some byte of a
// block is the upper one of a scale, which differs little from block to block beside the quants.
struct FoundQuants {
  int kind = -1;
  size_t phase = 0;
};
inline FoundQuants find_quants(const uint8_t* bytes, size_t size) {
  constexpr size_t kSample = 64 << 10, kLeastBlocks = 32;
  constexpr uint32_t kBit = 65536, kMostOfScale = 5 * kBit, kLessThanOthers = 3 * kBit / 2;
  const size_t begin = size > kSample ? (size - kSample) / 2 : 0;
  const uint8_t* const sample = bytes + begin;
  size = std::min(size, kSample);
  for (int k = kFloats; k < kKinds; ++k) {
    const QuantLayout& layout = kQuantLayouts[k - kFloats];
    const size_t period = layout.bytes, count = size / period;
    if (k == kFloats + static_cast<int>(Quant::kInt8) || count < kLeastBlocks) continue;
    std::vector<uint32_t> entropy(period);  // of the bytes at each place, in units of 2^-16 bits
    for (size_t place = 0; place < period; ++place) {
      Histogram histogram(256);
      for (size_t i = 0; i < count; ++i) ++histogram[sample[i * period + place]];
      uint64_t bits = 0;
      for (uint64_t n : histogram) bits += n * (log2_fixed(count) - log2_fixed(n));
      entropy[place] = static_cast<uint32_t>(bits / count);
    }
    const size_t at = k == kFloats + static_cast<int>(Quant::kQ6_K) ? 209 : 1;
    size_t phase = 0;
    uint32_t least = ~uint32_t{0};
    for (size_t p = 0; p < period; ++p) {
      uint32_t most = entropy[(p + at) % period];
      if (layout.offset) most = std::max(most, entropy[(p + 3) % period]);
      if (most < least) least = most, phase = p;
    }
    const auto like_scales = static_cast<size_t>(
        std::count_if(entropy.begin(), entropy.end(), [&](uint32_t e) { return e < least + kLessThanOthers; }));
    const size_t scales = layout.offset ? 2 : 1;
    if (least <= kMostOfScale && like_scales <= scales + period / 16) return {k, (begin + phase) % period};
  }
  return {};
}

// How many elements make a row, judged by how sizes agree from row to row; 0 if nothing shows.
class RowFinder {
 public:
  RowFinder(int kind, const uint8_t* bytes, size_t units) {
    const size_t each = kind < kFloats ? 1 : kQuantLayouts[kind - kFloats].weights;
    units = std::min(units, kMostElements / each);
    levels_.reserve(units * each);
    for (size_t i = 0; i < units; ++i) {
      const uint8_t* unit = bytes + i * unit_bytes(kind);
      if (kind < kFloats) add(kFloatLayouts[kind], unit);
      else add(static_cast<Quant>(kind - kFloats), unit);
    }
  }

  size_t row() const {
    const size_t longest = std::min(kLongest, levels_.size() / 4), count = levels_.size() - longest - 1;
    if (levels_.size() < kLeastElements) return 0;
    int64_t sum = 0;
    for (int32_t level : levels_) sum += level;
    const auto mean = static_cast<int32_t>(sum / static_cast<int64_t>(levels_.size()));
    std::vector<int16_t> off(levels_.size());
    for (size_t i = 0; i < off.size(); ++i) off[i] = static_cast<int16_t>(std::clamp(levels_[i] - mean, -64, 64));
    const int16_t* const from = off.data() + longest + 1;
    // What agrees at one distance and not beside it is columns; rows and runs agree at all short ones.
    std::vector<std::pair<size_t, int64_t>> peaks;
    std::pair<size_t, int64_t> highest{};
    for (size_t lag = 2; lag <= longest; lag += lag < 64 ? 1 : 32) {
      const int64_t around = product(from, from - lag + 1, count) + product(from, from - lag - 1, count);
      peaks.emplace_back(lag, 2 * product(from, from - lag, count) - around);
      if (peaks.back().second > highest.second) highest = peaks.back();
    }
    // The standard deviation of a peak of unrelated values: sqrt(6 / count) of the squares.
    const int64_t deviation = product(from, from, count) / static_cast<int64_t>(root(count / 6));
    if (highest.second <= 5 * deviation) return 0;
    // A row's multiples agree about as well as the row.
    for (const auto& [lag, peak] : peaks)
      if (highest.first % lag == 0 && peak >= std::max(highest.second - 3 * deviation, 3 * deviation)) return lag;
    return highest.first;
  }

 private:
  static constexpr size_t kMostElements = 256 << 10, kLeastElements = 4 << 10, kLongest = 16 << 10;

  static int64_t product(const int16_t* a, const int16_t* b, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i += 4096) {  // of which the sum has less than 25 bits
      int32_t part = 0;
      for (size_t k = i; k < std::min(count, i + 4096); ++k) part += a[k] * b[k];
      sum += part;
    }
    return sum;
  }
  static uint64_t root(uint64_t value) {
    uint64_t r = 0;
    while ((r + 1) * (r + 1) <= value) ++r;
    return r;
  }
  void add(const FloatLayout& layout, const uint8_t* bytes) {
    uint64_t value = 0;
    for (int k = 0; k < (1 + layout.exponent_bits + layout.mantissa_bits) / 8; ++k) value |= uint64_t{bytes[k]} << 8 * k;
    const int level_bits = layout.exponent_bits + std::min(layout.mantissa_bits, 4);
    const auto level = static_cast<int32_t>(value >> std::max(0, layout.mantissa_bits - 4) & ((1 << level_bits) - 1));
    levels_.push_back(layout.mantissa_bits < 4 ? level << (4 - layout.mantissa_bits) : level);
  }
  void add(Quant kind, const uint8_t* bytes) {
    const QuantBlock block = taken_apart(kind, bytes);
    const QuantLayout& layout = kQuantLayouts[static_cast<size_t>(kind)];
    const size_t part = layout.weights / std::max<size_t>(1, layout.parts);
    for (size_t j = 0; j < layout.weights; ++j) {
      const QuantScale scale = quant_scale(kind, block, layout.parts ? j / part : 0);
      levels_.push_back(scale.base + level_of(static_cast<uint64_t>(std::abs(4 * block.q[j] - scale.zero))));
    }
  }

  std::vector<int32_t> levels_;
};

// ---- blocks

// What packed bytes begin with; the coded stream follows.
struct TensorHead {
  static constexpr size_t kSize = 6;
  int kind = 0;
  size_t phase = 0;  // bytes before the first unit
  size_t row = 0;    // elements; 0 if not known

  bool valid() const { return kind < kKinds && phase < unit_bytes(kind) && row <= kMostRow; }
  size_t units(size_t raw_size) const { return raw_size <= phase ? 0 : (raw_size - phase) / unit_bytes(kind); }
};

// Bytes around the units are coded as they are; `code(bytes, count)` makes the next ones of a block. `reference`, if it
// is not null, has as many units that the block's are coded by; it outlives this.
template <class Coder>
class TensorBlock {
 public:
  template <class... Args>
  TensorBlock(TensorHead head, size_t raw_size, const uint8_t* raw, const uint8_t* reference, Args&&... args)
      : coder{{std::forward<Args>(args)...}},
        unit_(unit_bytes(head.kind)),
        begin_(std::min(head.phase, raw_size)),
        end_(begin_ + head.units(raw_size) * unit_),
        raw_size_(raw_size),
        model_(tensor_model(coder, head.kind, head.row, Coder::kEncodes ? raw + begin_ : nullptr, head.units(raw_size),
                            reference)) {}

  size_t done() const { return done_; }

  // Codes bytes until `most` or more are done, or all; they are those of the block from done() on.
  void advance(uint8_t* bytes, size_t most) {
    while (done_ < std::min(most, raw_size_)) {
      size_t count = 1;
      if (done_ < begin_ || done_ >= end_) {
        *bytes = static_cast<uint8_t>(coder.uniform(Coder::kEncodes ? *bytes : 0, 256));
      } else {
        const size_t units = (std::min(most, end_) - done_ + unit_ - 1) / unit_;
        model_->code(bytes, units);
        count = units * unit_;
      }
      bytes += count;
      done_ += count;
    }
  }
  size_t unit() const { return unit_; }

  Coder coder;

 private:
  size_t unit_, begin_, end_, raw_size_, done_ = 0;
  std::unique_ptr<TensorModel> model_;
};

// Bytes that either direction takes beside content and packed bytes, at most.
inline size_t tensor_memory(size_t raw_size) {
  // Fields take the most where binary64 has every exponent and tails that are no noise; a column takes 20 bytes.
  return (size_t{22} << 20) + std::min(raw_size, kMostRow) * 20 + RowPredictor::memory(raw_size / 16);
}

}  // namespace ncz::inline NCZ_ISA
