// Packs the first bytes of a file (the first argument) with every level of the mixture, unpacks them, and prints the
// path taken, the size and an FNV-1a hash of the packed bytes: lines that have to be the same from every compiler and on
// every CPU. The second argument is a file of the knowledge as it is in memory.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "../../nczip/native/isa.hpp"

int main(int, char** arguments) {
  constexpr size_t kMost = 20000;
  const auto content = [](const char* path) {
    std::ifstream file(path, std::ios::binary);
    return std::vector<uint8_t>((std::istreambuf_iterator<char>(file)), {});
  };
  std::vector<uint8_t> raw = content(arguments[1]);
  const std::vector<uint8_t> knowledge = content(arguments[2]);
  if (knowledge.size() != ncz::core().knowledge_size) return 2;
  const ncz::MixtureConfig defaults[] = {{4, 25, knowledge.data()}, {5, 28, knowledge.data()}, {6, 30, knowledge.data()}};
  if (raw.size() > kMost) raw.resize(kMost);
  std::fprintf(stderr, "%s\n", ncz::core().name);
  for (const ncz::MixtureConfig& config : defaults) {
    const auto encoder = ncz::core().encoder(config, raw.data(), raw.size());
    encoder->advance(raw.size());
    const ncz::Packed packed = encoder->finish();
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < packed.size; ++i) hash = (hash ^ packed.data[i]) * 0x100000001b3;
    std::vector<uint8_t> unpacked(raw.size());
    ncz::core().decoder(config, raw.size(), packed.data, packed.size)->decode(unpacked.data(), unpacked.size());
    std::printf("level %d: %zu bytes, %016llx, %s\n", config.level, packed.size, static_cast<unsigned long long>(hash),
                unpacked == raw ? "comes back" : "WRONG BYTES");
  }
}
