// Whether a token of a language model ends here: the model's opinion, and how tokens ended in like places before.
#pragma once

#include <cstddef>
#include <cstdint>

#include "apm.hpp"
#include "array.hpp"
#include "counters.hpp"
#include "hashing.hpp"
#include "mixer.hpp"
#include "sureness.hpp"

namespace ncz::inline NCZ_ISA {

class TokenEnds {
 public:
  explicit TokenEnds(int table_bits)
      : shift_(32 - table_bits), counters_(size_t{kContexts} << table_bits, Counter{}), mixer_(kSelectors, InitialWeights{}) {
    for (Apm& apm : apms_) apm.start(kApmBits);
  }
  static size_t memory(int table_bits) {
    return (kContexts * sizeof(Counter) << table_bits) + 2 * Apm::memory(kApmBits) + (size_t{64} << 10);
  }

  // model: the probability that it ends, of 1. history[-1] is the last byte of `known`; the token has `depth` of them.
  // word: a hash of the letters of the word so far. In units of 2^-24.
  uint32_t predict(float model, const uint8_t* history, size_t known, size_t depth, uint32_t word) {
    const auto back = [&](size_t i) { return i <= known ? uint32_t{history[-static_cast<ptrdiff_t>(i)]} : 0; };
    const auto length = static_cast<uint32_t>(depth);
    uint32_t prefix = length;  // hash of the token so far
    for (size_t i = 1; i <= depth; ++i) prefix = hash_step(prefix, back(i));
    const uint32_t contexts[kContexts] = {
        hash_of(prefix, 1),
        hash_of(prefix, back(depth + 1), back(depth + 2), 2),
        hash_of(prefix, back(depth + 1), back(depth + 2), back(depth + 3), back(depth + 4), 3),
        hash_of(length, back(1), back(2), back(3), 4),
        hash_of(length, word, 5)};

    const float opinion = logistic(model, kSurest);
    const float by_byte = apms_[0].refine(opinion, hash_of(back(1), 1));
    const float by_length = apms_[1].refine(opinion, hash_of(length, 2));
    alignas(64) float x[kLanes] = {opinion, logistic(by_byte, kSurest), logistic(by_length, kSurest), 0.3f};
    for (size_t k = 0; k < kContexts; ++k) {
      counter_[k] = &counters_[(k << (32 - shift_)) + (contexts[k] >> shift_)];
      x[4 + k] = counter_[k]->is_new() ? 0.0f : kStretch.of(counter_[k]->p22());
    }
    const int place = static_cast<int>(depth < kDepths ? depth : kDepths - 1);
    mixer_.take(load(x));
    mixed_ = squash(mixer_.mix({place, sureness(opinion)}, place));
    return static_cast<uint32_t>(
        clamp((mixed_ * 0.8f + by_byte * 0.1f + by_length * 0.1f) * 0x1p24f, 4.0f, 0x1p24f - 4.0f));
  }

  void update(int end) {
    mixer_.update(end, mixed_, rate_, kFinalRate);
    rate_ = kRateEnd + (rate_ - kRateEnd) * 0.9995f;
    for (Apm& apm : apms_) apm.update(end);
    for (Counter* counter : counter_) counter->update(end, 255);
  }

 private:
  static constexpr size_t kContexts = 5;
  static constexpr int kDepths = 8, kApmBits = 11;
  static constexpr int kSelectors[2] = {kDepths, kSureness};
  static constexpr float kSurest = 0x1p-20f;  // probability beyond which an opinion is cut
  static constexpr float kRateStart = 0.01f, kRateEnd = 0.002f, kFinalRate = 0.0002f;
  using Mixer = TwoLayerMixer<kLanes, 2>;

  // The model counts for half, what corrects it for the other half, each counter for a twentieth; in 2^-12.
  struct InitialWeights {
    int operator[](size_t i) const {
      const size_t input = i % kLanes;
      if (i >= (kDepths + kSureness) * kLanes) return input < 2 ? 2048 : 0;
      return input == 0 ? 2048 : input < 3 ? 1024 : input >= 4 && input < 4 + kContexts ? 204 : 0;
    }
  };

  int shift_;
  Array<Counter> counters_;
  Counter* counter_[kContexts] = {};
  Apm apms_[2];
  Mixer mixer_;
  float mixed_ = 0.5f, rate_ = kRateStart;
};

}  // namespace ncz::inline NCZ_ISA
