// x86 code names what it calls or looks at by the distance from the next instruction, which differs at every place. Made
// absolute, one target has one name, which models can learn (E8/E9 transform, as in LZX and xz; here for calls, and for
// operands of x86-64 that are relative to the instruction pointer).
//
// It is a bijection by itself: an operand that is changed is passed over, so that both directions find the same ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ncz::inline NCZ_ISA {

class Targets {
 public:
  static constexpr size_t kReach = 7;  // bytes of the longest instruction that is looked for, up to its operand's end

  explicit Targets(size_t size) : size_(size), span_(static_cast<int64_t>(size + size / 8)) {}

  // How far behind `code` the operand of four bytes begins, or 0. kReach bytes are read.
  static size_t operand(const uint8_t* code) {
    if (code[0] == 0xe8) return 1;                       // call
    if ((code[0] & 0xf8) != 0x48) return 0;              // REX.W
    if ((code[2] & 0xc7) != 0x05) return 0;              // ModRM: [rip + operand]
    switch (code[1]) {
      case 0x39: case 0x3b: case 0x63: case 0x89: case 0x8b: case 0x8d: return 3;  // cmp, movsxd, mov, lea
      default: return 0;
    }
  }

  // Distances that lead into the block, or a little behind it, become absolute, and the numbers that this leaves free are
  // given to those that lead just as far from there. next: position of the byte after the operand.
  uint32_t absolute(uint32_t operand, size_t next) const {
    const int64_t distance = static_cast<int32_t>(operand), from = static_cast<int64_t>(next);
    if (distance < -from || distance >= span_) return operand;
    return static_cast<uint32_t>(distance < span_ - from ? distance + from : distance - span_);
  }
  uint32_t relative(uint32_t operand, size_t next) const {
    const int64_t target = static_cast<int32_t>(operand), from = static_cast<int64_t>(next);
    if (target < -from || target >= span_) return operand;
    return static_cast<uint32_t>(target >= 0 ? target - from : target + span_);
  }

  // Whether that pays: targets come again where distances don't. Only encoders ask.
  bool pay(const uint8_t* raw) const {
    Seen targets, distances;
    size_t operands = 0;
    for (size_t i = 0; i + kReach <= size_;) {
      const size_t at = operand(raw + i);
      if (at == 0) {
        ++i;
        continue;
      }
      const uint32_t distance = load(raw + i + at), target = absolute(distance, i + at + 4);
      i += at + 4;
      if (target == distance) continue;
      ++operands;
      targets.add(target);
      distances.add(distance);
    }
    return targets.again > 16 + 2 * distances.again && targets.again * 4 > operands;
  }

  void make_absolute(uint8_t* raw) const {
    for (size_t i = 0; i + kReach <= size_;) {
      const size_t at = operand(raw + i);
      if (at) save(raw + i + at, absolute(load(raw + i + at), i + at + 4));
      i += at ? at + 4 : 1;
    }
  }

  // The original bytes from..to - 1, one piece after another. coded: the block, known up to to + kReach or its end.
  void restore(const uint8_t* coded, size_t from, size_t to, uint8_t* out) {
    std::memcpy(out, coded + from, to - from);
    patch(from, to, out);  // what began in the piece before
    while (at_ < to && at_ + kReach <= size_) {
      const size_t at = operand(coded + at_);
      at_ += at;
      if (at) {
        operand_at_ = at_;
        at_ += 4;
        save(operand_, relative(load(coded + operand_at_), at_));
        patch(from, to, out);
      } else {
        ++at_;
      }
    }
  }

 private:
  // How many values came that came before, as far as a small table remembers.
  struct Seen {
    static constexpr int kBits = 12;
    uint32_t values[1 << kBits] = {};
    size_t again = 0;
    void add(uint32_t value) {
      uint32_t& seen = values[value * 0x9E3779B1u >> (32 - kBits)];
      again += seen == value;
      seen = value;
    }
  };

  static uint32_t load(const uint8_t* bytes) {
    uint32_t value;
    std::memcpy(&value, bytes, 4);
    return value;
  }
  static void save(uint8_t* bytes, uint32_t value) { std::memcpy(bytes, &value, 4); }

  // Writes what of the last operand lies in from..to - 1.
  void patch(size_t from, size_t to, uint8_t* out) const {
    for (size_t i = std::max(from, operand_at_); i < std::min(to, operand_at_ + 4) && operand_at_; ++i)
      out[i - from] = operand_[i - operand_at_];
  }

  size_t size_;
  int64_t span_;
  size_t at_ = 0, operand_at_ = 0;  // how far it is restored; where the last operand stands, 0: none yet
  uint8_t operand_[4] = {};
};

}  // namespace ncz::inline NCZ_ISA
