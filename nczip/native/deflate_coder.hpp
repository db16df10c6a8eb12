// The deflate streams of a block of NCZ1, one after the other: analysed to one recipe, or rebuilt from it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "deflate_recipe.hpp"

namespace ncz::deflate {

// Decisions of a stream that may still turn out not to be worth it.
class Draft {
 public:
  static constexpr bool kReads = false;
  int bit(Counter& counter, uint32_t value, uint32_t limit) {
    put(p24(counter), value);
    counter.update(static_cast<int>(value), limit);
    return static_cast<int>(value);
  }
  int bit(Counter& counter, bool value, uint32_t limit) { return bit(counter, uint32_t{value}, limit); }
  int even(uint32_t value) {
    put(kEven, value);
    return static_cast<int>(value);
  }
  size_t size() const { return decisions_.size(); }
  void write(RangeEncoder& coder) const {
    for (uint32_t decision : decisions_) coder.encode_bit(static_cast<int>(decision & 1), decision >> 1);
  }
  void clear() { decisions_.clear(); }

 private:
  void put(uint32_t p1, uint32_t value) { decisions_.push_back(p1 << 1 | value); }
  std::vector<uint32_t> decisions_;
};

class RecipeReader {
 public:
  static constexpr bool kReads = true;
  RecipeReader(const uint8_t* recipe, size_t size) : coder_(recipe, size) {}
  int bit(Counter& counter, uint32_t, uint32_t limit) {
    const int value = coder_.decode_bit(p24(counter));
    counter.update(value, limit);
    return value;
  }
  int even(uint32_t) { return coder_.decode_bit(kEven); }
  bool ran_out() const { return coder_.ran_out(); }

 private:
  RangeDecoder coder_;
};

// Which settings foresee a stream best: all are tried on its beginning, those that do well on more of it.
class Estimate {
 public:
  static constexpr size_t kFirst = 1 << 11, kMost = 1 << 17;  // tokens that decide
  static constexpr size_t kFurther = 8;                       // times as many when some are left

  static constexpr size_t kHopeless = 16;                     // one wrong guess in so many

  Estimate(Chains& chains, const uint8_t* data, size_t size) : chains_(chains), data_(data), size_(size) {}

  void add(const Block& block) {
    if (block.kind == kStored) {
      if (block.stored) tokens_.push_back({block.stored, 0});
      return;
    }
    any_match_ = any_match_ || std::any_of(block.tokens.begin(), block.tokens.end(), [](Token t) { return t.distance != 0; });
    for (const Token token : block.tokens) farthest_ = std::max<uint32_t>(farthest_, token.distance);
    const size_t count = std::min(block.tokens.size(), kMost - std::min(kMost, tokens_.size()));
    tokens_.insert(tokens_.end(), block.tokens.begin(), block.tokens.begin() + static_cast<std::ptrdiff_t>(count));
    // A block that ended because it was full says how much memory the compressor had.
    const size_t full = block.tokens.size() + 1;
    if (!block.last && block.whole && std::has_single_bit(full) && full >= 1 << 7 && full <= 1 << 15)
      block_bits_ = static_cast<uint8_t>(std::countr_zero(full));
  }
  bool enough() const { return tokens_.size() >= kMost; }

  // `likely`: what the stream before had. `window_bits`: what a header says.
  Parameters best(Parameters likely, uint8_t window_bits) {
    window_bits = std::max<uint8_t>(window_bits, 9);
    if (farthest_ > (1u << window_bits) - kMargin || size_ <= size_t{1} << window_bits) window_bits = kWindowBits;
    Parameters base;
    base.window_bits = window_bits;
    base.block_bits = block_bits_ ? block_bits_ : uint8_t{14};
    if (!any_match_) {
      base.search = kNone;
      return base;
    }
    std::vector<uint8_t> hashes{15, 16};
    if (block_bits_) hashes = {static_cast<uint8_t>(block_bits_ + 1)};
    if (block_bits_ == 15) hashes = {15, 16};  // gzip's blocks are twice as long as zlib's
    std::vector<Parameters> candidates;
    const auto propose = [&](Parameters p) {
      if (std::find(candidates.begin(), candidates.end(), p) == candidates.end()) candidates.push_back(p);
    };
    likely.window_bits = base.window_bits;
    if (block_bits_ && block_bits_ != likely.block_bits) likely.hash_bits = hashes[0], likely.block_bits = block_bits_;
    if (likely.search == kNone) likely = base;
    propose(likely);
    // A short stream that goes as the one before did has no use for others.
    if (tokens_.size() <= kFirst && mistakes(likely, kFirst, 0) == 0) return likely;
    for (uint8_t level : {6, 9, 1, 5, 4, 7, 8, 2, 3})
      for (const uint8_t hash_bits : hashes) {
        Parameters p = base;
        p.level = level;
        p.search = level <= kMostGreedy ? kGreedy : kLazy;
        p.hash_bits = hash_bits;
        if (!block_bits_) p.block_bits = static_cast<uint8_t>(hash_bits - 1);
        propose(p);
        if (p.search == kLazy) {
          p.filtered = true;
          propose(p);
        }
      }
    base.search = kRuns;
    propose(base);
    for (size_t count = kFirst; candidates.size() > 1; count *= kFurther) {
      std::vector<size_t> wrong;
      size_t least = SIZE_MAX / 2;
      for (const Parameters& p : candidates) {
        wrong.push_back(mistakes(p, count, least));
        least = std::min(least, wrong.back());
        // Settings that are never wrong for long are those of the stream, or do as well.
        if (least == 0 && count > kFirst) return p;
      }
      // Of a compressor of another kind all settings foresee little, and more tokens do not tell them apart.
      const bool all = count >= tokens_.size() || (count > kFirst && least > count / kHopeless);
      std::vector<Parameters> left;
      // What was a little worse may have been unlucky; if there is no more to try, it was not.
      for (size_t i = 0; i < wrong.size(); ++i)
        if (wrong[i] <= least + (all ? 0 : least / 16)) left.push_back(candidates[i]);
      candidates = std::move(left);
      if (all) break;
    }
    return candidates[0];
  }

 private:
  // Wrong guesses among the first `count` tokens; it stops at twice `enough`.
  size_t mistakes(Parameters parameters, size_t count, size_t enough) {
    Predictor predictor(chains_, data_, size_, parameters);
    size_t wrong = 0;
    for (size_t i = 0; i < std::min(count, tokens_.size()) && wrong <= 2 * enough; ++i) {
      const Token token = tokens_[i];
      if (token.length == 1 || token.distance) wrong += predictor.guess().token() != token;
      predictor.take(token);
    }
    return wrong;
  }

  Chains& chains_;
  const uint8_t* data_;
  size_t size_;
  std::vector<Token> tokens_;
  uint32_t farthest_ = 0;
  uint8_t block_bits_ = 0;
  bool any_match_ = false;
};

class Analyser {
 public:
  static constexpr size_t kStep = 1 << 18;       // bytes inflated: a few hundredths of a second, seldom more
  static constexpr size_t kDecide = 1 << 18;     // decisions after which a stream is taken or left for good
  static constexpr size_t kLeastSize = 24;       // bytes of a stream that is worth a place in the table
  static constexpr size_t kLeastPart = 1 << 12;  // bytes of one that breaks off
  static constexpr size_t kMostGrowth = 256;     // what inflates by more is hardly anything, and may be a trap
  static constexpr size_t kWorth = 4;            // a recipe that takes more than the stream's bytes / this is not worth it

  explicit Analyser(const uint8_t* data) : data_(data) {}

  // Looks for a stream at an offset, which ends at `end` at the latest; false if there is none that is worth it. `most`:
  // bytes that it may inflate to, beyond which the rest is left alone.
  bool find(size_t offset, size_t end, size_t most, uint8_t window_bits) {
    inflater_.emplace(data_ + offset, end - offset, std::min({most, (end - offset) * kMostGrowth, kMostInflated}));
    walk_.reset();
    Block& block = block_;
    ended_ = false;
    size_t stored = 0, blocks = 0;
    while (!ended_ && inflater_->read(block)) {
      ended_ = block.last || !block.whole;
      stored += block.kind == kStored ? block.stored : 0;
      // Bytes that only look like a stream hardly get further than this.
      if (++blocks == 1 && !block.whole && inflater_->bit() / 8 < kLeastPart) return false;
    }
    const bool finished = ended_ && block.last && block.whole;
    consumed_ = (inflater_->bit() + (finished ? 7 : 0)) / 8;
    const size_t inflated = inflater_->size();
    if (consumed_ < (finished ? kLeastSize : kLeastPart) || inflated > consumed_ * kMostGrowth) return false;
    if (inflated - std::min(stored, inflated) < inflated / 8) return false;  // there is little to gain
    Estimate estimate(chains_, inflater_->data(), inflated);
    inflater_->restart();
    while (!estimate.enough() && inflater_->read(block)) {
      estimate.add(block);
      if (block.last || !block.whole) break;
    }
    likely_ = estimate.best(likely_, window_bits);
    inflater_->restart();
    before_ = std::make_unique<Model>(model_);
    draft_.clear();
    taken_ = ended_ = false;
    finished_ = finished;
    walk_.emplace(draft_, model_, chains_, inflater_->data(), inflated, likely_);
    return true;
  }

  // Goes on with the stream that was found; whether it is at its end or has been left.
  bool advance() {
    const size_t until = walk_->position() + kStep;
    while (walk_->position() < until) {
      const bool follows = !ended_ && inflater_->read(block_);
      if (follows) ended_ = block_.last || !block_.whole;
      if (!walk_->more(follows)) {
        if (finished_) walk_->final_padding(inflater_->final_padding());
        settle();
        return true;
      }
      walk_->block(block_);
      if (draft_.size() > kDecide && !settle()) return true;
    }
    return false;
  }

  bool taken() const { return taken_; }
  size_t consumed() const { return consumed_; }
  const uint8_t* inflated() const { return inflater_->data(); }
  size_t inflated_size() const { return inflater_->size(); }
  Packed finish() { return coder_.finish(); }

 private:
  // Takes what has been drafted, or leaves the stream if it is too much.
  bool settle() {
    if (!taken_) {
      RangeEncoder trial;
      draft_.write(trial);
      if (4 * trial.words() > 16 + std::max<size_t>(inflater_->bit() / 8, 1) / kWorth) {
        model_ = *before_;
        walk_.reset();
        return false;
      }
      taken_ = true;
    }
    draft_.write(coder_);
    draft_.clear();
    return true;
  }

  const uint8_t* data_;
  Chains chains_;
  Model model_;
  Draft draft_;
  RangeEncoder coder_;
  std::unique_ptr<Model> before_;  // without the stream in hand
  Parameters likely_;
  Block block_;
  std::optional<Inflater> inflater_;
  std::optional<Walk<Draft>> walk_;
  size_t consumed_ = 0;
  bool ended_ = false;     // the stream's last block has been read
  bool finished_ = false;  // it ends as streams should
  bool taken_ = false;
};

class Rebuilder {
 public:
  static constexpr size_t kStep = 1 << 18;  // bytes inflated

  Rebuilder(const uint8_t* recipe, size_t size) : reader_(recipe, size) {}

  // Begins the next stream: what it inflates to, and the bytes that it may have. The data must stay until it is done.
  void begin(const uint8_t* data, size_t size, size_t most) {
    data_ = data;
    out_.emplace(most + 16);
    most_ = most;
    block_ = {};
    walk_.emplace(reader_, model_, chains_, data, size, Parameters{});
    size_ = size;
  }

  enum State { kGoesOn, kDone, kDamaged };
  State advance() {
    if (!walk_) return kDamaged;
    const size_t until = walk_->position() + kStep;
    while (walk_->position() < until) {
      if (!walk_->more(false)) {
        if (out_->bytes().size() > most_ + 16) return kDamaged;
        if (block_.last && block_.whole) out_->pad(walk_->final_padding(0));
        return walk_->position() == size_ && out_->bytes().size() <= most_ ? kDone : kDamaged;
      }
      const size_t start = walk_->position();
      if (!walk_->block(block_)) return kDamaged;
      write_block(*out_, block_, data_ + start, walk_->position() - start);
      if (out_->overflows() || reader_.ran_out()) return kDamaged;
    }
    return kGoesOn;
  }
  const std::vector<uint8_t>& bytes() const { return out_->bytes(); }

 private:
  RecipeReader reader_;
  Chains chains_;
  Model model_;
  Block block_;
  std::optional<BitWriter> out_;
  std::optional<Walk<RecipeReader>> walk_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0, most_ = 0;
};

}  // namespace ncz::deflate
