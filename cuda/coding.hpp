// What the kernels that decode know of a block, besides its cache.
#pragma once

#include "range_decoder.hpp"

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

}  // namespace ncz::inline NCZ_ISA
