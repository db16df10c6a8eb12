// The CUDA that the kernels are written in, as ordinary C++: a block's threads are fibers that take turns, and a warp's
// products and exchanges happen when the last of its lanes has come. Slow, exact, and for tests alone.
//
// Lanes of a warp that wait for different things, or for one that has returned, end the program: on a GPU they
// would hang it or read what nobody wrote.
#pragma once

#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)

struct uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct dim3 {
  unsigned x, y, z;
};

namespace twin {

inline dim3 grid, block, at_block, at_thread;
inline unsigned char* shared;  // the dynamic part

constexpr unsigned kLanes = 32;
constexpr size_t kStack = 128 << 10;

struct Operands {  // of one lane, at one meeting of its warp
  uint32_t word[6];
};
enum class Waits { kNothing, kWarp, kBlock, kDone };

struct Fiber {  // which begins once, and then runs its part of one block after another
  jmp_buf here;
  bool began = false;
  Waits waits = Waits::kNothing;
  unsigned meetings = 0;
  std::vector<char> stack;
};

constexpr unsigned kThreads = 1024;  // of a block, at most
inline Fiber fibers[kThreads];
inline Operands operands[2 * kThreads];  // [thread][meeting % 2]: nobody is two meetings ahead
inline unsigned current;
inline jmp_buf scheduler;
inline void (*body)(void*);
inline void* body_arguments;

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "twin: %s (block %u,%u,%u thread %u)\n", what, at_block.x, at_block.y, at_block.z, current);
  std::abort();
}

inline void wait(Waits what) {
  Fiber& fiber = fibers[current];
  fiber.waits = what;
  if (!_setjmp(fiber.here)) _longjmp(scheduler, 1);
}
inline void enter() {
  for (;;) {
    body(body_arguments);
    wait(Waits::kDone);
  }
}
inline void resume(unsigned thread) {
  Fiber& fiber = fibers[thread];
  current = thread;
  at_thread = {thread, 0, 0};
  if (_setjmp(scheduler)) return;
  if (fiber.began) _longjmp(fiber.here, 1);
  fiber.began = true;
  fiber.stack.resize(kStack);
  ucontext_t first;
  getcontext(&first);
  first.uc_stack.ss_sp = fiber.stack.data();
  first.uc_stack.ss_size = fiber.stack.size();
  first.uc_link = nullptr;
  makecontext(&first, enter, 0);
  setcontext(&first);
}

// Until all of the block's threads have returned.
inline void run_block() {
  const unsigned threads = block.x;
  for (unsigned i = 0; i < threads; ++i) fibers[i].waits = Waits::kNothing, fibers[i].meetings = 0;
  for (;;) {
    unsigned done = 0;
    for (unsigned warp = 0; warp < threads; warp += kLanes) {
      const unsigned end = warp + kLanes < threads ? warp + kLanes : threads;
      if (fibers[warp].waits == Waits::kDone) {
        done += end - warp;
        continue;
      }
      Waits what;
      do {
        for (unsigned i = warp; i < end; ++i) {
          if (fibers[i].waits == Waits::kDone) continue;
          resume(i);
        }
        what = fibers[warp].waits;
        for (unsigned i = warp; i < end; ++i)
          if (fibers[i].waits != what) current = i, fail("lanes of a warp wait for different things");
      } while (what == Waits::kWarp);
      if (what == Waits::kDone) done += end - warp;
    }
    if (done == threads) return;
    if (done) fail("some warps wait for others that have returned");
  }
}

inline Operands* meet(const Operands& mine) {
  Fiber& fiber = fibers[current];
  const unsigned turn = fiber.meetings++ % 2;
  operands[2 * current + turn] = mine;
  wait(Waits::kWarp);
  return &operands[2 * (current / kLanes * kLanes) + turn];  // every other one is of this meeting
}

template <typename T>
T exchange(T value, unsigned from) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  Operands mine{};
  std::memcpy(mine.word, &value, sizeof value);
  const unsigned end = block.x - current / kLanes * kLanes;
  const Operands* const all = meet(mine);
  if (from < kLanes && from < end) std::memcpy(&value, all[2 * from].word, sizeof value);
  return value;
}

inline int32_t byte_of(uint32_t word, unsigned i) { return static_cast<int8_t>(word >> 8 * i); }

inline void multiply_add(int32_t (&sums)[4], uint4 rows, uint2 columns) {
  const Operands* const all = meet({{rows.x, rows.y, rows.z, rows.w, columns.x, columns.y}});
  const unsigned lane = current % kLanes, group = lane / 4, place = lane % 4;
  for (unsigned half = 0; half < 2; ++half)      // of the rows
    for (unsigned c = 0; c < 2; ++c) {           // this lane's columns
      uint32_t sum = 0;
      for (unsigned deep = 0; deep < 2; ++deep)  // halves of the depth
        for (unsigned q = 0; q < 4; ++q) {
          const uint32_t a = all[2 * (group * 4 + q)].word[half + 2 * deep];
          const uint32_t b = all[2 * ((place * 2 + c) * 4 + q)].word[4 + deep];
          for (unsigned i = 0; i < 4; ++i) sum += static_cast<uint32_t>(byte_of(a, i) * byte_of(b, i));
        }
      sums[half * 2 + c] = static_cast<int32_t>(static_cast<uint32_t>(sums[half * 2 + c]) + sum);
    }
}

template <typename... Arguments>
struct Call {
  void (*kernel)(Arguments...);
  std::tuple<Arguments...> arguments;
  static void invoke(void* self) {
    auto* const call = static_cast<Call*>(self);
    std::apply(call->kernel, call->arguments);
  }
};

template <typename... Arguments, size_t... kIndex>
void launch(void (*kernel)(Arguments...), void** arguments, std::index_sequence<kIndex...>) {
  Call<Arguments...> call{kernel, {*static_cast<std::remove_cv_t<Arguments>*>(arguments[kIndex])...}};
  body = Call<Arguments...>::invoke;
  body_arguments = &call;
  for (at_block.z = 0; at_block.z < grid.z; ++at_block.z)
    for (at_block.y = 0; at_block.y < grid.y; ++at_block.y)
      for (at_block.x = 0; at_block.x < grid.x; ++at_block.x) run_block();
  body_arguments = nullptr;
}
template <typename... Arguments>
void launch(void (*kernel)(Arguments...), void** arguments) {
  launch(kernel, arguments, std::index_sequence_for<Arguments...>{});
}

}  // namespace twin

#define threadIdx ::twin::at_thread
#define blockIdx ::twin::at_block
#define blockDim ::twin::block
#define gridDim ::twin::grid

inline void __syncthreads() { twin::wait(twin::Waits::kBlock); }
inline void __syncwarp() { twin::meet({}); }
template <typename T>
T __shfl_sync(unsigned, T value, int lane) {
  return twin::exchange(value, static_cast<unsigned>(lane));
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return twin::exchange(value, twin::current % twin::kLanes ^ static_cast<unsigned>(mask));
}
template <typename T>
T __shfl_down_sync(unsigned, T value, int by) {
  return twin::exchange(value, twin::current % twin::kLanes + static_cast<unsigned>(by));
}
template <typename T>
T __shfl_up_sync(unsigned, T value, int by) {
  return twin::exchange(value, twin::current % twin::kLanes - static_cast<unsigned>(by));
}
[[noreturn]] inline void __trap() { twin::fail("trap"); }
template <typename T>
T atomicAdd(T* to, T value) {
  const T old = *to;
  *to = static_cast<T>(static_cast<std::make_unsigned_t<T>>(old) + static_cast<std::make_unsigned_t<T>>(value));
  return old;
}
