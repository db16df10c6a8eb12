// One block through the mixture and the range coder, in both directions.
//
// The first decision is whether the block is x86 code with absolute targets. A block may begin where a base ends.
//
// Where the longest match has lasted for kSureLength bytes, whole runs are coded as one decision: "the next bytes are
// what the match expects". Long certain stretches (zeros, repeated files) cost next to nothing, in bits and in time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "array.hpp"
#include "counters.hpp"
#include "fp_environment.hpp"
#include "isa.hpp"
#include "mixture.hpp"
#include "pages.hpp"
#include "primed.hpp"
#include "range_coder.hpp"
#include "targets.hpp"

namespace ncz::inline NCZ_ISA {

// When and how far to ask for a run; the same on both sides.
class Runs {
 public:
  static constexpr uint32_t kSureLength = 400;
  static constexpr int kShortest = 6, kLongest = 16;  // log2 of bytes

  Runs() { yes_.fill(Counter::of(Counter::kMax22 / 10 * 9, 3)); }

  // The bytes of the run to ask for now, or 0: the match must be sure and not have failed a shortest run.
  size_t ask(bool sure, size_t left) {
    if (!sure) {
      blocked_ = false;
      log2_ = kShortest;
      return 0;
    }
    return blocked_ ? 0 : std::min(size_t{1} << log2_, left);
  }
  uint32_t probability() const { return std::clamp(yes_[log2_].p22() << 2, 256u, kTotal - 256u); }
  void answer(bool yes) {
    yes_[log2_].update(yes, 255);
    if (yes)
      log2_ = std::min(log2_ + 1, kLongest);
    else if (log2_ == kShortest)
      blocked_ = true;
    else
      log2_ = std::max(log2_ - 2, kShortest);
  }

 private:
  std::array<Counter, kLongest + 1> yes_;
  int log2_ = kShortest;
  bool blocked_ = false;
};

inline constexpr uint32_t kCode = 1u << 16;  // probability that a block is x86 code, in 2^-24

template <int kLevel>
class Encoder final : public BlockEncoder {
 public:
  // primed: what has read the base, or null.
  Encoder(MixtureConfig config, const uint8_t* raw, size_t raw_size, const Primed<kLevel>* primed)
      : Encoder(config, raw, raw_size, primed, Targets(raw_size)) {}

  size_t advance(size_t bytes) override {
    const FpEnvironment ieee;
    const size_t target = mixture_.position() + std::min(bytes, end_ - mixture_.position());
    for (size_t at; (at = mixture_.position()) < target;) {
      const auto match = mixture_.sure_match(Runs::kSureLength);
      if (const size_t run = runs_.ask(match.has_value(), end_ - at)) {
        const bool yes = std::memcmp(history_ + at, history_ + *match, run) == 0;
        coder_.encode_bit(yes, runs_.probability());
        runs_.answer(yes);
        if (yes) mixture_.skip(run);
        continue;
      }
      const uint8_t byte = history_[at];
      for (int i = 7; i >= 0; --i) {
        const int bit = byte >> i & 1;
        coder_.encode_bit(bit, mixture_.predict());
        mixture_.update(bit);
      }
    }
    return mixture_.position() - start_;
  }
  size_t packed_size() const override { return coder_.words() * 4; }
  Packed finish() override {
    return coder_.finish();
  }
  size_t weights(float* out) const override {
    if (out) mixture_.weights(out);
    return Mixture<kLevel>::kWeights;
  }

 private:
  // What a base has is code with distances, which come again where both have the same functions.
  Encoder(MixtureConfig config, const uint8_t* raw, size_t raw_size, const Primed<kLevel>* primed,
          const Targets& targets)
      : is_code_(!primed && targets.pay(raw)),
        start_(primed ? primed->size() : 0),
        end_(start_ + raw_size),
        own_(primed || is_code_ ? end_ : 0),
        history_(own_.size() ? own_.data() : raw),
        mixture_(primed ? Mixture<kLevel>(primed->mixture(), primed->copy_base(own_.data()))
                        : Mixture<kLevel>(history_, raw_size, config.table_bits, config.knowledge)) {
    if (own_.size()) std::memcpy(own_.data() + start_, raw, raw_size);
    if (is_code_) targets.make_absolute(own_.data());
    coder_.encode_bit(is_code_, kCode);
  }

  bool is_code_;
  size_t start_, end_;  // of the block in the history
  Array<uint8_t> own_;  // the history, where the content alone is not it
  const uint8_t* history_;
  Mixture<kLevel> mixture_;
  RangeEncoder coder_;
  Runs runs_;
};

template <int kLevel>
class Decoder final : public BlockDecoder {
 public:
  // primed: what has read the base, or null.
  Decoder(MixtureConfig config, size_t raw_size, const uint8_t* packed, size_t packed_size,
          const Primed<kLevel>* primed)
      : start_(primed ? primed->size() : 0),
        end_(start_ + raw_size),
        history_(end_),
        mixture_(primed ? Mixture<kLevel>(primed->mixture(), primed->copy_base(history_.data()))
                        : Mixture<kLevel>(history_.data(), raw_size, config.table_bits, config.knowledge)),
        coder_(packed, packed_size),
        targets_(raw_size),
        is_code_(coder_.decode_bit(kCode)) {}

  size_t decode(uint8_t* out, size_t bytes) override {
    const FpEnvironment ieee;
    bytes = std::min(bytes, end_ - start_ - given_);
    uint8_t* const history = history_.data();
    const size_t end = std::min(start_ + given_ + bytes + (is_code_ ? Targets::kReach : 0), end_);
    for (size_t at; (at = mixture_.position()) < end;) {
      if (coder_.ran_out()) return 0;
      const auto match = mixture_.sure_match(Runs::kSureLength);
      if (const size_t run = runs_.ask(match.has_value(), end_ - at)) {
        const bool yes = coder_.decode_bit(runs_.probability());
        runs_.answer(yes);
        if (yes) {
          copy_match(history + at, history + *match, run);
          mixture_.skip(run);
        }
        continue;
      }
      uint32_t byte = 0;
      for (int i = 7; i >= 0; --i) {
        const int bit = coder_.decode_bit(mixture_.predict());
        byte = byte * 2 + static_cast<uint32_t>(bit);
        if (i == 0) history[at] = static_cast<uint8_t>(byte);  // the mixture looks at it when the byte is complete
        mixture_.update(bit);
      }
    }
    if (is_code_)
      targets_.restore(history + start_, given_, given_ + bytes, out);
    else
      std::memcpy(out, history + start_ + given_, bytes);
    given_ += bytes;
    return bytes;
  }

 private:
  // The source may overlap the target: bytes just written are read again.
  static void copy_match(uint8_t* to, const uint8_t* from, size_t count) {
    const size_t distance = static_cast<size_t>(to - from);
    for (size_t done = 0; done < count;) {
      const size_t piece = std::min(distance + done, count - done);  // [from, to + done) repeats with period `distance`
      std::memcpy(to + done, from, piece);
      done += piece;
    }
  }

  size_t start_, end_, given_ = 0;  // of the block in the history; bytes given out
  Pages history_;
  Mixture<kLevel> mixture_;
  RangeDecoder coder_;
  Targets targets_;
  bool is_code_;
  Runs runs_;
};

}  // namespace ncz::inline NCZ_ISA
