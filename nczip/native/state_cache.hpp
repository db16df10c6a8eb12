// What followed a block's states that were most like this one: a continuous cache (Grave and others, 2017), whose
// distribution is added to the language model's. It remembers what the model's window has left behind, too.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "array.hpp"
#include "language_model.hpp"
#include "pages.hpp"
#include "panel.hpp"
#include "token_weights.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {

class StateCache {
 public:
  static constexpr size_t kEvery = 64;           // states are remembered so many at a time
  static constexpr size_t kPositions = 1 << 16;  // of which the last are kept

  // length: positions ever.
  StateCache(const LanguageModel& model, size_t length)
      : size_(model.hidden),
        room_(room(length)),
        keys_(room_ * size_),
        key_scale_(room_),
        token_(room_),
        queries_(kEvery, size_),
        scores_(kRows * room_ * sizeof(float)),
        mean_(size_),
        factor_(size_, 1.0f),
        sum_(size_),
        squares_(size_),
        standard_(size_),
        count_(model.vocabulary),
        touched_(model.vocabulary) {
    for (Share& share : share_) share = {kShare, 0.0f};
  }
  static size_t memory(const LanguageModel& model, size_t length) {
    return room(length) * (model.hidden + (kRows + 2) * sizeof(float)) + model.hidden * (kEvery * 2 + 20) +
           model.vocabulary * 2 * sizeof(uint32_t);
  }

  // The state of a position, which stands `row` places after the last multiple of kEvery.
  void ask(size_t row, const float* state) {
    const float unit = standardise(state);
    queries_.quantise(row, standard_.data());
    query_scale_[row] = queries_.scale(row) * unit;
    asked_ = row + 1;
    scored_ = std::min(scored_, row);
  }

  // Adds to the weights of the tokens that followed, by how alike the states were.
  void predict(size_t row, TokenWeights& weights) {
    for (size_t i = 0; i < touched_count_; ++i) count_[touched_[i]] = 0;
    touched_count_ = 0;
    if (!held_) return;
    if (row < first_scored_ || row >= scored_) score(row);
    const float* const s = scores(row - first_scored_);
    Vec most = broadcast(-2.0f);
    for (size_t i = 0; i < held_; i += kLanes) most = max(most, load(s + i));
    const float best = largest(most);
    alignas(64) uint32_t counts[kLanes];
    uint32_t all = 0;
    for (size_t i = 0; i < held_; i += kLanes) {
      const Vec likeness = (load(s + i) - broadcast(best)) * broadcast(kSharpness);
      store_counts(counts, nearest(exp2_pinned(likeness) * broadcast(0x1p12f)));
      for (size_t j = 0; j < kLanes; ++j) {
        if (!counts[j]) continue;
        const uint32_t token = token_[i + j];
        if (!count_[token]) touched_[touched_count_++] = token;
        count_[token] += counts[j];
        all += counts[j];
      }
    }
    uint32_t favourite = touched_[0];
    for (size_t i = 1; i < touched_count_; ++i) {
      const uint32_t token = touched_[i];
      const uint32_t count = count_[token], most = count_[favourite];
      if (count > most || (count == most && token < favourite)) favourite = token;
    }
    const auto total = static_cast<float>(weights.total());
    const float agreed = static_cast<float>(weights.weight(favourite)) / total;
    const auto alike = static_cast<size_t>(std::min(std::max(best * 6.0f, 0.0f), 5.0f));
    trusted_ = &share_[alike * 8 + std::min<size_t>(static_cast<size_t>(agreed * 8.0f), 7)];
    each_ = trusted_->value / (1.0f - trusted_->value) * total / static_cast<float>(all);
    for (size_t i = 0; i < touched_count_; ++i) weights.raise(touched_[i], added(touched_[i]));
    weights.recount();
  }

  // `token` came: the share that its like gets in future moves to what the cache had in its weight.
  void learn(const TokenWeights& weights, size_t token) {
    if (!held_) return;
    const float had = static_cast<float>(added(token)) / static_cast<float>(weights.weight(token));
    trusted_->seen = std::min(trusted_->seen + 1.0f, kSeen);
    const float value = trusted_->value + (had - trusted_->value) / (trusted_->seen + 1.5f);
    trusted_->value = std::min(std::max(value, kLeastShare), kMostShare);
  }

  // Of the position that stands at `row`, no more tokens come; this was the last.
  void leave(size_t row, size_t token) { tokens_[row] = static_cast<uint32_t>(token); }
  // Remembers kEvery states.
  void remember(const float* states) {
    for (size_t r = 0; r < kEvery; ++r) {
      const size_t slot = (remembered_ + r) % room_;
      const float unit = standardise(states + r * size_);
      key_scale_[slot] = put_row(row_of(keys_.data(), size_, slot), standard_.data(), size_) * unit;
      token_[slot] = tokens_[r];
    }
    remembered_ += kEvery;
    held_ = std::min(remembered_, room_);
    asked_ = scored_ = first_scored_ = 0;
    for (size_t r = 0; r < kEvery; ++r)
      for (size_t i = 0; i < size_; i += kLanes) {
        const Vec x = finite(load(states + r * size_ + i));
        store(sum_.data() + i, load(sum_.data() + i) + x);
        store(squares_.data() + i, load(squares_.data() + i) + x * x);
      }
    const Vec n = broadcast(static_cast<float>(remembered_) + kEvidence);
    for (size_t i = 0; i < size_; i += kLanes) {
      const Vec mean = load(sum_.data() + i) / n;
      const Vec variance = (load(squares_.data() + i) + broadcast(kEvidence)) / n - mean * mean;
      store(mean_.data() + i, mean);
      store(factor_.data() + i, broadcast(1.0f) / square_root(max(variance, broadcast(0x1p-20f))));
    }
  }

 private:
  static constexpr size_t kRows = 16;  // states whose likenesses are computed together
  static constexpr float kSharpness = 0x1.8869bep+4f;  // 17 nats, in bits: of cosines
  static constexpr float kEvidence = 64.0f;            // states of mean 0 and variance 1 that were before the first
  static constexpr float kShare = 0.02f, kLeastShare = 0x1p-11f, kMostShare = 0.6f, kSeen = 60.0f;
  static constexpr float kMostAdded = 0x1.8p+30f;  // with the weight it stays below 2^31

  struct Share {
    float value, seen;  // of the cache in all weights; tokens that it was learnt from
  };

  static size_t room(size_t length) { return std::min(kPositions, (length + kEvery - 1) / kEvery * kEvery); }
  float* scores(size_t i) const { return reinterpret_cast<float*>(scores_.data()) + i * room_; }

  uint32_t added(size_t token) const {
    return static_cast<uint32_t>(std::min(static_cast<float>(count_[token]) * each_, kMostAdded));
  }

  // standard_ = the state with mean 0 and variance 1, by those so far; returns the inverse of its length.
  float standardise(const float* state) {
    Vec squares = broadcast(0.0f);
    for (size_t i = 0; i < size_; i += kLanes) {
      const Vec x = (finite(load(state + i)) - load(mean_.data() + i)) * load(factor_.data() + i);
      store(standard_.data() + i, x);
      squares = squares + x * x;
    }
    const float length = sum(squares);
    return length > 0x1p-100f ? 1.0f / std::sqrt(length) : 0.0f;
  }

  void score(size_t row) {
    first_scored_ = row;
    scored_ = std::min(row + kRows, asked_);
    multiply({keys_.data(), kPanelRows * size_}, 0, held_ / kPanelRows, size_, queries_, first_scored_, scored_,
             [this](size_t r, size_t panel, Vec sums) __attribute__((always_inline)) {
               const Vec likeness = sums * broadcast(query_scale_[r]) * load(key_scale_.data() + panel * kLanes);
               store(scores(r - first_scored_) + panel * kLanes, max(min(likeness, broadcast(1.0f)), broadcast(-1.0f)));
             });
  }

  size_t size_, room_;
  Pages keys_;
  Array<float> key_scale_;
  Array<uint32_t> token_;
  Activations queries_;
  float query_scale_[kEvery] = {};
  Pages scores_;
  Array<float> mean_, factor_, sum_, squares_, standard_;
  Array<uint32_t> count_, touched_;
  uint32_t tokens_[kEvery] = {};
  size_t remembered_ = 0, held_ = 0, touched_count_ = 0;
  size_t asked_ = 0, first_scored_ = 0, scored_ = 0;  // rows: asked for, and [first, last) of those with scores
  Share share_[48];
  Share* trusted_ = nullptr;
  float each_ = 0.0f;  // weight that one count adds
};

}  // namespace ncz::inline NCZ_ISA
