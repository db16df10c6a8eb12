// Blocks through the language model, in both directions: direct (level 7), or spelled with the mixture (8 and 9).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "array.hpp"
#include "cdf.hpp"
#include "drafts.hpp"
#include "fp_environment.hpp"
#include "head_adaptation.hpp"
#include "isa.hpp"
#include "range_coder.hpp"
#include "speller.hpp"
#include "state_cache.hpp"
#include "token_weights.hpp"
#include "transformer.hpp"

namespace ncz::inline NCZ_ISA {

// Sums as the walk wants them, without a copy of them.
struct TokenSums {
  const TokenWeights* weights;
  uint64_t operator[](size_t token) const { return (*weights)[token]; }
};

inline bool is_silent(const LanguageModel& model, size_t token) { return model.head.scale[token] == 0.0f; }

// One interval a token, counts of at least 1 that total 2^24, from sums cut to 40 bits.
class DirectCoder {
 public:
  DirectCoder(uint8_t* raw, size_t, int, const uint8_t*) : raw_(raw) {}
  size_t position() const { return position_; }
  static size_t memory(size_t, int) { return 0; }

  template <typename Coder>
  size_t code(const Vocabulary& vocabulary, TokenSums sums, size_t token, Coder& coder) {
    const uint64_t all = sums[vocabulary.size];
    const int shift = cut_bits(all);
    const auto cum = [&](size_t i) { return cumulative(sums[i], all, shift, vocabulary.size, i); };
    if constexpr (std::is_same_v<Coder, RangeDecoder>) {
      const uint32_t point = coder.peek();
      size_t low = 0, high = vocabulary.size;  // cum(low) <= point < cum(high)
      while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        (cum(middle) <= point ? low : high) = middle;
      }
      token = low;
      coder.take(cum(token), cum(token + 1) - cum(token));
    } else {
      coder.encode(cum(token), cum(token + 1) - cum(token));
    }
    const size_t length = vocabulary.length(token);
    std::memcpy(raw_ + position_, vocabulary.bytes + vocabulary.begin[token], length);
    position_ += length;
    return token;
  }

 private:
  uint8_t* raw_;
  size_t position_ = 0;
};

template <int kLevel>
using TokenCoder = std::conditional_t<kLevel == 7, DirectCoder, Speller<kLevel>>;

// What a level learns of the last hidden states, besides the tokens' biases.
template <int kLevel>
class StateLearner {  // nothing
 public:
  static constexpr size_t kEvery = size_t{1} << 62;
  StateLearner(const LanguageModel&, size_t) {}
  static size_t memory(const LanguageModel&, size_t) { return 0; }
  void adapt(size_t, float*) {}
  void predict(size_t, TokenWeights&) {}
  void learn(size_t, const TokenWeights&, size_t) {}
  void leave(size_t, size_t) {}
};
template <>
class StateLearner<9> {
 public:
  static constexpr size_t kEvery = StateCache::kEvery;  // the matrix moves as often

  StateLearner(const LanguageModel& model, size_t length)
      : hidden_(model.hidden), states_(kEvery * model.hidden), adaptation_(model), cache_(model, length) {}
  static size_t memory(const LanguageModel& model, size_t length) {
    return HeadAdaptation::memory(model) + StateCache::memory(model, length) + kEvery * model.hidden * sizeof(float);
  }

  void adapt(size_t position, float* state) {
    float* const kept = states_.data() + position % kEvery * hidden_;
    std::memcpy(kept, state, hidden_ * sizeof(float));
    cache_.ask(position % kEvery, kept);
    adaptation_.apply(kept, state);
  }
  void predict(size_t position, TokenWeights& weights) { cache_.predict(position % kEvery, weights); }
  void learn(size_t position, const TokenWeights& weights, size_t token) {
    cache_.learn(weights, token);
    adaptation_.learn(states_.data() + position % kEvery * hidden_, weights, token);
  }
  void leave(size_t position, size_t token) {
    cache_.leave(position % kEvery, token);
    if ((position + 1) % kEvery) return;
    adaptation_.update();
    cache_.remember(states_.data());
  }

 private:
  size_t hidden_;
  Array<float> states_;  // of the positions since the last multiple of kEvery, as they came
  HeadAdaptation adaptation_;
  StateCache cache_;
};

// One position of a block: the weights that follow from its logits, and what the token that came teaches.
template <int kLevel>
class Head {
 public:
  static constexpr size_t kEvery = StateLearner<kLevel>::kEvery;

  // length: positions ever.
  Head(const LanguageModel& model, size_t length)
      : weights_(model, kLevel == 7 ? 0.0f : kBiasRate), states_(model, length) {}
  static size_t memory(const LanguageModel& model, size_t length) {
    return TokenWeights::memory(model.vocabulary) + StateLearner<kLevel>::memory(model, length);
  }

  // The state of a position on its way to the head; positions from the last multiple of kEvery on.
  void adapt(size_t position, float* state) { states_.adapt(position, state); }
  TokenSums predict(size_t position, const float* logits) {
    weights_.load(logits);
    states_.predict(position, weights_);
    return {&weights_};
  }
  void learn(size_t position, size_t token) {
    states_.learn(position, weights_, token);
    if constexpr (kLevel > 7) weights_.learn(token);
  }
  // No more tokens come at this position, after this one.
  void leave(size_t position, size_t token) { states_.leave(position, token); }

 private:
  TokenWeights weights_;
  StateLearner<kLevel> states_;
};

// Tokens that an encoder runs through the model at a time, and whose logits are held: the head is read once for them.
inline constexpr size_t kTogether = 64;
static_assert(StateLearner<9>::kEvery % kTogether == 0);

template <int kLevel>
class LanguageEncoder final : public BlockEncoder {
 public:
  LanguageEncoder(const LanguageModel& model, LanguageConfig config, const uint8_t* raw, size_t raw_size,
                  const uint32_t* tokens, size_t count)
      : model_(model),
        vocabulary_{model.bytes, model.begin, model.vocabulary},
        raw_(raw_size),
        tokens_(tokens),
        count_(count),
        inputs_(count + 1),
        logits_(kTogether * TokenWeights::padded(model.vocabulary)),
        cache_(model, config.window, kTogether, count + 1),
        transformer_(model, kTogether, cache_.slots()),
        head_(model, count + 1),
        speller_(raw_.data(), raw_size, config.table_bits, config.knowledge) {
    std::memcpy(raw_.data(), raw, raw_size);
    inputs_[filled_++] = static_cast<uint32_t>(model.vocabulary);
    for (size_t i = 0; i < count; ++i)
      if (!is_silent(model, tokens[i])) inputs_[filled_++] = tokens[i];
  }

  size_t advance(size_t bytes) override {
    const FpEnvironment ieee;
    const size_t target = speller_.position() + bytes;
    while (done_ < count_ && speller_.position() < target) {
      if (row_ == stretch_) next_stretch();
      const size_t token = tokens_[done_++], position = at_ - stretch_ + row_;
      const float* const logits = logits_.data() + row_ * TokenWeights::padded(model_.vocabulary);
      speller_.code(vocabulary_, head_.predict(position, logits), token, coder_);
      head_.learn(position, token);
      if (is_silent(model_, token)) continue;
      head_.leave(position, token);
      ++row_;
    }
    return speller_.position();
  }
  size_t packed_size() const override { return coder_.words() * 4; }
  Packed finish() override {
    return coder_.finish();
  }
  size_t weights(float*) const override { return 0; }

 private:
  void next_stretch() {
    const Stretch stretch{&cache_, inputs_.data() + at_, at_, std::min(kTogether, filled_ - at_)};
    transformer_.forward(&stretch, 1);
    for (size_t r = 0; r < stretch.count; ++r) head_.adapt(at_ + r, transformer_.state(r));
    transformer_.logits(0, stretch.count, logits_.data(), TokenWeights::padded(model_.vocabulary));
    at_ += stretch.count;
    stretch_ = stretch.count;
    row_ = 0;
  }

  const LanguageModel& model_;
  Vocabulary vocabulary_;
  Pages raw_;
  const uint32_t* tokens_;
  size_t count_, done_ = 0;
  Array<uint32_t> inputs_;
  size_t filled_ = 0, at_ = 0;    // inputs there are, and that the model has seen
  size_t row_ = 0, stretch_ = 0;  // of this stretch: the next token's, all
  Array<float> logits_;
  KeyValueCache cache_;
  Transformer transformer_;
  Head<kLevel> head_;
  TokenCoder<kLevel> speller_;
  RangeEncoder coder_;
};

// A block on its way back: what is known of it, and what its next pass through the model asks.
template <int kLevel>
class LanguageBlock {
 public:
  LanguageBlock(const LanguageModel& model, LanguageConfig config, size_t most, size_t longest, size_t raw_size,
                const uint8_t* packed, size_t packed_size)
      : raw(raw_size + longest),
        size(raw_size),
        inputs(raw_size + 1 + most),
        cache(model, config.window, most, raw_size + 1 + most),
        head(model, raw_size + 1),
        speller(raw.data(), raw_size, config.table_bits, config.knowledge),
        coder(packed, packed_size),
        drafts(raw_size) {
    inputs[filled++] = static_cast<uint32_t>(model.vocabulary);
  }
  bool done() const { return speller.position() >= size || coder.ran_out(); }

  Pages raw;
  size_t size;
  Array<uint32_t> inputs;
  size_t seen = 0, filled = 0;  // inputs that the model has passed, and that are certain
  size_t first_row = 0, began = 0, asked = 0;  // of this pass: its rows, as far as no guess was wrong
  KeyValueCache cache;
  Head<kLevel> head;
  TokenCoder<kLevel> speller;
  RangeDecoder coder;
  Drafts drafts;
};

template <int kLevel>
class LanguageDecoder final : public BlocksDecoder {
  using Block = LanguageBlock<kLevel>;

 public:
  LanguageDecoder(const LanguageModel& model, LanguageConfig config, const PackedBlock* blocks, size_t count)
      : model_(model),
        vocabulary_{model.bytes, model.begin, model.vocabulary},
        count_(count),
        drafted_(count == 1 ? Drafts::kMost : count <= 4 ? 2 : 0),
        blocks_(new std::unique_ptr<Block>[count]),
        logits_(kTogether * TokenWeights::padded(model.vocabulary)),
        stretches_(count),
        owner_(count * (1 + drafted_)) {
    size_t longest = 0;
    for (size_t i = 0; i < model.vocabulary; ++i) longest = std::max(longest, vocabulary_.length(i));
    size_t slots = 0;
    for (size_t i = 0; i < count; ++i) {
      blocks_[i] = std::make_unique<Block>(model, config, 1 + drafted_, longest, blocks[i].raw_size,
                                                           blocks[i].packed, blocks[i].packed_size);
      slots = std::max(slots, blocks_[i]->cache.slots());
    }
    transformer_ = std::make_unique<Transformer>(model, count * (1 + drafted_), slots);
  }

  // Bytes for `together` blocks of raw_size, beyond the model: an encoder takes as much or less.
  static size_t memory(const LanguageModel& model, LanguageConfig config, size_t raw_size, size_t together) {
    const size_t slots = KeyValueCache::slots(config.window, kTogether, raw_size + 9);
    const size_t vocabulary = TokenWeights::padded(model.vocabulary);
    const size_t block = KeyValueCache::memory(model, config.window, kTogether, raw_size + 9) +
                         Head<kLevel>::memory(model, raw_size + 1) + raw_size * 5 +
                         TokenCoder<kLevel>::memory(raw_size, config.table_bits) + (size_t{9} << 20);
    return block * together + Transformer::memory(model, std::max(kTogether, together * (1 + Drafts::kMost)), slots) +
           kTogether * vocabulary * sizeof(float);
  }

  // One pass of the model over the next token, and guesses, of every block that is not done; whether all are.
  bool step() override {
    const FpEnvironment ieee;
    size_t active = 0, rows = 0;
    for (size_t i = 0; i < count_; ++i) {
      Block& block = *blocks_[i];
      if (block.done()) continue;
      block.first_row = rows;
      block.began = block.seen;
      // Guesses stop before the head changes.
      const size_t most = std::min(drafted_, Head<kLevel>::kEvery - 1 - block.seen % Head<kLevel>::kEvery);
      block.asked = block.filled - block.seen + block.drafts.guess(block.inputs.data(), block.filled, most);
      stretches_[active++] = {&block.cache, block.inputs.data() + block.seen, block.seen, block.asked};
      for (size_t r = 0; r < block.asked; ++r) owner_[rows++] = static_cast<uint32_t>(i);
    }
    if (!active) return true;
    transformer_->forward(stretches_.data(), active);
    const size_t pitch = TokenWeights::padded(model_.vocabulary);
    for (size_t row = 0; row < rows; row += kTogether) {
      const size_t some = std::min(kTogether, rows - row);
      for (size_t r = row; r < row + some; ++r) {
        Block& block = *blocks_[owner_[r]];
        block.head.adapt(block.began + r - block.first_row, transformer_->state(r));
      }
      transformer_->logits(row, some, logits_.data(), pitch);
      for (size_t r = row; r < row + some; ++r) take(*blocks_[owner_[r]], r, logits_.data() + (r - row) * pitch);
    }
    ++passes_;
    return false;
  }
  size_t position(size_t block) const override {
    return std::min(blocks_[block]->speller.position(), blocks_[block]->size);
  }
  const uint8_t* content(size_t block) const override { return blocks_[block]->raw.data(); }
  bool overran(size_t block) const override { return blocks_[block]->speller.position() > blocks_[block]->size; }
  bool ran_out(size_t block) const override { return blocks_[block]->coder.ran_out(); }
  size_t passes() const override { return passes_; }

 private:
  // Decodes from the logits of a row, unless a wrong guess stood before it.
  void take(Block& block, size_t row, const float* logits) {
    const size_t place = row - block.first_row;
    if (place >= block.asked || block.done()) return;
    size_t token;
    do {
      token = block.speller.code(vocabulary_, block.head.predict(block.seen, logits), 0, block.coder);
      block.head.learn(block.seen, token);
    } while (is_silent(model_, token) && !block.done());
    block.head.leave(block.seen++, token);
    if (place + 1 < block.asked && block.inputs[block.filled] != static_cast<uint32_t>(token)) block.asked = place + 1;
    block.inputs[block.filled++] = static_cast<uint32_t>(token);
  }

  const LanguageModel& model_;
  Vocabulary vocabulary_;
  size_t count_, drafted_, passes_ = 0;
  std::unique_ptr<std::unique_ptr<Block>[]> blocks_;
  Array<float> logits_;
  Array<Stretch> stretches_;
  Array<uint32_t> owner_;
  std::unique_ptr<Transformer> transformer_;
};

}  // namespace ncz::inline NCZ_ISA
