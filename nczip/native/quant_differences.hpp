// Blocks of quants beside those of a reference: what is coded is how far they are from what the reference's would be
// with the block's own scales. formats/tensor.md is the specification.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "field_coder.hpp"
#include "quant_scales.hpp"
#include "quants.hpp"
#include "tensor_scales.hpp"

namespace ncz::inline NCZ_ISA {

// How far `value` is from another of so many bits, modulo those that there are: 0, -1, 1, -2, 2 and so on as 0 to 4.
inline uint32_t folded(uint32_t value, uint32_t from, int bits) {
  const uint32_t all = (1u << bits) - 1, d = (value - from) & all;
  return d >> (bits - 1) ? 2 * (all + 1 - d) - 1 : 2 * d;
}
inline uint32_t unfolded(uint32_t distance, uint32_t from, int bits) {
  return ((distance & 1 ? 0 - (distance + 1) / 2 : distance / 2) + from) & ((1u << bits) - 1);
}

template <class Coder>
class QuantDifferenceModel final : public TensorModel {
 public:
  // `bytes` matter to an encoder; `reference` has as many units.
  QuantDifferenceModel(Coder& coder, Quant kind, const uint8_t* bytes, size_t units, const uint8_t* reference)
      : coder_(coder),
        kind_(kind),
        layout_(kQuantLayouts[static_cast<size_t>(kind)]),
        part_(layout_.weights / std::max<size_t>(1, layout_.parts)),
        reference_(reference),
        scales_(0, units * layout_.weights),
        of_blocks_(coder, kind, 1, 0) {
    Histogram same(2), distance(size_t{1} << layout_.bits);
    if constexpr (Coder::kEncodes) {
      for (size_t i = 0; i < units; ++i, bytes += layout_.bytes, reference += layout_.bytes) {
        const bool is_same = std::memcmp(bytes, reference, layout_.bytes) == 0;
        ++same[is_same];
        if (is_same) continue;
        const QuantBlock block = taken_apart(kind, bytes), from = taken_apart(kind, reference);
        of_blocks_.count(each_scale(block, from, folded));
        for (size_t j = 0; j < layout_.weights; ++j) {
          const Aim aim(kind, block, from, layout_.parts ? j / part_ : 0);
          ++distance[folded(block.q[j], aim.at(from.q[j]) >> 4, layout_.bits)];
        }
      }
    }
    same_.begin(coder, 1, {256}, same);
    of_blocks_.begin();
    distance_.begin(coder, layout_.bits, {1024, 1024, 1024, 1024}, distance);
  }

  void code(uint8_t* bytes, size_t units) override {
    for (size_t i = 0; i < units; ++i, bytes += layout_.bytes, reference_ += layout_.bytes) {
      uint32_t is_same = 0;
      if constexpr (Coder::kEncodes) is_same = std::memcmp(bytes, reference_, layout_.bytes) == 0;
      is_same = same_.code(coder_, {last_blocks_}, is_same);
      last_blocks_ = (last_blocks_ << 1 | is_same) & 255;
      if (is_same) {
        if constexpr (!Coder::kEncodes) std::memcpy(bytes, reference_, layout_.bytes);
        continue;
      }
      const QuantBlock from = taken_apart(kind_, reference_);
      QuantBlock block;
      if constexpr (Coder::kEncodes) block = taken_apart(kind_, bytes);
      QuantBlock distances = each_scale(block, from, folded);
      of_blocks_.code(distances);
      if constexpr (!Coder::kEncodes) block = each_scale(distances, from, unfolded);
      for (size_t j = 0; j < layout_.weights; j += part_) code_weights(block, from, j);
      if constexpr (!Coder::kEncodes) put_together(kind_, block, bytes);
    }
  }

 private:
  // What a weight of the reference is in sixteenths of the block's integers, and eight more: the upper bits are the
  // nearest.
  class Aim {
   public:
    Aim(Quant kind, const QuantBlock& block, const QuantBlock& from, size_t part)
        : to_(quant_scale(kind, block, part)), from_(quant_scale(kind, from, part)),
          most_(((16 << kQuantLayouts[static_cast<size_t>(kind)].bits) - 16)) {
      if (to_.step == 0) to_.step = 1;
      if (from_.step == 0) from_.step = 1;
    }
    uint32_t at(uint32_t q) const {  // |16 q - 4 zero| < 2^12, |step| < 2^49
      const int64_t steps = (16 * static_cast<int64_t>(q) - 4 * from_.zero) * from_.step / to_.step;
      return static_cast<uint32_t>(std::clamp<int64_t>(steps + 4 * to_.zero, 0, most_)) + 8;
    }
    int base() const { return to_.base; }

   private:
    QuantScale to_, from_;
    int64_t most_;
  };

  // A block whose scales are what `call` makes of those of two, bits and all.
  template <class Call>
  QuantBlock each_scale(const QuantBlock& block, const QuantBlock& from, Call call) const {
    const int bits = kind_ == Quant::kQ6_K ? 8 : 6;
    QuantBlock made;
    made.scale = static_cast<uint16_t>(call(block.scale, from.scale, 16));
    made.offset = static_cast<uint16_t>(call(block.offset, from.offset, 16));
    for (size_t j = 0; j < layout_.parts; ++j) {
      made.part_scale[j] = static_cast<uint8_t>(call(block.part_scale[j], from.part_scale[j], bits));
      made.part_offset[j] = static_cast<uint8_t>(call(block.part_offset[j], from.part_offset[j], bits));
    }
    return made;
  }

  // The weights of a part, from the one with number `begin` on.
  void code_weights(QuantBlock& block, const QuantBlock& from, size_t begin) {
    const Aim aim(kind_, block, from, layout_.parts ? begin / part_ : 0);
    const int down = std::max(layout_.bits - 6, 0);
    for (size_t j = begin; j < begin + part_; ++j) {
      const uint32_t aimed = aim.at(from.q[j]), nearest = aimed >> 4, fraction = aimed & 15;
      const auto finely = [&](int level) { return within((level - aim.base() + 32) >> 2, 0, 63) << 4 | fraction; };
      const uint32_t distance = distance_.code(
          coder_,
          {fraction << 6 | nearest >> down, fraction << 6 | std::min(left_, 7u) << 3 | std::min(left_of_left_, 7u),
           finely(scales_.expected()), finely(scales_.near())},
          folded(block.q[j], nearest, layout_.bits));
      block.q[j] = static_cast<uint8_t>(unfolded(distance, nearest, layout_.bits));
      left_of_left_ = left_, left_ = (distance + 1) / 2;
      const int off = 16 * block.q[j] + 8 - static_cast<int>(aimed);
      scales_.update(aim.base() + level_of(static_cast<uint64_t>(off < 0 ? -off : off)));
    }
  }

  Coder& coder_;
  Quant kind_;
  QuantLayout layout_;
  size_t part_;  // weights
  const uint8_t* reference_;
  Scales scales_;
  Field<1> same_;
  QuantScales<Coder> of_blocks_;
  Field<4> distance_;
  uint32_t last_blocks_ = 0, left_ = 0, left_of_left_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
