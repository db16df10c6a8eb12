// IEEE-754 as the archive means it: round to nearest, subnormals kept. Other libraries change these bits of a thread.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace ncz::inline NCZ_ISA {

// Sets them for its lifetime, and restores what it found.
class FpEnvironment {
 public:
#if defined(__x86_64__)
  FpEnvironment() : found_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~FpEnvironment() { _mm_setcsr(found_); }

 private:
  static constexpr unsigned kDefault = 0x1f80;  // all exceptions masked, nearest, no flush to zero, no zero operands
  unsigned found_;
#elif defined(__aarch64__)
  FpEnvironment() {
    asm volatile("mrs %0, fpcr" : "=r"(found_));
    asm volatile("msr fpcr, %0" ::"r"(uint64_t{0}));
  }
  ~FpEnvironment() { asm volatile("msr fpcr, %0" ::"r"(found_)); }

 private:
  uint64_t found_;
#endif
 public:
  FpEnvironment(const FpEnvironment&) = delete;
  FpEnvironment& operator=(const FpEnvironment&) = delete;
};

}  // namespace ncz::inline NCZ_ISA
