// What a block teaches the language model beyond biases: a matrix that the last hidden state passes, h + A h, before the
// head. Adagrad (Duchi and others 2011) moves it after every kEvery positions, so that a stretch of them is one product.
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
  static constexpr size_t kEvery = 64;

  explicit HeadAdaptation(const LanguageModel& model)
      : m_(model),
        size_(model.hidden),
        matrix_(size_ * size_),
        gradient_(size_ * size_),
        squares_(size_ * size_, kFirstSquare),
        error_(size_) {}
  static size_t memory(const LanguageModel& model) { return model.hidden * (model.hidden * 3 + 1) * sizeof(float); }

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

  // `token` came after the state h. The gradient is over it and the tokens that had at least 2^-12 of the weight.
  void learn(const float* h, const TokenWeights& weights, size_t token) {
    for (float& e : error_) e = 0.0f;
    const uint64_t total = weights.total();
    const auto least = static_cast<uint32_t>((total >> 12) + 1);
    const float one = 1.0f / static_cast<float>(total);
    for (size_t t = 0; t < m_.vocabulary; ++t)
      if (weights.weight(t) >= least) add(t, static_cast<float>(weights.weight(t)) * one * m_.head.scale[t]);
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
    for (size_t i = 0; i < size_; ++i) error_[i] = error_[i] + factor * weight_of(row, i);
  }

  const LanguageModel& m_;
  size_t size_;
  Array<float> matrix_, gradient_, squares_, error_;
};

}  // namespace ncz::inline NCZ_ISA
