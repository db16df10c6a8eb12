// What the kernels that decode know of a block, besides its cache, and how they go from token to token.
#pragma once

#include "range_decoder.hpp"
#include "threads.hpp"

namespace ncz::inline NCZ_ISA {

// A block on its way back.
struct Decoding {
  RangeDecoder coder;
  uint32_t size, known;  // bytes
};
constexpr uint32_t kRanOut = 0x80000000u;  // of what is said of a block: its packed bytes ended before its content

struct Admission {
  uint64_t packed;  // where it begins
  uint32_t packed_size, size, block, padding;
};

// How a block stands after a token: bytes are missing, all are known, or its packed bytes ended before.
enum class Standing : uint32_t { kGoesOn, kComplete, kRanOut };
__device__ inline Standing standing_of(const Decoding& decoded, size_t known) {
  if (decoded.coder.ran_out()) return Standing::kRanOut;
  return known >= decoded.size ? Standing::kComplete : Standing::kGoesOn;
}
struct Came {
  uint32_t token;
  Standing standing;
};

// A stretch's block decodes a token from the logits of the first row, then further ones as long as the next row was for
// the token that came; a token that the model does not know leaves the row as it is. The stretch then begins with what
// comes next; it ends, with count 0, when the block is complete or has run out (kRanOut in outs). out[stretch]: the
// tokens, at most `room`, from outs[stretch] on, which counts them. next(row), of all stretches' rows, gives the token
// that came, the same to all of a block's threads, which call it together. Grid: stretches.
template <typename Next>
__device__ inline void walk_rows(const float* head_scale, int length, uint32_t* first, uint32_t* count, uint32_t* token,
                                 int room, uint32_t* out, uint32_t* outs, const Next& next) {
  const size_t stretch = blockIdx.x, begin = stretch * static_cast<size_t>(length);
  const uint32_t rows = count[stretch];
  if (!rows) return;
  uint32_t row = 0, made = outs[stretch], input = token[begin];  // the current row's
  Standing standing = Standing::kGoesOn;
  while (made < static_cast<uint32_t>(room) && standing == Standing::kGoesOn && row < rows) {
    const Came came = next(begin + row);
    if (threadIdx.x == 0) out[stretch * static_cast<size_t>(room) + made] = came.token;
    standing = came.standing;
    ++made;
    if (head_scale[came.token] == 0.0f) continue;
    input = came.token;
    if (++row < rows && token[begin + row] != input) break;
  }
  if (threadIdx.x == 0) {
    outs[stretch] = standing == Standing::kRanOut ? made | kRanOut : made;
    first[stretch] += row;
    token[begin] = input;
    count[stretch] = standing == Standing::kGoesOn ? 1 : 0;
  }
}

}  // namespace ncz::inline NCZ_ISA
