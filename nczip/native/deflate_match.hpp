// What a compressor of zlib's kind would do next: matches by chains of hashes and a lazy choice between two, after
// Gailly and Adler's description of their "deflation" (algorithm.txt of zlib, 1995), with its settings for each level.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "deflate_stream.hpp"

namespace ncz::deflate {

enum Search : uint8_t { kLazy, kGreedy, kRuns, kNone };  // kRuns: repeats of one byte only

struct Parameters {
  uint8_t level = 6;        // 1..9, of kLazy and kGreedy
  Search search = kLazy;
  bool filtered = false;    // kLazy: matches of up to 5 bytes are not worth it
  uint8_t hash_bits = 15;   // 8..16
  uint8_t window_bits = 15;  // 9..15
  uint8_t block_bits = 14;  // 6..15: a block ends when it has 2^block_bits - 1 tokens
  bool operator==(const Parameters&) const = default;
};

struct Effort {
  uint16_t good, lazy, nice, chain;
};
inline constexpr Effort kEfforts[10] = {{0, 0, 0, 0},      {4, 4, 8, 4},        {4, 5, 16, 8},      {4, 6, 32, 32},
                                        {4, 4, 16, 16},    {8, 16, 32, 32},     {8, 16, 128, 128},  {8, 32, 128, 256},
                                        {32, 128, 258, 1024}, {32, 258, 258, 4096}};
inline constexpr uint8_t kMostGreedy = 3;  // levels up to here are kGreedy

inline constexpr size_t kTooFar = 4096;    // for a match of 3 bytes
inline constexpr uint32_t kMargin = 262;     // bytes of the window that matches keep away from
inline constexpr uint32_t kMostHops = 1024;  // along a chain, for a distance that was not expected

struct Match {
  uint32_t length = 0, distance = 0;  // length 0: there is none
};

struct Guess {
  Match match;        // the best at this position
  bool lazy = false;  // though the next position has a better one, so a literal is expected
  Token token() const {
    return match.length && !lazy ? Token{static_cast<uint16_t>(match.length), static_cast<uint16_t>(match.distance)}
                                 : Token{1, 0};
  }
};

// Where bytes like the next three stood. Kept from one stream to the next, because clearing it takes longer than a
// short stream does.
class Chains {
 public:
  Chains() : head_(size_t{1} << 16), previous_(size_t{1} << kWindowBits) {}
  void start(size_t size) {
    if (base_ + next_size_ > UINT32_MAX - size) {
      std::fill(head_.begin(), head_.end(), 0);
      base_ = 1;
    } else {
      base_ += next_size_;
    }
    next_size_ = static_cast<uint32_t>(size);
  }
  // Positions count from 0; what is behind the first, or was never there, is kNowhere. It is nothing one may match.
  static constexpr uint32_t kNowhere = 0;
  uint32_t head(uint32_t key) const { return head_[key] > base_ ? head_[key] - base_ : kNowhere; }
  uint32_t previous(uint32_t position) const {
    const uint32_t value = previous_[position & ((1u << kWindowBits) - 1)];
    return value > base_ ? value - base_ : kNowhere;
  }
  void insert(uint32_t key, uint32_t position) {
    previous_[position & ((1u << kWindowBits) - 1)] = head_[key];
    head_[key] = base_ + position;
  }

 private:
  std::vector<uint32_t> head_, previous_;
  uint32_t base_ = 1, next_size_ = 0;
};

class Predictor {
 public:
  // The data are those of the whole stream: up to 2^30 bytes.
  Predictor(Chains& chains, const uint8_t* data, size_t size, Parameters parameters)
      : chains_(chains),
        data_(data),
        size_(static_cast<uint32_t>(size)),
        parameters_(parameters),
        effort_(kEfforts[parameters.level]),
        farthest_((1u << parameters.window_bits) - kMargin),
        shift_((parameters.hash_bits + 2) / 3),
        mask_((1u << parameters.hash_bits) - 1) {
    chains.start(size);
  }

  uint32_t position() const { return position_; }

  Guess guess() {
    Guess guess;
    following_ = {};
    if (parameters_.search == kNone) return guess;
    if (parameters_.search == kRuns) {
      guess.match = run();
      return guess;
    }
    guess.match = expected_.length ? expected_ : search(position_, kLeastMatch - 1);
    if (guess.match.length && parameters_.search == kLazy && guess.match.length < effort_.lazy) {
      insert_until(position_ + 1);
      following_ = search(position_ + 1, guess.match.length);
      guess.lazy = following_.length != 0;
    }
    return guess;
  }

  // What the stream has here, after guess(); or bytes in a stored block.
  void take(Token token) {
    expected_ = token.length == 1 && token.distance == 0 ? following_ : Match{};
    following_ = {};
    const uint32_t end = position_ + token.length;
    if (parameters_.search == kGreedy && token.distance && token.length > effort_.lazy) {
      insert_until(position_ + 1);
      inserted_ = end;
    } else {
      insert_until(end);
    }
    position_ = end;
  }

  // Of the places in the chain that match in `length` bytes, from the nearest on: how many come before the one at
  // `distance`; -1 if it is not among them.
  int nearer(uint32_t length, uint32_t distance) const {
    int count = 0;
    return walk(length, [&](uint32_t here) { return here == distance || (++count, here > distance); }) == distance ? count : -1;
  }
  // The distance of the match that `count` others come before; 0 if there are not so many.
  uint32_t distance_after(uint32_t length, uint32_t count) const {
    return walk(length, [&](uint32_t) { return count-- == 0; });
  }

 private:
  template <typename Found>
  uint32_t walk(uint32_t length, Found found) const {
    if (size_ - position_ < length) return 0;
    uint32_t hops = kMostHops;
    uint32_t at = chains_.head(key(position_));
    // The position itself may be in already, because the next was looked at.
    if (at == position_) at = chains_.previous(at);
    for (; at != Chains::kNowhere && position_ - at <= 1u << kWindowBits && hops--; at = next(at))
      if (std::memcmp(data_ + at, data_ + position_, length) == 0 && found(position_ - at)) return position_ - at;
    return 0;
  }

  uint32_t key(uint32_t at) const {
    return ((uint32_t{data_[at]} << (2 * shift_)) ^ (uint32_t{data_[at + 1]} << shift_) ^ data_[at + 2]) & mask_;
  }

  // Older places overwrite nothing that is within the window, but what they point to may be newer than they are.
  uint32_t next(uint32_t at) const {
    const uint32_t previous = chains_.previous(at);
    return previous < at ? previous : Chains::kNowhere;
  }

  void insert_until(uint32_t end) {
    const uint32_t last = size_ < kLeastMatch ? 0 : size_ - (kLeastMatch - 1);
    for (; inserted_ < std::min(end, last); ++inserted_) chains_.insert(key(inserted_), inserted_);
    inserted_ = std::max(inserted_, end);
  }

  Match run() const {
    if (position_ == 0) return {};
    const uint32_t most = std::min<uint32_t>(size_ - position_, kMostMatch);
    uint32_t length = 0;
    while (length < most && data_[position_ + length] == data_[position_ - 1]) ++length;
    return length >= kLeastMatch ? Match{length, 1} : Match{};
  }

  // The longest match that is longer than `best`, if it is worth its distance.
  Match search(uint32_t at, uint32_t best) const {
    const uint32_t left = size_ - at;
    if (left < kLeastMatch || best >= left) return {};
    uint32_t place = chains_.head(key(at));
    if (place == Chains::kNowhere || at - place > farthest_) return {};
    const uint32_t limit = at > farthest_ ? at - farthest_ : 0;  // beyond the first, places must be nearer than this
    const uint32_t most = std::min<uint32_t>(left, kMostMatch), nice = std::min<uint32_t>(effort_.nice, left);
    uint32_t hops = best >= effort_.good ? effort_.chain >> 2 : effort_.chain;
    const uint8_t* const here = data_ + at;
    Match match;
    uint16_t last = pair(here + best - 1);  // a longer match has these two bytes where they are
    do {
      const uint8_t* const there = data_ + place;
      if (pair(there + best - 1) != last) continue;
      const uint32_t length = common(here, there, most);
      if (length <= best) continue;
      best = length;
      match = {length, at - place};
      if (length >= nice) break;
      last = pair(here + best - 1);
    } while ((place = chains_.previous(place)) > limit && --hops != 0);
    if (parameters_.search == kLazy && match.length <= 5 &&
        (parameters_.filtered || (match.length == kLeastMatch && match.distance > kTooFar)))
      return {};
    return match.length >= kLeastMatch ? match : Match{};
  }

  static uint16_t pair(const uint8_t* at) {
    uint16_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }

  static uint32_t common(const uint8_t* a, const uint8_t* b, uint32_t most) {
    uint32_t length = 0;
    for (; length + 8 <= most; length += 8) {
      uint64_t x, y;
      std::memcpy(&x, a + length, 8);
      std::memcpy(&y, b + length, 8);
      if (x != y) return length + static_cast<uint32_t>(std::countr_zero(x ^ y)) / 8;
    }
    while (length < most && a[length] == b[length]) ++length;
    return length;
  }

  Chains& chains_;
  const uint8_t* data_;
  uint32_t size_;
  Parameters parameters_;
  Effort effort_;
  uint32_t farthest_;
  int shift_;
  uint32_t mask_;
  uint32_t position_ = 0, inserted_ = 0;
  Match expected_;   // at the next token, if a lazy choice has looked for it
  Match following_;  // at the position after this one, if it is better
};

}  // namespace ncz::deflate
