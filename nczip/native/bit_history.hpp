// Bit histories: what was seen in one context, in one byte.
//
// A history is exact up to three bits; after that it keeps (zeros, ones, last bit) with bounded counts. When a bit comes,
// the count of the other bit is cut if it is above two, since recent bits tell more than old ones (nonstationary counts
// after Mahoney's PAQ6, 2002). The table is generated here, in one order, and is part of the format.
#pragma once

#include <bit>
#include <cstdint>

namespace ncz::inline NCZ_ISA {

// A history's number. An enumeration and not a plain byte, so that writing one does not alias every other object.
enum class BitHistory : uint8_t {};

struct BitHistories {
  static constexpr int kMaxSmaller = 5;                                    // bound of the smaller count
  static constexpr int kMaxLarger[kMaxSmaller + 1] = {42, 24, 11, 8, 6, 5};  // bound of the larger one, given the smaller

  BitHistory next[256][2] = {};
  uint8_t zeros[256] = {}, ones[256] = {};
  uint8_t total[256] = {};  // how much the history knows: the priority of a hash slot
  int count = 0;

  constexpr BitHistories() {
    // Numbering: the exact histories by length and value, then the counted ones by (zeros, ones, last bit).
    int counted[64][64][2] = {};
    struct Pending {
      int zeros, ones, last, length, bits;
    };
    Pending state[256] = {};
    int exact[16] = {};
    for (int length = 0; length <= 3; ++length)
      for (int bits = 0; bits < 1 << length; ++bits) {
        const int n1 = std::popcount(static_cast<unsigned>(bits));
        exact[(1 << length) + bits] = count;
        state[count++] = {length - n1, n1, bits & 1, length, bits};
      }
    for (int n0 = 0; n0 <= kMaxLarger[0]; ++n0)
      for (int n1 = 0; n1 <= kMaxLarger[0]; ++n1) {
        const int smaller = n0 < n1 ? n0 : n1, larger = n0 < n1 ? n1 : n0;
        if (n0 + n1 < 4 || smaller > kMaxSmaller || larger > kMaxLarger[smaller]) continue;
        for (int last = 0; last < 2; ++last) {
          if ((last ? n1 : n0) == 0) continue;
          counted[n0][n1][last] = count;
          state[count++] = {n0, n1, last, 4, 0};
        }
      }
    for (int s = 0; s < count; ++s) {
      const Pending& from = state[s];
      zeros[s] = static_cast<uint8_t>(from.zeros);
      ones[s] = static_cast<uint8_t>(from.ones);
      total[s] = static_cast<uint8_t>(from.zeros + from.ones);
      for (int bit = 0; bit < 2; ++bit) {
        int to;
        if (from.length < 3) {
          to = exact[(2 << from.length) + from.bits * 2 + bit];
        } else {
          int same = (bit ? from.ones : from.zeros) + 1;
          int other = bit ? from.zeros : from.ones;
          if (other > 2) other = cut(other);
          int smaller = same < other ? same : other;
          if (smaller > kMaxSmaller) smaller = kMaxSmaller;
          if (same > kMaxLarger[smaller]) same = kMaxLarger[smaller];
          if (other > kMaxLarger[smaller]) other = kMaxLarger[smaller];
          const int n0 = bit ? other : same, n1 = bit ? same : other;
          if (n0 + n1 < 4) {  // a cut may leave three: add the older bit back as an exact history would not know it
            to = counted[n0 + (bit ? 1 : 0)][n1 + (bit ? 0 : 1)][bit];
          } else {
            to = counted[n0][n1][bit];
          }
        }
        next[s][bit] = static_cast<BitHistory>(to);
      }
    }
  }

  BitHistory after(BitHistory history, int bit) const { return next[static_cast<uint8_t>(history)][bit]; }

 private:
  // Floor of log2 plus one: 3 -> 2, 4..7 -> 3, 8..15 -> 4, 16..31 -> 5, 32.. -> 6.
  static constexpr int cut(int n) {
    int bits = 0;
    while (n >> bits > 1) ++bits;
    return bits + 1;
  }
};

inline constexpr BitHistories kHistories;

}  // namespace ncz::inline NCZ_ISA
