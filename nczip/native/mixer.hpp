// The mixer: from many opinions of the next bit to one probability, in the logistic domain.
//
// Gated linear mixing as in PAQ (Mahoney 2005): each of several selectors picks one weight vector from its set. In one
// layer the picked vectors are added up and share an error; in two layers each is trained on its own error, and a small
// final vector combines their outputs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "apm.hpp"
#include "array.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {

// Largest opinion, in bits: about the least probability that the coder can express.
inline constexpr float kMaxStretch = 20.0f;

// kInputs: padded to a multiple of kLanes, the padding stays 0. kSets: selectors.
template <int kInputs, int kSets, bool kTwoLayers>
class Mixer {
  static_assert(kInputs % kLanes == 0 && kSets <= kLanes);
  static constexpr int kFinalContexts = 32;
  static constexpr float kFinalRate = 0.0007f;

 public:
  // contexts[k]: number of values of selector k. initial: every weight at the start.
  Mixer(const int (&contexts)[kSets], float initial) {
    size_t total = 0;
    for (int k = 0; k < kSets; ++k) {
      base_[k] = total;
      total += static_cast<size_t>(contexts[k]);
    }
    weights_ = Array<float>(total * kInputs, initial);
    if (kTwoLayers) final_ = Array<float>(size_t{kFinalContexts} * kLanes, 1.0f / kSets);
  }

  float* inputs() { return inputs_; }

  // The stretched probability of a 1. final_context is used by two layers only.
  float mix(const int (&selected)[kSets], int final_context) {
    for (int k = 0; k < kSets; ++k)
      chosen_[k] = weights_.data() + (base_[k] + static_cast<size_t>(selected[k])) * kInputs;
    if constexpr (kTwoLayers) {
      alignas(64) float dots[kLanes] = {};
      for (int k = 0; k < kSets; ++k) dots[k] = clamp(sum(dot(k, broadcast(0.0f))), -kMaxStretch, kMaxStretch);
      outputs_ = load(dots);
      chosen_final_ = final_.data() + static_cast<size_t>(final_context) * kLanes;
      return clamp(sum(outputs_ * load(chosen_final_)), -kMaxStretch, kMaxStretch);
    } else {
      Vec total = broadcast(0.0f);
      for (int k = 0; k < kSets; ++k) total = dot(k, total);
      return clamp(sum(total), -kMaxStretch, kMaxStretch);
    }
  }

  // p: the probability that mix() led to, for the bit that came.
  void update(int bit, float p, float rate) {
    const float error = static_cast<float>(bit) - p;
    if constexpr (kTwoLayers) {
      alignas(64) float steps[kLanes];
      store(steps, (broadcast(static_cast<float>(bit)) - squash(outputs_)) * broadcast(rate));
      for (int k = 0; k < kSets; ++k) learn(k, steps[k]);
      store(chosen_final_, load(chosen_final_) + broadcast(error * kFinalRate) * outputs_);
    } else {
      for (int k = 0; k < kSets; ++k) learn(k, error * rate);
    }
  }

 private:
  Vec dot(int set, Vec total) const {
    for (int i = 0; i < kInputs; i += kLanes) total = total + load(inputs_ + i) * load(chosen_[set] + i);
    return total;
  }
  void learn(int set, float step) {
    float* const w = chosen_[set];
    for (int i = 0; i < kInputs; i += kLanes) store(w + i, load(w + i) + broadcast(step) * load(inputs_ + i));
  }

  alignas(64) float inputs_[kInputs] = {};
  Vec outputs_{};
  float* chosen_[kSets] = {};
  float* chosen_final_ = nullptr;
  size_t base_[kSets] = {};
  Array<float> weights_, final_;
};

}  // namespace ncz::inline NCZ_ISA
