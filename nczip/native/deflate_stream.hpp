// Deflate streams (RFC 1951) read block by block: what inflates, and every choice that their compressor made.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace ncz::deflate {

inline constexpr size_t kLeastMatch = 3, kMostMatch = 258;
inline constexpr int kWindowBits = 15;  // at most
inline constexpr size_t kMostInflated = size_t{1} << 30;  // bytes of a stream; more than any block of NCZ1 may take
inline constexpr size_t kLiterals = 286, kDistances = 30, kLengthCodes = 19;  // symbols of the three codes
// The fixed codes have a few words that stand for nothing.
inline constexpr size_t kFixedLiterals = 288, kFixedDistances = 32;
inline constexpr size_t kEndOfBlock = 256;
inline constexpr int kMostBits = 15, kMostLengthCodeBits = 7;  // of a code word

struct Range {
  uint16_t first;
  uint8_t extra_bits;
};
inline constexpr Range kLengthRanges[29] = {{3, 0},  {4, 0},  {5, 0},  {6, 0},  {7, 0},  {8, 0},  {9, 0},   {10, 0},
                                            {11, 1}, {13, 1}, {15, 1}, {17, 1}, {19, 2}, {23, 2}, {27, 2},  {31, 2},
                                            {35, 3}, {43, 3}, {51, 3}, {59, 3}, {67, 4}, {83, 4}, {99, 4},  {115, 4},
                                            {131, 5}, {163, 5}, {195, 5}, {227, 5}, {258, 0}};
inline constexpr Range kDistanceRanges[30] = {
    {1, 0},    {2, 0},    {3, 0},    {4, 0},    {5, 1},    {7, 1},     {9, 2},     {13, 2},    {17, 3},    {25, 3},
    {33, 4},   {49, 4},   {65, 5},   {97, 5},   {129, 6},  {193, 6},   {257, 7},   {385, 7},   {513, 8},   {769, 8},
    {1025, 9}, {1537, 9}, {2049, 10}, {3073, 10}, {4097, 11}, {6145, 11}, {8193, 12}, {12289, 12}, {16385, 13}, {24577, 13}};

// The order in which the lengths of the third code stand in a block's header.
inline constexpr uint8_t kLengthCodeOrder[kLengthCodes] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

inline constexpr auto kLengthSymbols = [] {  // of a match's length
  std::array<uint8_t, kMostMatch + 1> symbols{};
  for (uint8_t symbol = 0; symbol < 29; ++symbol)
    for (size_t length = kLengthRanges[symbol].first; length <= kMostMatch; ++length) symbols[length] = symbol;
  return symbols;
}();
inline size_t distance_symbol(size_t distance) {
  if (distance < 3) return distance - 1;
  const int bits = std::bit_width(distance - 1);
  return static_cast<size_t>(2 * (bits - 1)) + ((distance - 1) >> (bits - 2) & 1);
}

// One step of a compressor: a literal has length 1 and distance 0, stored bytes have any length and distance 0.
struct Token {
  uint16_t length, distance;
  bool operator==(const Token&) const = default;
};

enum Kind : uint8_t { kStored, kFixed, kDynamic };

// The pieces of a header's run-length coding: for how many symbols each gives the length.
using Runs = std::vector<uint16_t>;
inline constexpr uint16_t kAsBefore = 256;  // added to a run of zeros that is said as a repeat of a zero before
inline size_t run_size(uint16_t run) { return run & 255; }

struct Lengths {  // of the code words of a block; 0: not in use
  std::array<uint8_t, kFixedLiterals + kFixedDistances> of{};  // `literals` of them, then `distances`
  size_t literals = 0, distances = 0;
};

struct LengthCode {  // how a block's header says them
  Runs runs;
  std::array<uint8_t, kLengthCodes> of{};
  size_t count = 0;  // of these in the header
};

struct Block {
  bool last = false;
  bool whole = false;  // with its end; otherwise the stream ends after one of its tokens
  Kind kind = kStored;
  uint8_t padding = 0;      // bits before a stored block's size
  uint16_t stored = 0;      // bytes that a stored block claims
  Lengths lengths;          // of a dynamic block
  LengthCode length_code;   // of a dynamic block
  std::vector<Token> tokens;  // of the two others
};

inline constexpr Lengths kFixedLengths = [] {
  Lengths lengths;
  lengths.literals = kFixedLiterals;
  lengths.distances = kFixedDistances;
  for (size_t i = 0; i < kFixedLiterals; ++i) lengths.of[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  for (size_t i = 0; i < kFixedDistances; ++i) lengths.of[kFixedLiterals + i] = 5;
  return lengths;
}();

inline uint32_t reversed(uint32_t value, int bits) {
  uint32_t result = 0;
  for (int i = 0; i < bits; ++i) result |= (value >> i & 1) << (bits - 1 - i);
  return result;
}

// The canonical code's words, bits in the order of the stream. Lengths that make no code give words of no use.
inline void code_words(const uint8_t* lengths, size_t count, uint16_t* words) {
  uint32_t counts[kMostBits + 1] = {}, next[kMostBits + 1] = {};
  for (size_t i = 0; i < count; ++i) ++counts[lengths[i]];
  counts[0] = 0;
  for (int bits = 1; bits <= kMostBits; ++bits) next[bits] = (next[bits - 1] + counts[bits - 1]) << 1;
  for (size_t i = 0; i < count; ++i)
    words[i] = lengths[i] ? static_cast<uint16_t>(reversed(next[lengths[i]]++, lengths[i])) : uint16_t{0};
}

class Decoder {  // of one code: looks up as many bits as its longest word has
 public:
  // False if the lengths are those of no prefix code. Incomplete codes pass: words that they lack are errors when read.
  bool make(const uint8_t* lengths, size_t count) {
    uint32_t used = 0;
    bits_ = 1;
    for (size_t i = 0; i < count; ++i)
      if (lengths[i]) {
        used += uint32_t{1} << (kMostBits - lengths[i]);
        bits_ = std::max<int>(bits_, lengths[i]);
      }
    if (used > uint32_t{1} << kMostBits) return false;
    uint16_t words[kFixedLiterals];
    code_words(lengths, count, words);
    const uint32_t size = uint32_t{1} << bits_;
    if (used < uint32_t{1} << kMostBits) std::fill_n(entries_.begin(), size, uint16_t{0});
    for (size_t i = 0; i < count; ++i)
      if (lengths[i])
        for (uint32_t at = words[i]; at < size; at += uint32_t{1} << lengths[i])
          entries_[at] = static_cast<uint16_t>(i << 4 | lengths[i]);
    return true;
  }
  // The symbol << 4 | its bits; 0 if no word begins so.
  uint32_t read(uint64_t bits) const { return entries_[bits & ((uint32_t{1} << bits_) - 1)]; }

 private:
  int bits_ = 1;
  std::array<uint16_t, size_t{1} << kMostBits> entries_;
};

// Reads the blocks of a stream and writes what they inflate to, as far as the stream is sound and `most` bytes allow.
class Inflater {
 public:
  static constexpr size_t kMostTokens = size_t{1} << 20;  // of a block: 4 MiB of memory

  Inflater(const uint8_t* in, size_t size, size_t most) : in_(in), end_(8 * size), most_(most) {}

  void restart() { bit_ = 0, done_ = 0; }
  size_t bit() const { return bit_; }         // where the next block begins, or where what could be read ends
  size_t size() const { return done_; }       // bytes inflated so far
  const uint8_t* data() const { return out_.data(); }
  uint8_t final_padding() const { return static_cast<uint8_t>(peek(bit_) & ((1u << (-bit_ & 7)) - 1)); }

  // The next block; false if none is there, or not one token of it.
  bool read(Block& block) {
    const size_t start = bit_;
    const uint64_t head = peek(bit_);
    block.last = head & 1;
    block.kind = static_cast<Kind>(head >> 1 & 3);
    block.whole = false;
    block.tokens.clear();
    bit_ += 3;
    const bool sound = block.kind == kStored ? read_stored(block)
                       : block.kind == kFixed ? (use_fixed(), read_tokens(block))
                                              : block.kind == kDynamic && read_header(block) && read_tokens(block);
    if (!sound) bit_ = start;
    return sound;
  }

 private:
  uint64_t peek(size_t bit) const {  // at least 57 bits; zeros past the end
    uint64_t value = 0;
    const size_t byte = bit >> 3, left = end_ / 8 > byte ? end_ / 8 - byte : 0;
    if (left >= 8) {
      std::memcpy(&value, in_ + byte, 8);
    } else {
      for (size_t i = 0; i < left; ++i) value |= uint64_t{in_[byte + i]} << (8 * i);
    }
    return value >> (bit & 7);
  }

  uint32_t take(int bits) {
    const auto value = static_cast<uint32_t>(peek(bit_) & ((uint64_t{1} << bits) - 1));
    bit_ += static_cast<size_t>(bits);
    return value;
  }

  bool read_stored(Block& block) {
    block.padding = static_cast<uint8_t>(peek(bit_) & ((1u << (-bit_ & 7)) - 1));
    bit_ = (bit_ + 7) & ~size_t{7};
    const uint32_t size = take(16), complement = take(16);
    if (bit_ > end_ || (size ^ complement) != 0xFFFF) return false;
    block.stored = static_cast<uint16_t>(size);
    const size_t here = std::min({size_t{size}, (end_ - bit_) / 8, most_ - done_});
    if (here < size && here == 0) return false;
    reserve(here);
    if (here) std::memcpy(out_.data() + done_, in_ + bit_ / 8, here);
    done_ += here;
    bit_ += 8 * here;
    block.whole = here == size;
    return true;
  }

  void use_fixed() {
    literals_.make(kFixedLengths.of.data(), kFixedLiterals);
    distances_.make(kFixedLengths.of.data() + kFixedLiterals, kFixedDistances);
  }

  bool read_header(Block& block) {
    Lengths& lengths = block.lengths;
    LengthCode& code = block.length_code;
    lengths.literals = 257 + take(5);
    lengths.distances = 1 + take(5);
    code.count = 4 + take(4);
    if (lengths.literals > kLiterals || lengths.distances > kDistances) return false;
    code.of.fill(0);
    for (size_t i = 0; i < code.count; ++i) code.of[kLengthCodeOrder[i]] = static_cast<uint8_t>(take(3));
    if (!distances_.make(code.of.data(), kLengthCodes)) return false;
    code.runs.clear();
    lengths.of.fill(0);
    const size_t all = lengths.literals + lengths.distances;
    for (size_t at = 0; at < all;) {
      const uint32_t entry = distances_.read(peek(bit_)), symbol = entry >> 4;
      if (!entry || bit_ > end_) return false;
      bit_ += entry & 15;
      uint8_t value = static_cast<uint8_t>(symbol);
      size_t run = 1;
      if (symbol >= 16) {
        if (symbol == 16 && at == 0) return false;
        value = symbol == 16 ? lengths.of[at - 1] : uint8_t{0};
        run = symbol == 16 ? 3 + take(2) : symbol == 17 ? 3 + take(3) : 11 + take(7);
      }
      if (run > all - at) return false;
      std::fill_n(lengths.of.begin() + static_cast<std::ptrdiff_t>(at), run, value);
      at += run;
      code.runs.push_back(static_cast<uint16_t>(run | (symbol == 16 && value == 0 ? kAsBefore : 0u)));
    }
    return bit_ <= end_ && lengths.of[kEndOfBlock] && literals_.make(lengths.of.data(), lengths.literals) &&
           distances_.make(lengths.of.data() + lengths.literals, lengths.distances);
  }

  bool read_tokens(Block& block) {
    while (block.tokens.size() < kMostTokens) {
      uint64_t bits = peek(bit_);
      uint32_t entry = literals_.read(bits);
      size_t used = entry & 15, symbol = entry >> 4;
      if (!entry || bit_ + used > end_) break;
      if (symbol == kEndOfBlock) {
        bit_ += used;
        block.whole = true;
        return true;
      }
      if (symbol < kEndOfBlock) {
        if (done_ == most_) break;
        reserve(1);
        out_[done_++] = static_cast<uint8_t>(symbol);
        block.tokens.push_back({1, 0});
        bit_ += used;
        continue;
      }
      if (symbol >= kLiterals) break;
      bits >>= used;
      const Range length_range = kLengthRanges[symbol - 257];
      const size_t length = length_range.first + (bits & ((1u << length_range.extra_bits) - 1));
      if (length == kMostMatch && symbol != 285) break;  // another way to say 258
      bits >>= length_range.extra_bits;
      used += length_range.extra_bits;
      entry = distances_.read(bits);
      if (!entry || entry >> 4 >= kDistances) break;
      bits >>= entry & 15;
      const Range distance_range = kDistanceRanges[entry >> 4];
      const size_t distance = distance_range.first + (bits & ((1u << distance_range.extra_bits) - 1));
      used += (entry & 15) + distance_range.extra_bits;
      if (bit_ + used > end_ || distance > done_ || length > most_ - done_) break;
      reserve(length);
      uint8_t* const to = out_.data() + done_;
      for (size_t i = 0; i < length; ++i) to[i] = to[i - distance];  // they may overlap
      done_ += length;
      block.tokens.push_back({static_cast<uint16_t>(length), static_cast<uint16_t>(distance)});
      bit_ += used;
    }
    return !block.tokens.empty();
  }

  void reserve(size_t bytes) {
    if (out_.size() - done_ < bytes) out_.resize(std::max(2 * out_.size(), done_ + bytes));
  }

  const uint8_t* in_;
  size_t end_, most_;  // bits; bytes
  size_t bit_ = 0, done_ = 0;
  std::vector<uint8_t> out_;
  Decoder literals_, distances_;
};

}  // namespace ncz::deflate
