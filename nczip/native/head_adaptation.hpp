// What a block teaches the language model beyond biases: a matrix that the last hidden state passes, h + A h, before the
// head. Adagrad (Duchi and others 2011) moves it every so many positions, so that a stretch of them is one product.
#pragma once

#include <cstddef>
#include <cstdint>

#include "array.hpp"
#include "language_model.hpp"
#include "panel.hpp"
#include "token_weights.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {

class HeadAdaptation {
 public:
  explicit HeadAdaptation(const LanguageModel& model)
      : m_(model),
        size_(model.hidden),
        matrix_(size_ * size_),
        gradient_(size_ * size_),
        squares_(size_ * size_, kFirstSquare),
        error_(size_),
        likely_(model.vocabulary) {}
  static size_t memory(const LanguageModel& model) {
    return model.hidden * (model.hidden * 3 + 1) * sizeof(float) + model.vocabulary * sizeof(uint32_t);
  }

  // out = h + A h.
  void apply(const float* h, float* out) const {
    for (size_t i = 0; i < size_; i += kLanes) {
      Vec total[kLanes] = {};
      for (size_t j = 0; j < size_; j += kLanes) {
        const Vec x = load(h + j);
        for (size_t k = 0; k < kLanes; ++k) total[k] = total[k] + load(matrix_.data() + (i + k) * size_ + j) * x;
      }
      store(out + i, load(h + i) + sums(total));
    }
  }

  // `token` came after the state h. The gradient is over it and the tokens that had at least 2^-14 of the weight, as if
  // they had had all of it: what the others lack would push in one direction, token after token.
  void learn(const float* h, const TokenWeights& weights, size_t token) {
    for (float& e : error_) e = 0.0f;
    const size_t count = weights.likely((weights.total() >> 14) + 1, likely_.data());
    uint64_t total = 0;
    for (size_t i = 0; i < count; ++i) total += weights.weight(likely_[i]);
    const float one = 1.0f / static_cast<float>(total);
    for (size_t i = 0; i < count; ++i) {
      const size_t t = likely_[i];
      add(t, static_cast<float>(weights.weight(t)) * one * m_.head.scale[t]);
    }
    add(token, -m_.head.scale[token]);
    for (size_t i = 0; i < size_; ++i) {
      const Vec e = broadcast(error_[i]);
      float* const row = gradient_.data() + i * size_;
      for (size_t j = 0; j < size_; j += kLanes) store(row + j, load(row + j) + e * load(h + j));
    }
  }

  void update() {
    for (size_t i = 0; i < size_ * size_; i += kLanes) {
      const Vec g = load(gradient_.data() + i);
      const Vec squares = load(squares_.data() + i) + g * g;
      store(squares_.data() + i, squares);
      store(matrix_.data() + i, load(matrix_.data() + i) - broadcast(kRate) * g / square_root(squares));
      store(gradient_.data() + i, broadcast(0.0f));
    }
  }

 private:
  static constexpr float kRate = 0x1.3a92a4p-13f;  // 0.00015
  static constexpr float kFirstSquare = 0x1p-27f;

  // The token's row of the head, times a factor.
  void add(size_t token, float factor) {
    const uint8_t* const row = row_of(m_.head.panels, size_, token);
    const Vec by = broadcast(factor);
    alignas(64) float weight[kLanes];
    for (size_t i = 0; i < size_; i += kLanes) {
      for (size_t k = 0; k < kLanes; ++k) weight[k] = weight_of(row + i * kPanelRows, k);
      store(error_.data() + i, load(error_.data() + i) + by * load(weight));
    }
  }

  const LanguageModel& m_;
  size_t size_;
  Array<float> matrix_, gradient_, squares_, error_;
  Array<uint32_t> likely_;
};

}  // namespace ncz::inline NCZ_ISA
