// Prints what single stages of the core do with made-up input; test_reference_stages.py does the same with the
// reference. Reals are printed as the bits of their binary32.
#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdio>
#include <vector>

#include "apm.hpp"
#include "bit_history.hpp"
#include "counters.hpp"
#include "hash_slots.hpp"
#include "levels.hpp"
#include "match.hpp"
#include "mixer.hpp"
#include "structure.hpp"
#include "targets.hpp"

using namespace ncz;

namespace {

uint32_t bits(float x) { return std::bit_cast<uint32_t>(x); }

// Made-up integers (Numerical Recipes' generator, upper half).
struct Noise {
  uint32_t state = 1;
  uint32_t operator()(uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % below;
  }
};

void histories() {
  const HistoryMap map;
  for (int s = 0; s < kHistories.count; ++s)
    std::printf("history %d %d %d %d %" PRIu32 "\n", kHistories.zeros[s], kHistories.ones[s],
                static_cast<int>(kHistories.next[s][0]), static_cast<int>(kHistories.next[s][1]), map.counter[s].p22());
}

void tables() {
  for (uint32_t i = 0; i < 4096; ++i) std::printf("stretch %" PRIu32 "\n", bits(kStretch.of(i << 10)));
  for (int i = -260; i <= 260; ++i) std::printf("squash %" PRIu32 "\n", bits(kSquash.of(static_cast<float>(i) * 0.05f)));
}

void counter() {
  Noise noise;
  Counter counter;
  for (int i = 0; i < 3000; ++i) {
    counter.update(noise(4) == 0, i < 2000 ? 255 : 1023);
    std::printf("counter %" PRIu32 "\n", counter.p22());
  }
}

void slots() {
  Noise noise;
  Array<BitHistory> known(HashSlots::kKnownLines * HashSlots::kLine);
  for (uint32_t i = 0; i < 20; i += 2) {  // every other context is known beforehand
    const uint32_t hash = i * 0x10001u;
    BitHistory* const line = known.data() + hash % HashSlots::kKnownLines * HashSlots::kLine;
    line[i / 2 % 4] = static_cast<BitHistory>(HashSlots::check_of(hash));
    for (uint32_t k = 0; k < 15; ++k) line[4 + i / 2 % 4 * 15 + k] = static_cast<BitHistory>((i * 13 + k * 5) % 200);
  }
  HashSlots slots(128, known.data());
  for (int i = 0; i < 3000; ++i) {
    const uint32_t hash = noise(20) * 0x10001u;
    BitHistory* const slot = noise(2) ? slots.find<true>(hash) : slots.find<false>(hash);
    for (int k = 0; k < 3; ++k) {
      BitHistory& history = slot[noise(2)];
      history = kHistories.after(history, static_cast<int>(noise(2)));
      std::printf("slots %d %d\n", kHistories.zeros[static_cast<int>(history)], kHistories.ones[static_cast<int>(history)]);
    }
  }
}

void matches(const std::vector<uint8_t>& content) {
  MatchModel match;
  match.start(4, 12);
  for (size_t pos = 1; pos <= content.size(); ++pos) {
    match.update_byte(content.data(), pos, pos % 1000 < 500, nullptr);
    std::printf("match %" PRIu32 " %" PRIu32 "\n", match.length(), match.length() ? match.pointer() : 0);
    const uint32_t next = pos < content.size() ? content[pos] : 0;
    for (int i = 0; i < 8; ++i) {
      const bool expects = match.expect((next | 256) >> (8 - i), i) >= 0;
      std::printf("match %" PRIu32 "\n", expects ? bits(kStretch.of(match.p22())) : 0);
      match.update(static_cast<int>(next >> (7 - i) & 1));
    }
  }
}

template <int kLevel>
void contexts(const Structure& s) {
  uint32_t hash[Parts<kLevel>::hashed];
  byte_contexts<kLevel>(s, hash);
  for (uint32_t h : hash) std::printf("contexts %" PRIu32 "\n", h);
}

void all_contexts(const std::vector<uint8_t>& content) {
  Structure s(content.data(), true);
  for (uint8_t byte : content) {
    const bool last = s.pos + 150 >= content.size();
    if (s.pos < 150 || last || s.pos % 16 == 0) {
      contexts<4>(s);
      contexts<5>(s);
      contexts<6>(s);
      uint32_t hash[6], pixels[4];
      direct_contexts(s, hash);
      for (uint32_t h : hash) std::printf("contexts %" PRIu32 "\n", h);
      const int bit = static_cast<int>(s.pos % 8);
      pixel_contexts(s, (byte | 256u) >> (8 - bit), bit, 4, pixels);
      for (uint32_t p : pixels) std::printf("contexts %" PRIu32 "\n", p);
      if (s.record) {
        raster_contexts(Neighbourhood(s, (byte | 256u) >> (8 - bit), bit, 5), hash);
        for (uint32_t h : hash) std::printf("contexts %" PRIu32 "\n", h);
      }
    }
    s.advance(s.pos % 700 != 699);
    s.expected = (byte * 7u) & 511;
    s.expected_for = byte & 31u;
    std::printf("structure %" PRIu32 " %" PRIu32 " %d %d %d\n", s.record, s.row, s.binary, s.regular, s.raster);
  }
}

// The next inputs and selections, and after `mix` the next answer, for mixers of three weight vectors a set.
template <int kInputs, int kSets, typename Mix, typename Update>
void mixer(const char* name, Mix mix, Update update) {
  Noise noise;
  for (int i = 0; i < 400; ++i) {
    alignas(64) float inputs[kInputs];
    for (float& x : inputs) x = static_cast<float>(static_cast<int>(noise(4001)) - 2000) * 0.003f;
    int selected[kSets];
    for (int& s : selected) s = static_cast<int>(noise(3));
    const float x = mix(inputs, selected, static_cast<int>(noise(32)));
    std::printf("%s %" PRIu32 "\n", name, bits(x));
    update(noise(3) == 0, squash(x));
  }
}

// Weights to start from, in units of 2^-12.
Array<int16_t> initial(size_t count) {
  Array<int16_t> weights(count);
  for (size_t i = 0; i < count; ++i) weights[i] = static_cast<int16_t>(i * 37 % 1601 - 400);
  return weights;
}

void targets(std::vector<uint8_t> content) {
  const Targets targets(content.size());
  std::printf("targets %d\n", targets.pay(content.data()));
  targets.make_absolute(content.data());
  for (uint8_t byte : content) std::printf("targets %d\n", byte);
}

void one_layer() {
  OneLayerMixer<2> m({3, 3}, initial(6 * kLanes).data());
  mixer<kLanes, 2>(
      "one_layer", [&](const float* x, const int(&s)[2], int) { return m.mix(load(x), s); },
      [&](int bit, float p) { m.update(bit, p, 0.02f); });
}

void two_layers() {
  TwoLayerMixer<48, 9> m({3, 3, 3, 3, 3, 3, 3, 3, 3}, initial(27 * 48 + 32 * kLanes).data());
  mixer<48, 9>(
      "two_layers",
      [&](const float* x, const int(&s)[9], int final_context) {
        std::copy(x, x + 48, m.inputs());
        return m.mix(s, final_context);
      },
      [&](int bit, float p) { m.update(bit, p, 0.02f, 0.0007f); });
}

void apm() {
  Noise noise;
  Apm apm;
  apm.start(10);
  for (int i = 0; i < 3000; ++i) {
    const float x = static_cast<float>(static_cast<int>(noise(4001)) - 2000) * 0.01f;
    std::printf("apm %" PRIu32 "\n", bits(apm.refine(x, noise(5) << 22 | noise(9))));
    apm.update(noise(3) == 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  std::vector<uint8_t> content;
  std::FILE* const file = std::fopen(argv[1], "rb");
  if (!file) return 1;
  for (int c; (c = std::fgetc(file)) != EOF;) content.push_back(static_cast<uint8_t>(c));
  std::fclose(file);
  histories();
  tables();
  counter();
  slots();
  matches(content);
  all_contexts(content);
  targets(content);
  one_layer();
  two_layers();
  apm();
}
