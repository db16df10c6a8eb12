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

// Weight vectors of all sets, one after another.
template <int kInputs, int kSets>
class Weights {
  static_assert(kInputs % kLanes == 0 && kSets <= kLanes);

 public:
  // contexts[k]: number of values of selector k. initial: every weight at the start.
  Weights(const int (&contexts)[kSets], float initial) {
    size_t total = 0;
    for (int k = 0; k < kSets; ++k) {
      base_[k] = total;
      total += static_cast<size_t>(contexts[k]);
    }
    weights_ = Array<float>(total * kInputs, initial);
  }
  void choose(const int (&selected)[kSets]) {
    for (int k = 0; k < kSets; ++k)
      chosen_[k] = weights_.data() + (base_[k] + static_cast<size_t>(selected[k])) * kInputs;
  }
  float* chosen(int set) const { return chosen_[set]; }

 private:
  Array<float> weights_;
  size_t base_[kSets] = {};
  float* chosen_[kSets] = {};
};

// One layer, for up to kLanes inputs. They come as a vector: scalars stored and then read as a vector would wait.
template <int kSets>
class OneLayerMixer {
 public:
  OneLayerMixer(const int (&contexts)[kSets], float initial) : weights_(contexts, initial) {}

  // The stretched probability of a 1.
  float mix(Vec inputs, const int (&selected)[kSets]) {
    weights_.choose(selected);
    inputs_ = inputs;
    Vec total = inputs * load(weights_.chosen(0));
    for (int k = 1; k < kSets; ++k) total = total + inputs * load(weights_.chosen(k));
    return clamp(sum(total), -kMaxStretch, kMaxStretch);
  }

  // p: the probability that mix() led to, for the bit that came.
  void update(int bit, float p, float rate) {
    const Vec step = broadcast((static_cast<float>(bit) - p) * rate) * inputs_;
    for (int k = 0; k < kSets; ++k) store(weights_.chosen(k), load(weights_.chosen(k)) + step);
  }

 private:
  Weights<kLanes, kSets> weights_;
  Vec inputs_{};
};

// Two layers. kInputs: padded to a multiple of kLanes, the padding stays 0.
template <int kInputs, int kSets>
class TwoLayerMixer {
  static constexpr int kFinalContexts = 32;
  static constexpr float kFinalRate = 0.0007f;

 public:
  TwoLayerMixer(const int (&contexts)[kSets], float initial)
      : weights_(contexts, initial), final_(size_t{kFinalContexts} * kLanes, 1.0f / kSets) {}

  float* inputs() { return inputs_; }

  // The stretched probability of a 1.
  float mix(const int (&selected)[kSets], int final_context) {
    weights_.choose(selected);
    alignas(64) float outputs[kLanes] = {};
    for (int k = 0; k < kSets; ++k) {
      const float* const w = weights_.chosen(k);
      Vec total = load(inputs_) * load(w);
      for (int i = kLanes; i < kInputs; i += kLanes) total = total + load(inputs_ + i) * load(w + i);
      outputs[k] = clamp(sum(total), -kMaxStretch, kMaxStretch);
    }
    outputs_ = load(outputs);
    chosen_final_ = final_.data() + static_cast<size_t>(final_context) * kLanes;
    return clamp(sum(outputs_ * load(chosen_final_)), -kMaxStretch, kMaxStretch);
  }

  // p: the probability that mix() led to, for the bit that came.
  void update(int bit, float p, float rate) {
    const float target = static_cast<float>(bit);
    alignas(64) float steps[kLanes];
    store(steps, (broadcast(target) - squash(outputs_)) * broadcast(rate));
    for (int k = 0; k < kSets; ++k) {
      float* const w = weights_.chosen(k);
      const Vec step = broadcast(steps[k]);
      for (int i = 0; i < kInputs; i += kLanes) store(w + i, load(w + i) + step * load(inputs_ + i));
    }
    store(chosen_final_, load(chosen_final_) + broadcast((target - p) * kFinalRate) * outputs_);
  }

 private:
  Weights<kInputs, kSets> weights_;
  Array<float> final_;
  alignas(64) float inputs_[kInputs] = {};
  Vec outputs_{};
  float* chosen_final_ = nullptr;
};

}  // namespace ncz::inline NCZ_ISA
