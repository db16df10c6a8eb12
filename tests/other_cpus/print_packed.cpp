// Prints what each level makes of a file's beginning, on the path of the core that NCZIP_ISA names, and whether it comes
// back: FILE, then the knowledge that blocks start with. Levels 7 to 9 have a small language model of noise. And what
// method 5 makes of numbers, which has one path.
#define NCZ_ISA any_cpu
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <list>
#include <vector>

#include "../../nczip/native/isa.hpp"
#include "../../nczip/native/tensor.hpp"

namespace {

constexpr size_t kMost = 20'000;         // bytes; emulated paths take seconds
constexpr size_t kMostOfLanguage = 600;  // of the levels with a language model

// Arrays of numbers that every machine draws alike.
class Noise {
 public:
  template <typename T, typename Draw>
  const T* array(size_t count, Draw draw) {
    auto& bytes = held_.emplace_back(count * sizeof(T) + 64);
    T* const values = reinterpret_cast<T*>(bytes.data());
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<T>(draw(next()));
    return values;
  }
  ncz::LanguageMatrix matrix(size_t rows, size_t columns) {
    const auto* const panels = array<uint8_t>(rows * columns, [](uint32_t x) { return 1 + x % 255; });
    const auto* const scale = array<float>(rows, [](uint32_t x) { return static_cast<float>(1 + x % 64) * 0x1p-14f; });
    return {panels, scale, nullptr, rows, columns};
  }
  const float* gains(size_t size) {
    return array<float>(size, [](uint32_t x) { return 0.5f + static_cast<float>(x % 256) * 0x1p-8f; });
  }

 private:
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  uint64_t state_ = 1;
  std::list<std::vector<uint8_t>> held_;
};

uint64_t hash_of(ncz::Packed packed) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < packed.size; ++i) hash = (hash ^ packed.data[i]) * 0x100000001b3;
  return hash;
}
void print(int level, ncz::Packed packed, bool comes_back) {
  std::printf("level %d: %zu bytes, %016llx, %s\n", level, packed.size, static_cast<unsigned long long>(hash_of(packed)),
              comes_back ? "comes back" : "WRONG BYTES");
}

void mixture(ncz::MixtureConfig config, const std::vector<uint8_t>& raw) {
  const auto encoder = ncz::core().encoder(config, raw.data(), raw.size(), nullptr);
  encoder->advance(raw.size());
  const ncz::Packed packed = encoder->finish();
  std::vector<uint8_t> unpacked(raw.size());
  ncz::core().decoder(config, raw.size(), packed.data, packed.size, nullptr)->decode(unpacked.data(), unpacked.size());
  print(config.level, packed, unpacked == raw);
}

void language(uint8_t level, const uint8_t* knowledge, const std::vector<uint8_t>& raw) {
  constexpr size_t kHidden = 64, kHeads = 4, kKeys = 2, kHeadDim = 16, kFfn = 96, kLayers = 2, kTokens = 256;
  Noise noise;
  std::vector<ncz::LanguageLayer> layers;
  for (size_t i = 0; i < kLayers; ++i) {
    ncz::LanguageLayer layer{};
    layer.qkv = noise.matrix((kHeads + 2 * kKeys) * kHeadDim, kHidden);
    layer.output = noise.matrix(kHidden, kHeads * kHeadDim);
    layer.gate_up = noise.matrix(2 * kFfn, kHidden);
    layer.down = noise.matrix(kHidden, kFfn);
    layer.attention_norm = noise.gains(kHidden), layer.ffn_norm = noise.gains(kHidden);
    layer.rope = noise.array<uint32_t>(kHeadDim / 2, [](uint32_t x) { return x; });
    layers.push_back(layer);
  }
  uint32_t at = 0;
  ncz::LanguageModel model{kHidden, kHeads, kKeys, kHeadDim, kFfn, kLayers, 1e-5f, 1.0f, 0.25f, false, layers.data(),
                           {}, {}, noise.gains(kHidden), nullptr, nullptr, kTokens};
  model.head = model.embedding = noise.matrix(kTokens + 16, kHidden);
  model.bytes = noise.array<uint8_t>(kTokens, [&](uint32_t) { return at++; });
  at = 0;
  model.begin = noise.array<uint32_t>(kTokens + 1, [&](uint32_t) { return at++; });
  const ncz::LanguageConfig config{level, 16, 64, knowledge};
  const std::vector<uint32_t> tokens(raw.begin(), raw.end());  // the vocabulary is the bytes
  const auto encoder = ncz::core().language_encoder(model, config, raw.data(), raw.size(), tokens.data(), tokens.size());
  encoder->advance(raw.size());
  const ncz::Packed packed = encoder->finish();
  const ncz::PackedBlock block{packed.data, packed.size, raw.size()};
  const auto decoder = ncz::core().language_decoder(model, config, &block, 1);
  while (!decoder->step()) {
  }
  print(level, packed, std::equal(raw.begin(), raw.end(), decoder->content(0)));
}

// Rows of bfloat16, each like the one before it in its row, alone or by a reference that is somewhat like them.
void tensor(bool by_reference) {
  constexpr size_t kRow = 70, kRows = 150, kSize = 2 * kRow * kRows;
  Noise noise;
  std::vector<uint8_t> raw, reference;
  float before = 0, difference = 0;
  const auto put = [](std::vector<uint8_t>& to, float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    to.push_back(static_cast<uint8_t>(bits >> 16)), to.push_back(static_cast<uint8_t>(bits >> 24));
  };
  const auto draw = [&] { return *noise.array<float>(1, [](uint32_t x) { return static_cast<float>(x % 2001) - 1000.0f; }); };
  for (size_t i = 0; i < kRow * kRows; ++i) {
    before = (i % kRow ? 0.75f : 0.0f) * before + draw();
    difference = (i % kRow ? 0.5f : 0.0f) * difference + 0.03125f * draw();
    put(raw, before), put(reference, before + difference);
  }
  const uint8_t* const by = by_reference ? reference.data() : nullptr;
  const ncz::TensorHead head{0, 0, kRow};
  ncz::TensorBlock<ncz::FieldEncoder> encoder(head, kSize, raw.data(), by);
  encoder.advance(raw.data(), kSize);
  const ncz::Packed packed = encoder.coder.range.finish();
  std::vector<uint8_t> unpacked(kSize);
  ncz::TensorBlock<ncz::FieldDecoder> decoder(head, kSize, nullptr, by, packed.data, packed.size);
  decoder.advance(unpacked.data(), kSize);
  print(5, packed, unpacked == raw);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const auto content = [](const char* path) {
    std::ifstream file(path, std::ios::binary);
    return std::vector<uint8_t>((std::istreambuf_iterator<char>(file)), {});
  };
  std::vector<uint8_t> raw = content(arguments[1]);
  const std::vector<uint8_t> knowledge = content(arguments[2]);
  if (knowledge.size() != ncz::core().knowledge_size) return 2;
  if (raw.size() > kMost) raw.resize(kMost);
  std::fprintf(stderr, "%s\n", ncz::core().name);
  const ncz::MixtureConfig defaults[] = {{4, 25, knowledge.data()}, {5, 28, knowledge.data()}, {6, 30, knowledge.data()}};
  for (const ncz::MixtureConfig& config : defaults) mixture(config, raw);
  raw.resize(std::min(raw.size(), kMostOfLanguage));
  for (uint8_t level = 7; level <= 9; ++level) language(level, knowledge.data(), raw);
  for (bool by_reference : {false, true}) tensor(by_reference);
}
