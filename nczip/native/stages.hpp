// What the tests see of the core: its stages one at a time, on each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ncz {

class SsmStage {
 public:
  virtual ~SsmStage() = default;
  virtual void predict(uint32_t* sums) const = 0;  // 257 of them
  virtual void update(uint8_t byte) = 0;
};

// A vocabulary as cdf.hpp has it.
struct StringList {
  const uint8_t* bytes;
  const uint32_t* begin;
  size_t size;
};

struct Decision {
  uint32_t one, total;
  bool answer;
};

struct Stages {
  const char* name;

  // Lane by lane, on any number of vectors of 16.
  using Lanes = void (*)(const float* x, float* y, size_t vectors);
  Lanes exp2, log2, squash, stretch, square_root;
  Lanes sums;  // 16 vectors to one

  void (*make_cdf)(const uint32_t* sums, size_t vocabulary, uint32_t* cum);
  // One token's decisions, at most `room` of them: how many there are.
  size_t (*spell)(StringList vocabulary, const uint32_t* sums, size_t token, Decision* decisions, size_t room);
  // The token that these answers spell, or SIZE_MAX if they are too few or too many.
  size_t (*read)(StringList vocabulary, const uint32_t* sums, const uint8_t* answers, size_t count);

  // Packed bytes of n intervals, of n bits: their number. Takes room for 4 (n + 2).
  size_t (*encode)(const uint32_t* left, const uint32_t* width, size_t n, uint8_t* packed);
  size_t (*encode_bits)(const uint8_t* bits, const uint32_t* p1, size_t n, uint8_t* packed);
  // For each interval where the coded point lies, before the interval is taken.
  void (*decode)(const uint8_t* packed, size_t size, const uint32_t* left, const uint32_t* width, size_t n, uint32_t* points);
  void (*decode_bits)(const uint8_t* packed, size_t size, const uint32_t* p1, size_t n, uint8_t* bits);

  // Of each token's logits, all of a model's: the partial sums of its weights, one more than logits. Then the token comes.
  void (*token_sums)(const float* logits, const float* head_scale, size_t vocabulary, float rate, const uint32_t* tokens,
                     size_t count, uint64_t* sums);

  std::unique_ptr<SsmStage> (*ssm)(int row_bits);
  int (*ssm_row_bits)(size_t raw_size);
};

}  // namespace ncz
