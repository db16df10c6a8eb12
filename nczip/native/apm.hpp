// Secondary estimation: corrects a probability by what happened before at such a probability in a small context
// (adaptive probability map, Mahoney; the idea is Shkarin's SSE). Interpolates between buckets of the stretched input.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arithmetic.hpp"
#include "array.hpp"

namespace ncz::inline NCZ_ISA {

inline float clamp(float x, float low, float high) { return x < low ? low : (x > high ? high : x); }

class Apm {
 public:
  static constexpr int kBuckets = 33;
  static constexpr int kMiddle = kBuckets / 2;
  static constexpr float kStep = 0.75f;  // bits between buckets
  static constexpr float kRate = 0.02f;

  static size_t memory(int context_bits) { return (kBuckets * sizeof(float)) << context_bits; }

  void start(int context_bits) {
    const size_t contexts = size_t{1} << context_bits;
    shift_ = 32 - context_bits;
    p_ = Array<float>(contexts * kBuckets);
    for (int bucket = 0; bucket < kBuckets; ++bucket) {
      const float p = squash(static_cast<float>(bucket - kMiddle) * kStep);
      for (size_t context = 0; context < contexts; ++context) p_[context * kBuckets + static_cast<size_t>(bucket)] = p;
    }
  }

  // hash: of the context; its upper bits pick the row.
  float refine(float stretched, uint32_t hash) {
    const float position = clamp(stretched * (1.0f / kStep) + static_cast<float>(kMiddle), 0.0f, kBuckets - 1.001f);
    const int low = static_cast<int>(position);
    const float weight = position - static_cast<float>(low);
    const size_t at = size_t{hash >> shift_} * kBuckets + static_cast<size_t>(low);
    nearest_ = at + (weight > 0.5f ? 1 : 0);
    return p_[at] * (1.0f - weight) + p_[at + 1] * weight;
  }
  void update(int bit) { p_[nearest_] = p_[nearest_] + (static_cast<float>(bit) - p_[nearest_]) * kRate; }

 private:
  Array<float> p_;
  size_t nearest_ = 0;
  int shift_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
