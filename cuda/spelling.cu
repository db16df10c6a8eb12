// Level 8 on CUDA: what language.cu leaves as logits, spelled. Bit for bit the numbers of the core, whose mixture, walk and
// coder these kernels include: a block's first thread runs them, all of its threads compute the tokens' weights.
//
// For NVRTC alone, to which functions without annotations are a GPU's (-default-device), and as C++ (NCZ_TWIN).
#include "coding.hpp"
#include "language_arithmetic.hpp"
#include "threads.hpp"

#include "speller.hpp"

namespace ncz::inline NCZ_ISA {

// In memory of its own, which begins with it: `bytes` each, by the number of the cache.
using Spelling = Speller<8>;
__device__ inline Spelling& spelling_of(uint8_t* memories, uint64_t bytes, uint32_t block) {
  return *reinterpret_cast<Spelling*>(memories + block * bytes);
}

// Blocks begin. biases: `pitch` reals a block. Grid: blocks.
NCZ_KERNEL(128) begin_spelling(const Admission* admission, const float* head_scale, int vocabulary, int longest,
                               int table_bits, const uint8_t* knowledge, float* biases, uint8_t* memories,
                               uint64_t bytes) {
  const Admission one = admission[blockIdx.x];
  const int first = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x);
  uint8_t* const memory = memories + one.block * bytes;
  for (uint64_t at = static_cast<uint64_t>(first) * 16; at < bytes; at += static_cast<uint64_t>(step) * 16)
    *reinterpret_cast<uint4*>(memory + at) = uint4{0, 0, 0, 0};
  float* const bias = biases + one.block * static_cast<size_t>(vocabulary);
  for (int i = first; i < vocabulary; i += step) bias[i] = head_scale[i] == 0.0f ? kNever : 0.0f;
  __syncthreads();
  if (first) return;
  arena() = {memory, memory + bytes};
  void* const place = take_lines(sizeof(Spelling));
  auto* const raw = static_cast<uint8_t*>(take_lines(one.size + static_cast<size_t>(longest)));
  new (place) Spelling(raw, one.size, table_bits, knowledge);
}

// sums[i] becomes what the entries below i weigh; returns sums[vocabulary]. By all of a block's threads.
__device__ inline uint64_t weigh(const float* logits, const float* bias, int vocabulary, uint64_t* sums) {
  __shared__ uint64_t of_warp[32];
  const int lane = lane_of(), warp = warp_of(), count = warps();
  float top = kNever;
  for (int i = static_cast<int>(threadIdx.x); i < vocabulary; i += static_cast<int>(blockDim.x))
    top = max(top, biased(logits[i], bias[i]));
  top = block_most(top);
  const auto weight = [&](int i) -> uint64_t {
    return static_cast<uint32_t>(static_cast<int32_t>(token_weight(biased(logits[i], bias[i]), top)));
  };
  // Each warp takes a run of entries, a multiple of its lanes.
  const int each = (vocabulary + count * kWarp - 1) / (count * kWarp) * kWarp;
  const int begin = warp * each, end = begin + each < vocabulary ? begin + each : vocabulary;
  uint64_t sum = 0;
  for (int i = begin + lane; i < end; i += kWarp) sum += weight(i);
  sum = warp_sum(sum);
  if (lane == 0) of_warp[warp] = sum;
  __syncthreads();
  uint64_t below = 0, all = 0;
  for (int i = 0; i < count; ++i) {
    below += i < warp ? of_warp[i] : 0;
    all += of_warp[i];
  }
  for (int i = begin; i < end; i += kWarp) {
    const uint64_t own = i + lane < end ? weight(i + lane) : 0;
    const uint64_t before = warp_sums_up_to(own);
    if (i + lane < end) sums[i + lane] = below + before - own;
    below += __shfl_sync(kAllLanes, before, kWarp - 1);
  }
  if (threadIdx.x == 0) sums[vocabulary] = all;
  __syncthreads();
  return all;
}

// The biases after `token` came. By all of a block's threads.
__device__ inline void learn(float* bias, int vocabulary, const uint64_t* sums, uint64_t all, uint32_t token) {
  constexpr float kStep = kBiasRate * kLog2E;
  const float factor = kStep / static_cast<float>(all);
  for (int i = static_cast<int>(threadIdx.x); i < vocabulary; i += static_cast<int>(blockDim.x)) {
    const auto weight = static_cast<int32_t>(sums[i + 1] - sums[i]);
    bias[i] = bias[i] - static_cast<float>(weight) * factor;
    if (static_cast<uint32_t>(i) == token) bias[i] = bias[i] + kStep;
  }
  __syncthreads();
}

// What a coder is told, as intervals.
struct Decisions {
  uint2* out;
  uint32_t count = 0;
  void encode_bit(int bit, uint32_t p1) { out[count++] = bit ? uint2{0, p1} : uint2{p1, kTotal - p1}; }
};

// The intervals of all decisions that spell the tokens that are asked for, in order: ask[stretch][i] is the row of the
// stretch that says what tokens weigh, and the token. outs counts them; `decisions` is the room that a stretch has.
// sums: room for vocabulary + 1 of each stretch. Grid: stretches.
NCZ_KERNEL(128) spell(const float* logits, int pitch, int vocabulary, const uint8_t* strings, const uint32_t* string_begin,
                      int length, int room, const uint2* ask, const uint32_t* asks, const uint32_t* block, float* biases,
                      uint8_t* memories, uint64_t bytes, uint64_t* sums, int decisions, uint2* out, uint32_t* outs) {
  const size_t stretch = blockIdx.x, size = static_cast<size_t>(vocabulary);
  uint64_t* const own = sums + stretch * (size + 1);
  float* const bias = biases + block[stretch] * size;
  Decisions made{out + stretch * static_cast<size_t>(decisions)};
  for (uint32_t i = 0; i < asks[stretch]; ++i) {
    const uint2 asked = ask[stretch * static_cast<size_t>(room) + i];
    const size_t row = stretch * static_cast<size_t>(length) + asked.x;
    const uint64_t all = weigh(logits + row * static_cast<size_t>(pitch), bias, vocabulary, own);
    if (threadIdx.x == 0)
      spelling_of(memories, bytes, block[stretch])
          .code(Vocabulary{strings, string_begin, size}, static_cast<const uint64_t*>(own), asked.y, made);
    learn(bias, vocabulary, own, all, asked.y);
  }
  if (threadIdx.x == 0) outs[stretch] = made.count;
}

// As `decode` (language.cu), for blocks that are spelled. Grid: stretches.
NCZ_KERNEL(128) read_spelling(const float* logits, int pitch, const float* head_scale, int vocabulary,
                              const uint8_t* strings, const uint32_t* string_begin, int length, const uint32_t* block,
                              uint32_t* first, uint32_t* count, uint32_t* token, int room, Decoding* decoding,
                              float* biases, uint8_t* memories, uint64_t bytes, uint64_t* sums, uint32_t* out,
                              uint32_t* outs) {
  __shared__ Came came;
  const size_t stretch = blockIdx.x, size = static_cast<size_t>(vocabulary);
  Decoding& decoded = decoding[block[stretch]];
  uint64_t* const own = sums + stretch * (size + 1);
  float* const bias = biases + block[stretch] * size;
  walk_rows(head_scale, length, first, count, token, room, out, outs, [&](size_t row) {
    const uint64_t all = weigh(logits + row * static_cast<size_t>(pitch), bias, vocabulary, own);
    if (threadIdx.x == 0) {
      Spelling& speller = spelling_of(memories, bytes, block[stretch]);
      came.token = static_cast<uint32_t>(speller.code(Vocabulary{strings, string_begin, size},
                                                      static_cast<const uint64_t*>(own), 0, decoded.coder));
      came.standing = standing_of(decoded, speller.position());
    }
    __syncthreads();
    const Came result = came;
    learn(bias, vocabulary, own, all, result.token);
    return result;
  });
}

}  // namespace ncz::inline NCZ_ISA
