// The mixer: from many opinions of the next bit to one probability, in the logistic domain.
//
// Gated linear mixing as in PAQ (Mahoney 2005): each of several selectors picks one weight vector from its set. In one
// layer the picked vectors are added up and share an error; in two layers each is trained on its own error, and a small
// final vector combines their outputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "apm.hpp"
#include "array.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {

// Largest opinion, in bits: about the least probability that the coder can express.
inline constexpr float kMaxStretch = 20.0f;

// Weights at the start, from the `first` on of those that initial[] knows, in units of 2^-12.
template <typename Initial>
void begin_with(Array<float>& weights, const Initial& initial, size_t first) {
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(initial[first + i]) * 0x1p-12f;
}

// Weight vectors of all sets, one after another.
template <int kInputs, int kSets>
class Weights {
  static_assert(kInputs % kLanes == 0 && kSets <= kLanes);

 public:
  // contexts[k]: number of values of selector k. initial[i]: a weight at the start, in units of 2^-12.
  template <typename Initial>
  Weights(const int (&contexts)[kSets], const Initial& initial) {
    size_t total = 0;
    for (int k = 0; k < kSets; ++k) {
      base_[k] = total;
      total += static_cast<size_t>(contexts[k]);
    }
    weights_ = Array<float>(total * kInputs);
    begin_with(weights_, initial, 0);
  }
  size_t size() const { return weights_.size(); }
  // Where the copy ends.
  float* copy(float* out) const {
    std::memcpy(out, weights_.data(), size() * sizeof(float));
    return out + size();
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
  template <typename Initial>
  OneLayerMixer(const int (&contexts)[kSets], const Initial& initial) : weights_(contexts, initial) {}

  static constexpr size_t kFinal = 0;
  void weights(float* out) const { weights_.copy(out); }

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

 public:
  // initial: those of the first layer and then kFinal of the second.
  template <typename Initial>
  TwoLayerMixer(const int (&contexts)[kSets], const Initial& initial) : weights_(contexts, initial), final_(kFinal) {
    begin_with(final_, initial, weights_.size());
  }

  static constexpr size_t kFinal = size_t{kFinalContexts} * kLanes;
  void weights(float* out) const { std::memcpy(weights_.copy(out), final_.data(), kFinal * sizeof(float)); }

  float* inputs() { return inputs_; }
  void take(Vec inputs) { store(inputs_, inputs); }  // kLanes of them

  // The stretched probability of a 1.
  float mix(const int (&selected)[kSets], int final_context) {
    weights_.choose(selected);
    Vec total[kSets <= 8 ? 8 : kLanes] = {};
    for (int k = 0; k < kSets; ++k) {
      const float* const w = weights_.chosen(k);
      total[k] = load(inputs_) * load(w);
      for (int i = kLanes; i < kInputs; i += kLanes) total[k] = total[k] + load(inputs_ + i) * load(w + i);
    }
    outputs_ = max(min(kSets <= 8 ? sums8(total) : sums(total), broadcast(kMaxStretch)), broadcast(-kMaxStretch));
    chosen_final_ = final_.data() + static_cast<size_t>(final_context) * kLanes;
    return clamp(sum(outputs_ * load(chosen_final_)), -kMaxStretch, kMaxStretch);
  }

  // p: the probability that mix() led to, for the bit that came.
  void update(int bit, float p, float rate, float final_rate) {
    const float target = static_cast<float>(bit);
    alignas(64) float steps[kLanes];
    store(steps, (broadcast(target) - squash(outputs_)) * broadcast(rate));
    for (int k = 0; k < kSets; ++k) {
      float* const w = weights_.chosen(k);
      const Vec step = broadcast(steps[k]);
      for (int i = 0; i < kInputs; i += kLanes) store(w + i, load(w + i) + step * load(inputs_ + i));
    }
    store(chosen_final_, load(chosen_final_) + broadcast((target - p) * final_rate) * outputs_);
  }

 private:
  Weights<kInputs, kSets> weights_;
  Array<float> final_;
  alignas(64) float inputs_[kInputs] = {};
  Vec outputs_{};
  float* chosen_final_ = nullptr;
};

}  // namespace ncz::inline NCZ_ISA
