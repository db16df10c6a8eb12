// The mixture compiled for one instruction set: NCZ_ISA is its name and namespace.
#include "block_coder.hpp"
#include "fp_environment.hpp"
#include "isa.hpp"
#include "language_coder.hpp"

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

std::unique_ptr<BlockEncoder> encoder(MixtureConfig config, const uint8_t* raw, size_t raw_size,
                                      const PrimedMixture* primed) {
  const FpEnvironment ieee;
  return at_level(config.level, [&]<int kLevel>() -> std::unique_ptr<BlockEncoder> {
    return std::make_unique<Encoder<kLevel>>(config, raw, raw_size, static_cast<const Primed<kLevel>*>(primed));
  });
}

std::unique_ptr<BlockDecoder> decoder(MixtureConfig config, size_t raw_size, const uint8_t* packed,
                                      size_t packed_size, const PrimedMixture* primed) {
  const FpEnvironment ieee;
  return at_level(config.level, [&]<int kLevel>() -> std::unique_ptr<BlockDecoder> {
    return std::make_unique<Decoder<kLevel>>(config, raw_size, packed, packed_size,
                                             static_cast<const Primed<kLevel>*>(primed));
  });
}

std::unique_ptr<PrimedMixture> primed(MixtureConfig config, const uint8_t* base, size_t base_size, size_t room,
                                      std::optional<size_t> read) {
  const FpEnvironment ieee;
  return at_level(config.level, [&]<int kLevel>() -> std::unique_ptr<PrimedMixture> {
    return std::make_unique<Primed<kLevel>>(config, base, base_size, room, read.value_or(Primed<kLevel>::kRead));
  });
}

size_t room(MixtureConfig config, size_t base_size, size_t raw_size) {
  return at_level(config.level, [&]<int kLevel>() { return Primed<kLevel>::room(base_size, raw_size); });
}

size_t memory(MixtureConfig config, size_t raw_size) {
  return at_level(config.level, [&]<int kLevel>() { return Mixture<kLevel>::memory(raw_size, config.table_bits); });
}

template <typename Visit>
auto at_language_level(uint8_t level, Visit visit) {
  switch (level) {
    case 7: return visit.template operator()<7>();
    case 8: return visit.template operator()<8>();
    default: return visit.template operator()<9>();
  }
}

std::unique_ptr<BlockEncoder> language_encoder(const LanguageModel& model, LanguageConfig config, const uint8_t* raw,
                                               size_t raw_size, const uint32_t* tokens, size_t count) {
  const FpEnvironment ieee;
  return at_language_level(config.level, [&]<int kLevel>() -> std::unique_ptr<BlockEncoder> {
    return std::make_unique<LanguageEncoder<kLevel>>(model, config, raw, raw_size, tokens, count);
  });
}

std::unique_ptr<BlocksDecoder> language_decoder(const LanguageModel& model, LanguageConfig config,
                                                const PackedBlock* blocks, size_t count) {
  const FpEnvironment ieee;
  return at_language_level(config.level, [&]<int kLevel>() -> std::unique_ptr<BlocksDecoder> {
    return std::make_unique<LanguageDecoder<kLevel>>(model, config, blocks, count);
  });
}

size_t language_memory(const LanguageModel& model, LanguageConfig config, size_t raw_size, size_t together) {
  return at_language_level(config.level, [&]<int kLevel>() {
    return LanguageDecoder<kLevel>::memory(model, config, raw_size, together);
  });
}

void logits(const LanguageModel& model, size_t window, const uint32_t* tokens, size_t count, size_t together,
            float* out) {
  const FpEnvironment ieee;
  KeyValueCache cache(model, window, together, count);
  Transformer transformer(model, together, cache.slots());
  const size_t pitch = TokenWeights::padded(model.vocabulary);
  Array<float> row(pitch);
  for (size_t at = 0; at < count; at += together) {
    const Stretch stretch{&cache, tokens + at, at, std::min(together, count - at)};
    transformer.forward(&stretch, 1);
    for (size_t i = 0; i < stretch.count; ++i) {
      transformer.logits(i, 1, row.data(), pitch);
      std::memcpy(out + (at + i) * model.vocabulary, row.data(), model.vocabulary * sizeof(float));
    }
  }
}

size_t pack_intervals(const uint32_t* intervals, size_t count, uint8_t* packed) {
  RangeEncoder coder;
  for (size_t i = 0; i < count; ++i) coder.encode(intervals[2 * i], intervals[2 * i + 1]);
  const Packed bytes = coder.finish();
  if (bytes.size) std::memcpy(packed, bytes.data, bytes.size);
  return bytes.size;
}

}  // namespace

extern const Core kCore;
const Core kCore = {NCZ_NAME_OF(NCZ_ISA), encoder, decoder, memory, primed, room, BaseIndex::memory,
                    language_encoder, language_decoder, language_memory, Speller<8>::memory, logits, pack_intervals,
                    Mixture<6>::kWeightsEnd, HashSlots::kKnownLines};

}  // namespace ncz::inline NCZ_ISA
