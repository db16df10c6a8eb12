// What rebuilds deflate streams from what they inflate to: the choices of their compressors, coded by how well a model
// of zlib foresees them. One function walks through a stream in both directions, so that they cannot differ.
#pragma once

#include <optional>
#include <vector>

#include "counters.hpp"
#include "deflate_match.hpp"
#include "deflate_stream.hpp"
#include "deflate_trees.hpp"
#include "range_coder.hpp"

namespace ncz::deflate {

inline constexpr uint32_t kEven = 1u << 23;  // one half, as the range coder takes it
inline uint32_t p24(const Counter& counter) { return counter.p22() << 2 | 2; }

inline constexpr uint32_t kSlow = 1023, kQuick = 255;  // bits after which an average turns exponential

// A number of a few bits, from the highest on, each in the context of those before.
template <int kBits>
struct Symbol {
  Counter counters[size_t{1} << kBits];
  template <typename Io>
  uint32_t code(Io& io, uint32_t value) {
    uint32_t node = 1;
    for (int bit = kBits; bit-- > 0;) node = node << 1 | static_cast<uint32_t>(io.bit(counters[node], value >> bit & 1, kQuick));
    return node & ((1u << kBits) - 1);
  }
};

// A number below 2^31: how many bits it has, then those below the highest.
struct Number {
  Symbol<5> width;
  template <typename Io>
  uint32_t code(Io& io, uint32_t value) {
    const uint32_t bits = width.code(io, static_cast<uint32_t>(std::bit_width(value)));
    if (bits < 2) return bits;
    uint32_t result = 1;
    for (uint32_t bit = bits - 1; bit-- > 0;) result = result << 1 | static_cast<uint32_t>(io.even(value >> bit & 1));
    return result;
  }
};

// All that is learnt, across the streams of a block.
struct Model {
  Symbol<2> search;
  Symbol<4> level, block_bits;
  Symbol<3> window;
  Symbol<4> hash;
  Counter filtered;

  Counter more[2], last[2], stored[2], whole, to_end[2], full;
  Counter fixed[2];       // whether fixed codes would be smaller
  Number tokens;          // of a block
  Counter as_before, padded;
  Symbol<8> size_low, size_high;  // of a stored block
  Symbol<7> padding;

  Counter is_match[3][8][9];  // what was expected; how long the match at hand; how the two last guesses went
  Counter same_length[2][8][9], same_distance[2][9];
  Symbol<8> length[18];       // - 3; by the length that was expected
  Counter reachable[2];
  Number nearer;
  Symbol<5> distance_symbol;

  Counter usual_lengths, usual_runs, usual_code;
  Symbol<5> literals, distances;
  Symbol<4> code_length[2][2][16];  // literals or distances; whether the one before was as expected; expected
  Counter usual_run[2], as_before_run;
  Symbol<8> run[2];
  Symbol<3> code_code_length[8];
  Symbol<4> code_count;
};

class BitWriter {
 public:
  explicit BitWriter(size_t most) : most_(most) {}
  void put(uint32_t value, int bits) {
    held_ |= uint64_t{value} << count_;
    count_ += bits;
    while (count_ >= 8) {
      bytes_.push_back(static_cast<uint8_t>(held_));
      held_ >>= 8;
      count_ -= 8;
    }
  }
  // Up to a whole byte, with as many of the value's lowest bits as that takes.
  void pad(uint32_t value) {
    const int bits = -count_ & 7;
    put(value & ((1u << bits) - 1), bits);
  }
  bool overflows() const { return bytes_.size() > most_; }
  std::vector<uint8_t> take() { return std::move(bytes_); }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
  uint64_t held_ = 0;
  int count_ = 0;
  size_t most_;
};

inline void write_tokens(BitWriter& out, const Block& block, const Lengths& lengths, const uint8_t* data) {
  uint16_t literals[kFixedLiterals], distances[kFixedDistances];
  code_words(lengths.of.data(), lengths.literals, literals);
  code_words(lengths.of.data() + lengths.literals, lengths.distances, distances);
  const auto literal = [&](size_t symbol) { out.put(literals[symbol], lengths.of[symbol]); };
  for (const Token token : block.tokens) {
    if (out.overflows()) return;
    if (!token.distance) {
      literal(*data++);
      continue;
    }
    data += token.length;
    const size_t length = kLengthSymbols[token.length], distance = distance_symbol(token.distance);
    literal(257 + length);
    out.put(token.length - kLengthRanges[length].first, kLengthRanges[length].extra_bits);
    out.put(distances[distance], lengths.of[lengths.literals + distance]);
    out.put(token.distance - kDistanceRanges[distance].first, kDistanceRanges[distance].extra_bits);
  }
  if (block.whole) literal(kEndOfBlock);
}

inline void write_block(BitWriter& out, const Block& block, const uint8_t* data, size_t size) {
  out.put(block.last, 1);
  out.put(block.kind, 2);
  if (block.kind == kStored) {
    out.pad(block.padding);
    out.put(block.stored, 16);
    out.put(block.stored ^ 0xFFFFu, 16);
    for (size_t i = 0; i < size; ++i) out.put(data[i], 8);
    return;
  }
  if (block.kind == kFixed) {
    write_tokens(out, block, kFixedLengths, data);
    return;
  }
  const Lengths& lengths = block.lengths;
  const LengthCode& code = block.length_code;
  out.put(static_cast<uint32_t>(lengths.literals - 257), 5);
  out.put(static_cast<uint32_t>(lengths.distances - 1), 5);
  out.put(static_cast<uint32_t>(code.count - 4), 4);
  for (size_t i = 0; i < code.count; ++i) out.put(code.of[kLengthCodeOrder[i]], 3);
  uint16_t words[kLengthCodes];
  code_words(code.of.data(), kLengthCodes, words);
  size_t at = 0;
  for (uint16_t run : code.runs) {
    const size_t symbol = run_symbol(lengths.of[at], run);
    const auto size = static_cast<uint32_t>(run_size(run));
    out.put(words[symbol], code.of[symbol]);
    if (symbol == 16) out.put(size - 3, 2);
    if (symbol == 17) out.put(size - 3, 3);
    if (symbol == 18) out.put(size - 11, 7);
    at += size;
  }
  write_tokens(out, block, lengths, data);
}

// Walks through the blocks of one stream. `Io` writes decisions and returns them, or ignores what it is given and
// returns what it reads.
template <typename Io>
class Walk {
 public:
  Walk(Io& io, Model& model, Chains& chains, const uint8_t* data, size_t size, Parameters parameters)
      : io_(io),
        model_(model),
        data_(data),
        size_(size),
        parameters_(code(parameters)),
        predictor_(chains, data, size, parameters_) {}

  // Whether another block follows, given whether one does.
  bool more(bool follows) {
    if (ended_) return false;
    return flag(model_.more[position() == size_], follows);
  }

  size_t position() const { return predictor_.position(); }

  // One block, to be written or to be filled in. False if no stream has such a block.
  bool block(Block& block) {
    block.last = flag(model_.last[last_was_stored_], block.last);
    if (flag(model_.stored[last_was_stored_], block.kind == kStored)) {
      block.kind = kStored;
      last_was_stored_ = true;
      return stored(block);
    }
    last_was_stored_ = false;
    size_t count = block.tokens.size();
    const bool to_end = flag(model_.to_end[block.last], position_after(block) == size_);
    block.whole = !to_end || flag(model_.whole, block.whole);
    const size_t usual = (size_t{1} << parameters_.block_bits) - 1;
    if (!to_end) count = flag(model_.full, count == usual) ? usual : model_.tokens.code(io_, static_cast<uint32_t>(count));
    if (count > Inflater::kMostTokens) return false;
    if (!tokens(block, count, to_end)) return false;
    codes(block);
    ended_ = block.last || !block.whole;
    return true;
  }

  // The bits after the last block up to a whole byte.
  uint8_t final_padding(uint8_t padding) { return this->padding(padding); }

 private:
  bool flag(Counter& counter, bool value) { return io_.bit(counter, value, kSlow) != 0; }

  Parameters code(Parameters p) {
    p.search = static_cast<Search>(model_.search.code(io_, p.search));
    // Levels that no search has are read as others, so that every number means something.
    p.level = static_cast<uint8_t>(std::clamp<uint32_t>(model_.level.code(io_, p.level), 1, 9));
    p.filtered = flag(model_.filtered, p.filtered);
    p.hash_bits = static_cast<uint8_t>(std::clamp<uint32_t>(model_.hash.code(io_, p.hash_bits - 1u) + 1, 8, 16));
    p.window_bits = static_cast<uint8_t>(std::clamp<uint32_t>(8 + model_.window.code(io_, p.window_bits - 8u), 9, 15));
    p.block_bits = static_cast<uint8_t>(model_.block_bits.code(io_, p.block_bits));
    return p;
  }

  uint8_t padding(uint8_t bits) {
    return flag(model_.padded, bits != 0) ? static_cast<uint8_t>(model_.padding.code(io_, bits)) : uint8_t{0};
  }

  size_t position_after(const Block& block) const {
    size_t at = position();
    for (const Token token : block.tokens) at += token.length;
    return at;
  }

  bool stored(Block& block) {
    block.padding = padding(block.padding);
    uint32_t size = block.stored;
    if (flag(model_.as_before, size == stored_before_)) {
      size = stored_before_;
    } else {
      size = model_.size_high.code(io_, size >> 8) << 8;
      size |= model_.size_low.code(io_, block.stored & 255u);
    }
    block.stored = static_cast<uint16_t>(size);
    stored_before_ = size;
    const size_t here = std::min<size_t>(size, size_ - position());
    block.whole = here == size;
    if (here) predictor_.take({static_cast<uint16_t>(here), 0});
    ended_ = block.last || !block.whole;
    return true;
  }

  bool tokens(Block& block, size_t count, bool to_end) {
    if constexpr (Io::kReads) block.tokens.clear();
    for (size_t i = 0; to_end ? position() < size_ : i < count; ++i) {
      if (position() == size_ || i == Inflater::kMostTokens) return false;
      Token token{1, 0};
      if constexpr (!Io::kReads) token = block.tokens[i];
      token = this->token(token);
      const bool no_match = token.length > 1 && token.distance == 0;
      if (no_match || token.length > size_ - position() || token.distance > position()) return false;
      if constexpr (Io::kReads) block.tokens.push_back(token);
      predictor_.take(token);
    }
    return true;
  }

  static uint32_t bucket(uint32_t length) {
    return length < 3 ? 0 : length < 6 ? length - 2 : length < 8 ? 4 : length < 16 ? 5 : length < 64 ? 6 : 7;
  }

  Token token(Token token) {
    const Guess guess = predictor_.guess();
    const uint32_t length = guess.match.length, expected = length == 0 ? 0 : guess.lazy ? 1 : 2, size = bucket(length);
    const bool match = flag(model_.is_match[expected][size][history_], token.distance != 0);
    if (!match) {
      went(expected < 2 ? 0 : 1);
      return {1, 0};
    }
    if (length && flag(model_.same_length[expected - 1][size][history_], token.length == length)) {
      token.length = static_cast<uint16_t>(length);
      if (flag(model_.same_distance[0][history_], token.distance == guess.match.distance)) {
        token.distance = static_cast<uint16_t>(guess.match.distance);
        went(expected == 2 ? 0 : 1);
        return token;
      }
    } else {
      Symbol<8>& symbol = model_.length[length < 3 ? 0 : std::min(length - 2, 17u)];
      token.length = static_cast<uint16_t>(kLeastMatch + symbol.code(io_, token.length - static_cast<uint32_t>(kLeastMatch)));
    }
    token.distance = distance(token);
    went(2);
    return token;
  }

  uint16_t distance(Token token) {
    int nearer = -1;
    if constexpr (!Io::kReads) nearer = predictor_.nearer(token.length, token.distance);
    if (flag(model_.reachable[token.length > 5], nearer >= 0))
      return static_cast<uint16_t>(predictor_.distance_after(token.length, model_.nearer.code(io_, static_cast<uint32_t>(nearer))));
    const uint32_t symbol = std::min<uint32_t>(
        model_.distance_symbol.code(io_, token.distance ? static_cast<uint32_t>(distance_symbol(token.distance)) : 0), kDistances - 1);
    const Range range = kDistanceRanges[symbol];
    uint32_t extra = 0;
    for (int bit = range.extra_bits; bit-- > 0;)
      extra = extra << 1 | static_cast<uint32_t>(io_.even((token.distance - range.first) >> bit & 1));
    return static_cast<uint16_t>(range.first + extra);
  }

  void went(uint32_t how) { history_ = (history_ * 3 + how) % 9; }

  void codes(Block& block) {
    Counts counts;
    counts.literals[kEndOfBlock] = 1;
    const uint8_t* at = data_ + position();
    for (const Token token : block.tokens) at -= token.length;
    for (const Token token : block.tokens) {
      if (token.distance) {
        ++counts.literals[257u + kLengthSymbols[token.length]];
        ++counts.distances[distance_symbol(token.distance)];
      } else {
        ++counts.literals[*at];
      }
      at += token.length;
    }
    const Lengths usual = usual_lengths(counts);
    LengthCode usual_code;
    const auto make_usual_code = [&](const Lengths& lengths) {
      Runs runs;
      for (size_t i = 0; i < lengths.literals + lengths.distances; i += run_size(runs.back()))
        runs.push_back(deflate::usual_run(lengths, i));
      usual_code = usual_length_code(lengths, std::move(runs));
    };
    make_usual_code(usual);
    block.kind = flag(model_.fixed[fixed_is_smaller(counts, usual, usual_code)], block.kind == kFixed) ? kFixed : kDynamic;
    if (block.kind == kFixed) return;
    if (flag(model_.usual_lengths, same(block.lengths, usual))) {
      block.lengths = usual;
    } else {
      lengths(block.lengths, usual);
      make_usual_code(block.lengths);
    }
    LengthCode& code = block.length_code;
    if (flag(model_.usual_runs, code.runs == usual_code.runs)) {
      code.runs = usual_code.runs;
    } else {
      runs(block);
      usual_code = usual_length_code(block.lengths, code.runs);
    }
    if (flag(model_.usual_code, code.of == usual_code.of && code.count == usual_code.count)) {
      code = usual_code;
      return;
    }
    code.count = 4 + model_.code_count.code(io_, static_cast<uint32_t>(code.count - 4));
    for (size_t i = 0; i < kLengthCodes; ++i) {
      const size_t symbol = kLengthCodeOrder[i];
      const uint32_t value = i < code.count ? model_.code_code_length[usual_code.of[symbol]].code(io_, code.of[symbol]) : 0;
      code.of[symbol] = static_cast<uint8_t>(value);
    }
  }

  static bool same(const Lengths& a, const Lengths& b) {
    return a.literals == b.literals && a.distances == b.distances && a.of == b.of;
  }

  static bool fixed_is_smaller(const Counts& counts, const Lengths& usual, const LengthCode& code) {
    uint64_t with_fixed = 0, with_usual = 14 + 3 * code.count;
    for (size_t i = 0; i < kLiterals; ++i) {
      with_fixed += uint64_t{counts.literals[i]} * kFixedLengths.of[i];
      if (i < usual.literals) with_usual += uint64_t{counts.literals[i]} * usual.of[i];
    }
    for (size_t i = 0; i < kDistances; ++i) {
      with_fixed += uint64_t{counts.distances[i]} * 5;
      if (i < usual.distances) with_usual += uint64_t{counts.distances[i]} * usual.of[usual.literals + i];
    }
    const auto of_runs = run_counts(usual, code.runs);
    for (size_t i = 0; i < kLengthCodes; ++i)
      with_usual += uint64_t{of_runs[i]} * (code.of[i] + (i < 16 ? 0u : i == 16 ? 2u : i == 17 ? 3u : 7u));
    return (with_fixed + 10) / 8 <= (with_usual + 10) / 8;
  }

  void lengths(Lengths& lengths, const Lengths& usual) {
    lengths.literals = 257 + std::min<size_t>(model_.literals.code(io_, static_cast<uint32_t>(lengths.literals - 257) & 31), kLiterals - 257);
    lengths.distances = 1 + std::min<size_t>(model_.distances.code(io_, static_cast<uint32_t>(lengths.distances - 1) & 31), kDistances - 1);
    bool as_expected = true;
    for (size_t i = 0; i < lengths.literals + lengths.distances; ++i) {
      const bool of_distance = i >= lengths.literals;
      const size_t at = of_distance ? i - lengths.literals : i;
      const uint8_t expected = at >= (of_distance ? usual.distances : usual.literals) ? uint8_t{0}
                               : usual.of[of_distance ? usual.literals + at : at];
      const uint32_t length = model_.code_length[of_distance][as_expected][expected].code(io_, lengths.of[i]);
      lengths.of[i] = static_cast<uint8_t>(length);
      as_expected = length == expected;
    }
    std::fill(lengths.of.begin() + static_cast<std::ptrdiff_t>(lengths.literals + lengths.distances), lengths.of.end(), uint8_t{0});
  }

  void runs(Block& block) {
    const Lengths& lengths = block.lengths;
    Runs coded;
    size_t number = 0;
    bool as_expected = true;
    for (size_t at = 0, all = lengths.literals + lengths.distances; at < all; at += run_size(coded.back()), ++number) {
      const uint16_t expected = deflate::usual_run(lengths, at);
      const uint8_t value = lengths.of[at];
      uint16_t run = 0;
      if constexpr (!Io::kReads) run = block.length_code.runs[number];
      as_expected = flag(model_.usual_run[as_expected], run == expected);
      if (as_expected) {
        coded.push_back(expected);
        continue;
      }
      // Of damaged recipes too the runs are such as a header can say.
      const uint32_t most = std::min<uint32_t>(static_cast<uint32_t>(all - at), value ? 6 : 138);
      const uint32_t size = std::min(most, model_.run[value != 0].code(io_, static_cast<uint32_t>(run_size(run))));
      const bool as_before = value == 0 && size >= 3 && size <= 6 && flag(model_.as_before_run, (run & kAsBefore) != 0);
      coded.push_back(static_cast<uint16_t>(size < 3 ? 1 : size | (as_before ? kAsBefore : 0u)));
    }
    block.length_code.runs = std::move(coded);
  }

  Io& io_;
  Model& model_;
  const uint8_t* data_;
  size_t size_;
  Parameters parameters_;
  Predictor predictor_;
  bool ended_ = false, last_was_stored_ = false;
  uint32_t stored_before_ = 0;
  uint32_t history_ = 0;
};

}  // namespace ncz::deflate
