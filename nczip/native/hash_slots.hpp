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

  explicit HashSlots(size_t bytes) : pages_(bytes), mask_(bytes / kLine - 1) {}  // bytes: a power of two >= 64

  void prefetch(uint32_t hash) const { __builtin_prefetch(line(hash)); }

  // The 15 histories of the context with this hash; a new context takes the slot that knows least.
  BitHistory* find(uint32_t hash) {
    BitHistory* const bytes = line(hash);
    const auto check = static_cast<BitHistory>(static_cast<uint8_t>((hash * 0x9E3779B1u) >> 24) | 1);  // 0: an empty slot
    // The four checks at once: the lowest byte that is zero after the exclusive or.
    uint32_t checks;
    std::memcpy(&checks, bytes, sizeof checks);
    const uint32_t difference = checks ^ static_cast<uint8_t>(check) * 0x01010101u;
    const uint32_t equal = (difference - 0x01010101u) & ~difference & 0x80808080u;
    if (equal) return bytes + 4 + 15 * (std::countr_zero(equal) >> 3);
    int worst = 0;
    unsigned least = 256;
    for (int i = 0; i < 4; ++i) {
      const unsigned known = kHistories.total[static_cast<uint8_t>(bytes[4 + 15 * i])] + (bytes[i] != BitHistory{});
      if (known < least) least = known, worst = i;
    }
    bytes[worst] = check;
    BitHistory* const slot = bytes + 4 + 15 * worst;
    std::memset(slot, 0, 15);
    return slot;
  }

 private:
  BitHistory* line(uint32_t hash) const { return reinterpret_cast<BitHistory*>(pages_.data()) + (hash & mask_) * kLine; }

  Pages pages_;
  size_t mask_;
};

}  // namespace ncz::inline NCZ_ISA
