// Reads training text from standard input, writes the known lines of the hash table to standard output.
//
// Every context that levels 4 to 6 share is followed through the text as the mixture does, in a table that forgets
// nothing. What is kept: the contexts that turn up in most pieces of the text, which are those that turn up in other
// texts too, as many as the lines hold.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define NCZ_ISA scalar
#include "../nczip/native/bit_history.hpp"
#include "../nczip/native/hash_slots.hpp"
#include "../nczip/native/levels.hpp"

using namespace ncz;

namespace {

struct Context {
  uint32_t hash = 0;
  uint32_t pieces = 0;  // that it was seen in; 0: an unused entry
  uint32_t last_piece = 0;
  uint32_t visits = 0;
  BitHistory histories[15] = {};
};

class Contexts {
 public:
  Contexts() : table_(size_t{1} << 20) {}

  Context& at(uint32_t hash) {
    if (used_ * 2 > table_.size()) grow();
    Context& found = *find(hash);
    if (!found.visits) found.hash = hash, ++used_;
    return found;
  }
  std::vector<Context> take() { return std::move(table_); }

 private:
  Context* find(uint32_t hash) {
    const size_t mask = table_.size() - 1;
    size_t i = hash * size_t{0x9E3779B97F4A7C15} >> 20 & mask;
    while (table_[i].visits && table_[i].hash != hash) i = (i + 1) & mask;
    return &table_[i];
  }
  void grow() {
    std::vector<Context> old(table_.size() * 2);
    old.swap(table_);
    for (const Context& context : old)
      if (context.visits) *find(context.hash) = context;
  }

  std::vector<Context> table_;
  size_t used_ = 0;
};

// For each history one of a few that stand for all, with about the same odds and the same certainty. Which bit came
// last, and small differences, matter little after another text, and cost most of the bytes in the wheel.
std::array<BitHistory, 256> representatives() {
  const auto is_round = [](int n) { return n <= 3 || n == 5 || n == 9 || n == 18 || n == 42; };
  const auto odds = [](int s) { return std::log((kHistories.ones[s] + 0.4) / (kHistories.zeros[s] + 0.4)); };
  const auto certainty = [](int s) { return std::log(kHistories.total[s] + 0.5); };
  std::array<bool, 256> reachable{true};
  for (int round = 0; round < 256; ++round)
    for (size_t s = 0; s < 256; ++s)
      for (int bit = 0; reachable[s] && bit < 2; ++bit)
        reachable[static_cast<uint8_t>(kHistories.after(static_cast<BitHistory>(s), bit))] = true;
  std::array<BitHistory, 256> best{};
  for (int s = 1; s < kHistories.count; ++s) {
    double least = 1e9;
    for (int t = 1; t < kHistories.count; ++t) {
      if (!reachable[static_cast<size_t>(t)] || !is_round(kHistories.zeros[t]) || !is_round(kHistories.ones[t])) continue;
      const double cost = std::abs(odds(s) - odds(t)) + 0.5 * std::abs(certainty(s) - certainty(t));
      if (cost < least) least = cost, best[static_cast<size_t>(s)] = static_cast<BitHistory>(t);
    }
  }
  return best;
}

}  // namespace

// argv[1]: most contexts to keep; argv[2]: least number of pieces that a context is in; argv[3]: bytes of a piece, what
// the text is interleaved in.
int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const size_t most = std::strtoull(argv[1], nullptr, 10);
  const uint32_t least = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
  const size_t piece_size = std::strtoull(argv[3], nullptr, 10);
  std::vector<uint8_t> text;
  for (std::array<uint8_t, 65536> some; const size_t n = std::fread(some.data(), 1, some.size(), stdin);)
    text.insert(text.end(), some.begin(), some.begin() + static_cast<ptrdiff_t>(n));

  Contexts contexts;
  Structure past(text.data());
  constexpr int kKnown = Parts<5>::known;
  for (size_t at = 0; at < text.size(); ++at) {
    const uint32_t piece = static_cast<uint32_t>(at / piece_size) + 1;
    uint32_t hashes[Parts<5>::hashed];
    byte_contexts<5>(past, hashes);
    const uint32_t byte = text[at];
    for (int k = 0; k < kKnown; ++k)
      for (const bool low : {false, true}) {
        Context& context = contexts.at(low ? hash_step(hashes[k], 16 | byte >> 4) : hashes[k]);
        ++context.visits;
        if (context.last_piece != piece) context.last_piece = piece, ++context.pieces;
        const uint32_t nibble = low ? byte & 15 : byte >> 4;
        for (uint32_t seen = 0; seen < 4; ++seen) {
          BitHistory& history = context.histories[(1u << seen) - 1 + (nibble >> (4 - seen))];
          history = kHistories.after(history, static_cast<int>(nibble >> (3 - seen) & 1));
        }
      }
    past.advance(true);
  }

  std::vector<Context> all = contexts.take();
  std::erase_if(all, [&](const Context& context) { return context.pieces < least; });
  std::sort(all.begin(), all.end(), [](const Context& a, const Context& b) {
    if (a.pieces != b.pieces) return a.pieces > b.pieces;
    if (a.visits != b.visits) return a.visits > b.visits;
    return a.hash < b.hash;
  });
  // The slots of a line in the order of their checks, which packs better.
  const auto tidy = [](uint8_t* line) {
    std::array<std::array<uint8_t, 16>, 4> slots{};
    for (int i = 0; i < 4; ++i) {
      slots[i][0] = static_cast<uint8_t>(line[i] - 1);  // empty ones last
      std::memcpy(slots[i].data() + 1, line + 4 + 15 * i, 15);
    }
    std::sort(slots.begin(), slots.end());
    for (int i = 0; i < 4; ++i) {
      line[i] = static_cast<uint8_t>(slots[i][0] + 1);
      std::memcpy(line + 4 + 15 * i, slots[i].data() + 1, 15);
    }
  };
  std::vector<uint8_t> lines(HashSlots::kKnownLines * HashSlots::kLine);
  const auto round = representatives();
  size_t kept = 0;
  uint32_t pieces = 0;
  for (const Context& context : all) {
    if (kept == most) break;
    uint8_t* const line = lines.data() + (context.hash & (HashSlots::kKnownLines - 1)) * HashSlots::kLine;
    const uint8_t check = HashSlots::check_of(context.hash);
    for (int i = 0; i < 4; ++i) {
      if (line[i] == check) break;  // taken by a context that matters more
      if (line[i]) continue;
      line[i] = check;
      for (int node = 0; node < 15; ++node)
        line[4 + 15 * i + node] = static_cast<uint8_t>(round[static_cast<uint8_t>(context.histories[node])]);
      ++kept;
      pieces = context.pieces;
      break;
    }
  }
  for (size_t at = 0; at < lines.size(); at += HashSlots::kLine) tidy(lines.data() + at);
  std::fprintf(stderr, "%zu of %zu contexts, each in %u pieces or more of %zu\n", kept, all.size(), pieces,
               text.size() / piece_size);
  std::fwrite(lines.data(), 1, lines.size(), stdout);
}
