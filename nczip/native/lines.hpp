// The line ends of wrapped text, apart from the text: whoever wrapped it broke a line where the next word would have
// gone too far, so the column that this word would reach tells nearly all of them. In their place stand spaces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "array.hpp"
#include "range_coder.hpp"

namespace ncz::inline NCZ_ISA {

// How likely a line ends in a gap, by a context: the column that the next word would reach, or the text before.
template <size_t kContexts>
class WrapModel {
 public:
  WrapModel() : chance_(kContexts, kTotal / 64), seen_(kContexts) {}
  uint32_t chance(size_t context) const { return chance_[context]; }
  void learn(size_t context, bool ended) {
    const int64_t step = (int64_t{ended ? kTotal : 0} - chance_[context]) / (seen_[context] + 2);
    const int64_t moved = chance_[context] + step;
    chance_[context] =
        static_cast<uint32_t>(moved < kLeast ? kLeast : moved > kTotal - kLeast ? kTotal - kLeast : moved);
    seen_[context] += seen_[context] < kMostSeen;
  }

 private:
  static constexpr int64_t kLeast = kTotal >> 14;
  static constexpr uint32_t kMostSeen = 250;
  Array<uint32_t> chance_, seen_;
};

inline constexpr size_t kReaches = 256;  // columns that are told apart
inline constexpr size_t kTexts = 4096;   // ends of words that are

inline bool is_gap(uint8_t byte) { return byte == ' ' || byte == '\n'; }

// Walks over text whose single gaps between words may be line ends: decide(at, reach) says for each whether it is.
template <typename Decide>
void walk_gaps(const uint8_t* text, size_t size, Decide decide) {
  const auto characters = [&](size_t at) { return (text[at] & 0xC0) != 0x80; };  // not where UTF-8 goes on
  size_t column = 0, word_end = 0;
  for (size_t at = 0; at < size; ++at) {
    const bool between = is_gap(text[at]) && at && at + 1 < size && !is_gap(text[at - 1]) && !is_gap(text[at + 1]);
    bool ended = text[at] == '\n';
    if (between) {
      size_t reach = column + 1;
      for (word_end = at + 1; word_end < size && !is_gap(text[word_end]); ++word_end) reach += characters(word_end);
      ended = decide(at, reach < kReaches ? reach : kReaches - 1);
    }
    column = ended ? 0 : column + characters(at);
  }
}

// Text with spaces for its wrapped line ends, and the packed decisions which of them are ends. `ends` counts these.
// `by_text`: bytes that the decisions would take if the last three letters before a gap told them, as in lists.
struct Unwrapped {
  Packed decisions;
  size_t ends, by_text;
};
inline Unwrapped unwrap_lines(const uint8_t* text, size_t size, uint8_t* out, RangeEncoder& coder) {
  std::memcpy(out, text, size);
  WrapModel<kReaches> model;
  WrapModel<kTexts> other;
  RangeEncoder aside;
  size_t ends = 0;
  walk_gaps(text, size, [&](size_t at, size_t reach) {
    const bool ended = text[at] == '\n';
    coder.encode_bit(ended, model.chance(reach));
    model.learn(reach, ended);
    size_t before = 0;
    for (size_t back = at < 3 ? at : 3; back > 0; --back) before = (before * 33 + text[at - back]) % kTexts;
    aside.encode_bit(ended, other.chance(before));
    other.learn(before, ended);
    if (ended) out[at] = ' ', ++ends;
    return ended;
  });
  return {coder.finish(), ends, aside.finish().size};
}

// Back, in place. False if the decisions end early or stand for a line end twice.
inline bool wrap_lines(uint8_t* text, size_t size, const uint8_t* decisions, size_t decisions_size) {
  RangeDecoder coder(decisions, decisions_size);
  WrapModel<kReaches> model;
  bool sound = true;
  walk_gaps(text, size, [&](size_t at, size_t reach) {
    const bool ended = coder.decode_bit(model.chance(reach));
    model.learn(reach, ended);
    sound = sound && text[at] == ' ' && !coder.ran_out();
    if (ended) text[at] = '\n';
    return ended;
  });
  return sound;
}

}  // namespace ncz::inline NCZ_ISA
