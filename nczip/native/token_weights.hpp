// From a language model's logits to integer weights of its tokens, and what a block teaches its last layer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "array.hpp"
#include "cdf.hpp"
#include "language_model.hpp"
#include "panel.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {

// Weights of at most 2^28 and at least 1, whose partial sums are the CDF of the walk. The bias of each token moves with
// every token that comes, down the gradient of its code length.
class TokenWeights {
 public:
  TokenWeights(const LanguageModel& model, float rate)
      : size_(model.vocabulary),
        step_(rate * kLog2E),  // of logits, which are in bits
        weight_(padded(size_)),
        bias_(padded(size_)),
        below_(padded(size_) / kGroup + 1) {
    for (size_t i = 0; i < padded(size_); ++i)
      if (i >= size_ || model.head.scale[i] == 0.0f) bias_[i] = kNever;
  }
  static size_t padded(size_t vocabulary) { return (vocabulary + kGroup - 1) / kGroup * kGroup; }
  static size_t memory(size_t vocabulary) { return padded(vocabulary) * (sizeof(float) + sizeof(uint32_t)) * 2; }

  // logits: in bits; room for padded(vocabulary) of them, of which only the vocabulary's count.
  void load(const float* logits) {
    Vec most = broadcast(kNever);
    for (size_t i = 0; i < weight_.size(); i += kLanes) most = max(most, biased(logits, i));
    const Vec top = broadcast(largest(most));
    for (size_t i = 0; i < weight_.size(); i += kLanes)
      store_counts(weight_.data() + i, token_weight(biased(logits, i), top));
    for (size_t i = size_; i < weight_.size(); ++i) weight_[i] = 0;
    recount();
  }
  // More weight for a token, below 2^31 in all; recount() has to follow.
  void raise(size_t token, uint32_t by) { weight_[token] += by; }
  void recount() {
    uint64_t total = 0;
    for (size_t group = 0; group < below_.size() - 1; ++group) {
      below_[group] = total;
      for (size_t i = 0; i < kGroup; ++i) total += weight_[group * kGroup + i];
    }
    below_[below_.size() - 1] = total;
  }

  uint32_t weight(size_t token) const { return weight_[token]; }
  uint64_t total() const { return below_[below_.size() - 1]; }
  // Tokens with at least so much weight, in order; returns how many.
  size_t likely(uint64_t least, uint32_t* tokens) const {
    size_t count = 0;
    for (size_t group = 0; group < below_.size() - 1; ++group) {
      if (below_[group + 1] - below_[group] < least) continue;
      for (size_t i = group * kGroup; i < (group + 1) * kGroup; ++i)
        if (weight_[i] >= least) tokens[count++] = static_cast<uint32_t>(i);
    }
    return count;
  }
  // Of the tokens before this one.
  uint64_t operator[](size_t token) const {
    const size_t group = token / kGroup;
    uint64_t sum = below_[group];
    for (size_t i = group * kGroup; i < token; ++i) sum += weight_[i];
    return sum;
  }

  // `token` came: its bias rises by what it lacked in probability, the others fall by theirs.
  void learn(size_t token) {
    const float all = static_cast<float>(total());
    const Vec factor = broadcast(step_ / all);
    for (size_t i = 0; i < weight_.size(); i += kLanes)
      store(bias_.data() + i, ncz::load(bias_.data() + i) - load_counts(weight_.data() + i) * factor);
    bias_[token] = bias_[token] + step_;
  }

 private:
  static constexpr size_t kGroup = 64;

  Vec biased(const float* logits, size_t i) const {
    return ncz::biased(ncz::load(logits + i), ncz::load(bias_.data() + i));
  }

  size_t size_;
  float step_;
  Array<uint32_t> weight_;
  Array<float> bias_;
  Array<uint64_t> below_;
};

}  // namespace ncz::inline NCZ_ISA
