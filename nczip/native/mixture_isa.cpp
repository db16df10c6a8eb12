// The mixture compiled for one instruction set: NCZ_ISA is its name and namespace.
#include "block_coder.hpp"
#include "fp_environment.hpp"
#include "isa.hpp"

#define NCZ_TO_STRING(x) #x
#define NCZ_NAME_OF(x) NCZ_TO_STRING(x)

namespace ncz::inline NCZ_ISA {
namespace {

template <typename Visit>
auto at_level(uint8_t level, Visit visit) {
  switch (level) {
    case 4: return visit.template operator()<4>();
    case 5: return visit.template operator()<5>();
    default: return visit.template operator()<6>();
  }
}

std::unique_ptr<BlockEncoder> encoder(MixtureConfig config, const uint8_t* raw, size_t raw_size) {
  const FpEnvironment ieee;
  return at_level(config.level, [&]<int kLevel>() -> std::unique_ptr<BlockEncoder> {
    return std::make_unique<Encoder<kLevel>>(config, raw, raw_size);
  });
}

std::unique_ptr<BlockDecoder> decoder(MixtureConfig config, size_t raw_size, const uint8_t* packed,
                                      size_t packed_size) {
  const FpEnvironment ieee;
  return at_level(config.level, [&]<int kLevel>() -> std::unique_ptr<BlockDecoder> {
    return std::make_unique<Decoder<kLevel>>(config, raw_size, packed, packed_size);
  });
}

size_t memory(MixtureConfig config, size_t raw_size) {
  return at_level(config.level, [&]<int kLevel>() { return Mixture<kLevel>::memory(raw_size, config.table_bits); });
}

}  // namespace

extern const Core kCore;
const Core kCore = {NCZ_NAME_OF(NCZ_ISA), encoder, decoder, memory, Mixture<6>::kWeightsEnd, HashSlots::kKnownLines};

}  // namespace ncz::inline NCZ_ISA
