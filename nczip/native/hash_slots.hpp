// Hash table of nibble contexts: a slot holds the 15 bit histories of one context's next four bits.
//
// A cache line holds four slots and their four check bytes, so a context costs one memory access for four bits.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bit_history.hpp"
#include "pages.hpp"

namespace ncz::inline NCZ_ISA {

class HashSlots {
 public:
  static constexpr size_t kLine = 64;
  static constexpr size_t kKnownLines = size_t{1} << 18;

  // bytes: a power of two >= 64. known: the lines that every block starts with.
  HashSlots(size_t bytes, const BitHistory* known) : pages_(bytes), mask_(bytes / kLine - 1), known_(known) {}

  // Where the copy of a table has what stands at `place` in the table that it was copied from.
  BitHistory* moved(const HashSlots& from, const BitHistory* place) const {
    return reinterpret_cast<BitHistory*>(pages_.data()) + (place - reinterpret_cast<const BitHistory*>(from.pages_.data()));
  }

  // What tells the contexts of a line apart; 0: an empty slot.
  static uint8_t check_of(uint32_t hash) { return static_cast<uint8_t>((hash * 0x9E3779B1u) >> 24) | 1; }

  void prefetch(uint32_t hash) const { __builtin_prefetch(line(hash)); }

  // The 15 histories of the context with this hash; a new context takes the slot that knows least. With kInherits it
  // starts from what is known of it beforehand, else from nothing.
  template <bool kInherits>
  BitHistory* find(uint32_t hash) {
    BitHistory* const bytes = line(hash);
    const uint8_t check = check_of(hash);
    if (const uint32_t equal = matches(bytes, check)) return slot(bytes, equal);
    uint32_t least = ~uint32_t{0};  // what a slot knows, and which it is: no branch, since nothing predicts it
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t known = kHistories.total[static_cast<uint8_t>(bytes[4 + 15 * i])] + (bytes[i] != BitHistory{});
      const uint32_t candidate = known << 2 | i;
      least = candidate < least ? candidate : least;
    }
    const uint32_t worst = least & 3;
    bytes[worst] = static_cast<BitHistory>(check);
    BitHistory* const taken = bytes + 4 + 15 * worst;
    if constexpr (kInherits) {
      const BitHistory* const before = known_ + (hash & (kKnownLines - 1)) * kLine;
      if (const uint32_t equal = matches(before, check)) {
        std::memcpy(taken, slot(before, equal), 15);
        return taken;
      }
    }
    std::memset(taken, 0, 15);
    return taken;
  }

 private:
  // The four checks at once: the lowest byte with its upper bit set is the first that is equal; 0: none.
  static uint32_t matches(const BitHistory* line, uint8_t check) {
    uint32_t checks;
    std::memcpy(&checks, line, sizeof checks);
    const uint32_t difference = checks ^ check * 0x01010101u;
    return (difference - 0x01010101u) & ~difference & 0x80808080u;
  }
  template <typename History>
  static History* slot(History* line, uint32_t equal) {
    return line + 4 + 15 * (std::countr_zero(equal) >> 3);
  }
  BitHistory* line(uint32_t hash) const { return reinterpret_cast<BitHistory*>(pages_.data()) + (hash & mask_) * kLine; }

  Pages pages_;
  size_t mask_;
  const BitHistory* known_;
};

}  // namespace ncz::inline NCZ_ISA
