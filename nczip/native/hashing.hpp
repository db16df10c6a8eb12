// The one hash of the mixture: 32-bit multiplicative steps (Knuth's golden-ratio multiplier), part of the format.
#pragma once

#include <cstdint>

namespace ncz::inline NCZ_ISA {

inline uint32_t hash_step(uint32_t hash, uint32_t value) {
  hash = (hash + value + 1) * 0x9E3779B1u;
  return hash ^ (hash >> 15);
}

template <typename... Rest>
uint32_t hash_of(uint32_t first, Rest... rest) {
  uint32_t hash = hash_step(0, first);
  ((hash = hash_step(hash, static_cast<uint32_t>(rest))), ...);
  return hash;
}

}  // namespace ncz::inline NCZ_ISA
