// Run-time choice of the instruction set. Every path gives the same bits; NCZIP_ISA is a ceiling, for tests.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "language_model.hpp"

namespace ncz {

static_assert(std::endian::native == std::endian::little, "slots and words are read as little-endian");

inline constexpr size_t kMaxBlock = size_t{1} << 28;  // bytes of content; NCZ1's limit
inline constexpr int kLeastTableBits = 16, kMostTableBits = 31;  // what configurations may say

// The predictor configuration that an archive names: all that decides the numbers, beside the raw size.
struct MixtureConfig {
  uint8_t level;       // 4, 5, 6
  uint8_t table_bits;  // ceiling of the log2 of the tables' bytes
  const uint8_t* knowledge;  // what every block starts with; it outlives the coder
};

// Bytes that their coder owns.
struct Packed {
  const uint8_t* data;
  size_t size;
};

// A mixture that reads a base, for blocks that begin where it ends. They look into it as long as they are coded.
class PrimedMixture {
 public:
  virtual ~PrimedMixture() = default;
  virtual bool advance(size_t bytes) = 0;  // reads about so many more; whether that was all
};

// One block being coded. The same object for both directions would hide which calls are legal, so there are two.
class BlockEncoder {
 public:
  virtual ~BlockEncoder() = default;
  virtual size_t advance(size_t bytes) = 0;  // codes up to `bytes` more, returns bytes done so far
  virtual size_t packed_size() const = 0;    // so far, without what finish() adds
  virtual Packed finish() = 0;
  virtual size_t weights(float* out) const = 0;  // of the mixer, for making knowledge; how many, out may be null
};

class BlockDecoder {
 public:
  virtual ~BlockDecoder() = default;
  virtual size_t decode(uint8_t* out, size_t bytes) = 0;  // returns bytes written: 0 if the packed bytes have ended
};

// The same for a language model's blocks.
struct LanguageConfig {
  uint8_t level;       // 7, 8, 9
  uint8_t table_bits;  // of the mixture
  size_t window;       // tokens that the model looks back on, a multiple of 16
  const uint8_t* knowledge;
};

struct PackedBlock {
  const uint8_t* packed;
  size_t packed_size, raw_size;
};

// Blocks that pass through the model together.
class BlocksDecoder {
 public:
  virtual ~BlocksDecoder() = default;
  virtual bool step() = 0;  // a token or more of each; whether all are done
  virtual size_t position(size_t block) const = 0;  // bytes that are known
  virtual const uint8_t* content(size_t block) const = 0;
  virtual bool overran(size_t block) const = 0;  // the last token went past the block's end: damaged
  virtual bool ran_out(size_t block) const = 0;   // its packed bytes ended before its content: damaged
  virtual size_t passes() const = 0;             // of the model, so far
};

struct Core {
  const char* name;
  // primed: with the same configuration and room for the block, all of its base read; or null.
  std::unique_ptr<BlockEncoder> (*encoder)(MixtureConfig, const uint8_t* raw, size_t raw_size, const PrimedMixture*);
  std::unique_ptr<BlockDecoder> (*decoder)(MixtureConfig, size_t raw_size, const uint8_t* packed, size_t packed_size,
                                           const PrimedMixture*);
  size_t (*memory)(MixtureConfig, size_t raw_size);
  // read: bytes at the base's end that are read, for tests.
  std::unique_ptr<PrimedMixture> (*primed)(MixtureConfig, const uint8_t* base, size_t base_size, size_t room,
                                           std::optional<size_t> read);
  // Bytes that tables are made for where a block follows a base, and bytes of memory that looking into the base takes.
  size_t (*room)(MixtureConfig, size_t base_size, size_t raw_size);
  size_t (*index_memory)(size_t base_size);
  std::unique_ptr<BlockEncoder> (*language_encoder)(const LanguageModel&, LanguageConfig, const uint8_t* raw,
                                                    size_t raw_size, const uint32_t* tokens, size_t count);
  std::unique_ptr<BlocksDecoder> (*language_decoder)(const LanguageModel&, LanguageConfig, const PackedBlock*,
                                                     size_t count);
  size_t (*language_memory)(const LanguageModel&, LanguageConfig, size_t raw_size, size_t together);
  size_t (*spelling_memory)(size_t raw_size, int table_bits);  // of a block's mixture at level 8
  // Logits in bits after each of these tokens: vocabulary of them a token. For tests and reports.
  void (*logits)(const LanguageModel&, size_t window, const uint32_t* tokens, size_t count, size_t together, float* out);
  // What codes these intervals, each its left end and its width; takes room for 4 (count + 2) bytes, returns its size.
  size_t (*pack_intervals)(const uint32_t* intervals, size_t count, uint8_t* packed);
  size_t knowledge_size;   // bytes
  size_t knowledge_lines;  // at its start, 64 bytes each
};

// Every path that is compiled for this kind of CPU: use(name), once for each.
#if defined(__x86_64__)
#define NCZ_PATHS(use) use(scalar) use(sse2) use(avx2) use(avx512) use(vnni)
#elif defined(__aarch64__)
#define NCZ_PATHS(use) use(scalar) use(neon)
#else
#define NCZ_PATHS(use) use(scalar)
#endif

// The best path that this CPU has and NCZIP_ISA allows; std::invalid_argument if that names none.
const Core& core();

}  // namespace ncz
