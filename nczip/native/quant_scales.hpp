// The scales of blocks of quants: of each those that its weights' integers are to be multiplied by.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "field_coder.hpp"
#include "quants.hpp"
#include "tensor_scales.hpp"

namespace ncz::inline NCZ_ISA {

// What the weights of a part of a block are: (q - zero / 4) steps.
struct QuantScale {
  int zero;  // in quarters of a step
  int base;  // the level of a quarter of a step
  int64_t step;  // in units of 2^-24
};
inline QuantScale quant_scale(Quant kind, const QuantBlock& block, size_t part) {
  constexpr int kBase = 608;  // where the step is 2^-24
  const QuantLayout& layout = kQuantLayouts[static_cast<size_t>(kind)];
  int64_t signed_step = half_value(block.scale);
  if (kind == Quant::kQ6_K) signed_step *= block.part_scale[part] - 128;
  else if (layout.parts) signed_step *= block.part_scale[part];
  const int64_t step = signed_step < 0 ? -signed_step : signed_step;
  int zero = 2 << layout.bits;
  if (layout.offset) {
    const int64_t offset = half_magnitude(block.offset) * (layout.parts ? block.part_offset[part] : 1);
    const int64_t quarters = (8 * offset / std::max<int64_t>(1, step) + 1) >> 1;
    zero = static_cast<int>(std::min<int64_t>(quarters, 8 << layout.bits));
    if (!layout.parts && !(block.offset >> 15)) zero = -zero;  // K-quants' offsets are subtracted
  }
  return {zero, kBase + level_of(static_cast<uint64_t>(step)), signed_step};
}

// The fields of a block that are not its weights' integers.
template <class Coder>
class QuantScales {
 public:
  // `row`: blocks, at least one. `steps` as a layout has them, or 0 where scales have not to do with ends.
  QuantScales(Coder& coder, Quant kind, size_t row, int steps)
      : coder_(coder), layout_(kQuantLayouts[static_cast<size_t>(kind)]), steps_(steps), above_(row) {}

  // All blocks are counted before the fields begin, by an encoder.
  void count(const QuantBlock& block) {
    ++scale_highs_[block.scale >> 8], ++scale_lows_[block.scale & 255];
    ++offset_highs_[block.offset >> 8], ++offset_lows_[block.offset & 255];
    if (steps_) ++ends_[ends_at_bf16(block.scale, block.offset, steps_)];
    for (size_t j = 0; j < layout_.parts; ++j) ++part_scales_[block.part_scale[j]], ++part_offsets_[block.part_offset[j]];
  }
  void begin() {
    scale_high_.begin(coder_, 8, {256, 256, 256}, scale_highs_);
    scale_low_.begin(coder_, 8, {256, 256}, scale_lows_, true);
    offset_high_.begin(coder_, 8, {256, 256, 256}, offset_highs_);
    offset_low_.begin(coder_, 8, {256, 256}, offset_lows_, true);
    at_ends_.begin(coder_, 1, {1}, ends_);
    part_scale_.begin(coder_, 8, {256, 256, 4096, 1024}, part_scales_);
    part_offset_.begin(coder_, 6, {512, 4096, 64, 4096}, part_offsets_);
  }

  void code(QuantBlock& block) {
    Head& above = above_[at_];
    const auto u32 = [](auto value) { return static_cast<uint32_t>(value); };
    const uint32_t high = scale_high_.code(
        coder_, {left_.scale_high, above.scale_high, (u32(left_.scale_high) + above.scale_high) >> 1}, block.scale >> 8);
    if (layout_.offset) {
      const uint32_t offset = offset_high_.code(coder_, {high, above.offset_high, left_.offset_high}, block.offset >> 8);
      const uint32_t low = offset_low_.code(coder_, {offset, (high & 15) << 4 | (offset & 15)}, block.offset & 255);
      block.offset = static_cast<uint16_t>(offset << 8 | low);
    }
    const uint32_t low = scale_low(block, high);
    block.scale = static_cast<uint16_t>(high << 8 | low);

    uint32_t most = 0, most_offset = 0;
    for (size_t j = 0; j < layout_.parts; ++j) {
      const uint32_t before = j ? block.part_scale[j - 1] : left_.part_scale[layout_.parts - 1];
      block.part_scale[j] = static_cast<uint8_t>(part_scale_.code(
          coder_,
          {before, above.part_scale[j], (before & 63) << 6 | (above.part_scale[j] & 63u), u32(j) << 6 | std::min(most, 63u)},
          block.part_scale[j]));
      most = std::max<uint32_t>(most, block.part_scale[j]);
    }
    for (size_t j = 0; layout_.offset && j < layout_.parts; ++j) {
      const uint32_t scale = block.part_scale[j] & 63, before = j ? block.part_offset[j - 1] : 0;
      block.part_offset[j] = static_cast<uint8_t>(part_offset_.code(
          coder_, {u32(j) << 6 | most_offset, scale << 6 | before, above.part_offset[j], (most & 63) << 6 | scale},
          block.part_offset[j]));
      most_offset = std::max<uint32_t>(most_offset, block.part_offset[j]);
    }

    left_.scale_high = static_cast<uint8_t>(high), left_.scale_low = static_cast<uint8_t>(low);
    left_.offset_high = static_cast<uint8_t>(block.offset >> 8);
    std::copy_n(block.part_scale, kMostParts, left_.part_scale);
    std::copy_n(block.part_offset, kMostParts, left_.part_offset);
    above = left_;
    if (++at_ == above_.size()) at_ = 0;
  }

 private:
  struct Head {  // what is kept of a block: of the one before, and of those above
    uint8_t scale_high = 0, scale_low = 0, offset_high = 0;
    uint8_t part_scale[kMostParts] = {}, part_offset[kMostParts] = {};
  };

  // The scale's lower byte: which of those that end at a bf16 number, or if it does not, by contexts.
  uint32_t scale_low(const QuantBlock& block, uint32_t high) {
    const uint32_t low = block.scale & 255;
    if (steps_ && at_ends_.code(coder_, {0}, ends_at_bf16(block.scale, block.offset, steps_))) {
      std::array<uint8_t, 256> candidates;
      uint32_t count = 0, rank = 0;
      for (uint32_t v = 0; v < 256; ++v) {
        if (v == low) rank = count;
        if (ends_at_bf16(static_cast<uint16_t>(high << 8 | v), block.offset, steps_))
          candidates[count++] = static_cast<uint8_t>(v);
      }
      if (count) return candidates[coder_.uniform(rank, count)];
    }
    return scale_low_.code(coder_, {high, left_.scale_high == high ? left_.scale_low : 0u}, low);
  }

  Coder& coder_;
  QuantLayout layout_;
  int steps_;
  Histogram scale_highs_ = Histogram(256), scale_lows_ = Histogram(256), offset_highs_ = Histogram(256),
            offset_lows_ = Histogram(256), ends_ = Histogram(2), part_scales_ = Histogram(256),
            part_offsets_ = Histogram(64);
  Field<3> scale_high_, offset_high_;
  Field<2> scale_low_, offset_low_;
  Field<1> at_ends_;
  Field<4> part_scale_, part_offset_;
  Head left_;
  std::vector<Head> above_;  // one for each block of a row
  size_t at_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
