// Memory for arrays and tables: of the heap, or on a GPU what a block of threads was given.
#pragma once

#include "host_device.hpp"
#ifndef NCZ_DEVICE
#include <cstdlib>
#include <cstring>
#include <new>
#endif

namespace ncz::inline NCZ_ISA {

inline constexpr size_t kCacheLine = 64;

constexpr size_t whole_lines(size_t bytes) { return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine; }

#ifdef NCZ_DEVICE

// Zeroed memory that is taken once and never given back.
struct Arena {
  uint8_t* next;
  uint8_t* end;
};
inline Arena& arena() {
  __shared__ Arena own;
  return own;
}
inline void* take_lines(size_t bytes) {
  Arena& own = arena();
  const size_t taken = whole_lines(bytes);
  if (taken > static_cast<size_t>(own.end - own.next)) __trap();  // whoever gave it has counted wrong
  void* const memory = own.next;
  own.next += taken;
  return memory;
}
inline void free_lines(void*) {}
inline void clear(void*, size_t) {}

#else

inline void* take_lines(size_t bytes) {
  void* const memory = std::aligned_alloc(kCacheLine, bytes ? whole_lines(bytes) : kCacheLine);
  if (!memory) throw std::bad_alloc();
  return memory;
}
inline void free_lines(void* memory) { std::free(memory); }
inline void clear(void* memory, size_t bytes) { std::memset(memory, 0, bytes); }

#endif

}  // namespace ncz::inline NCZ_ISA
