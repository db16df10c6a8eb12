// A mixture that has read a base: blocks that name the base begin with a copy of it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base_index.hpp"
#include "fp_environment.hpp"
#include "isa.hpp"
#include "mixture.hpp"

namespace ncz::inline NCZ_ISA {

// The base is history that is known at first. The mixture reads the end of it, as it reads a block; a match may begin
// anywhere in it.
template <int kLevel>
class Primed final : public PrimedMixture {
 public:
  static constexpr size_t kRead = kLevel == 6 ? size_t{512} << 10 : size_t{2} << 20;  // bytes, at its end

  // room: see room(); read: bytes that are read, kRead but in tests. The base must outlive this.
  Primed(MixtureConfig config, const uint8_t* base, size_t size, size_t room, size_t read)
      : base_(base),
        size_(size),
        index_(base, size),
        mixture_(base, room, config.table_bits, config.knowledge, size - std::min(size, read), &index_) {}

  bool advance(size_t bytes) override {
    if (!index_.extend(64 * bytes)) return false;
    const FpEnvironment ieee;
    const size_t end = std::min(mixture_.position() + bytes, size_);
    for (size_t at = mixture_.position(); at < end; ++at)
      for (int i = 7; i >= 0; --i) {
        mixture_.predict();
        mixture_.update(base_[at] >> i & 1);
      }
    return end == size_;
  }

  // The bytes that tables are made for: a power of two, so that most blocks can begin with the same state.
  static size_t room(size_t base_size, size_t raw_size) { return std::bit_ceil(std::min(base_size, kRead) + raw_size); }
  static size_t memory(size_t base_size) { return BaseIndex::memory(base_size); }  // beside that of the mixture

  size_t size() const { return size_; }
  // Where a block's history begins, after the base has been copied there.
  const uint8_t* copy_base(uint8_t* history) const {
    if (size_) std::memcpy(history, base_, size_);
    return history;
  }
  const Mixture<kLevel>& mixture() const { return mixture_; }

 private:
  const uint8_t* base_;
  size_t size_;
  BaseIndex index_;
  Mixture<kLevel> mixture_;
};

}  // namespace ncz::inline NCZ_ISA
