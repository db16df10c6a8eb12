// Code lengths as zlib makes them from counts, and how it says them in a block's header.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "deflate_stream.hpp"

namespace ncz::deflate {

struct Counts {  // of the symbols of a block
  std::array<uint32_t, kLiterals> literals{};
  std::array<uint32_t, kDistances> distances{};
};

// Huffman's code (1952) by a heap, with zlib's order among equals, at least two symbols, and words shortened to
// `most_bits` as it does it. Returns 1 + the highest symbol in use.
template <size_t kSymbols>
size_t huffman_lengths(const std::array<uint32_t, kSymbols>& counts, int most_bits, uint8_t* lengths) {
  constexpr size_t kNodes = 2 * kSymbols + 1;
  std::array<uint32_t, kNodes> weight{};
  std::array<uint16_t, kNodes> parent{}, heap{}, sorted{};
  std::array<uint8_t, kNodes> depth{}, bits{};
  size_t size = 0, used = 0;
  std::fill_n(lengths, kSymbols, uint8_t{0});
  for (size_t i = 0; i < kSymbols; ++i)
    if (counts[i]) {
      weight[i] = counts[i];
      heap[++size] = static_cast<uint16_t>(i);
      used = i + 1;
    }
  while (size < 2) {
    const size_t extra = used < 3 ? used++ : 0;
    heap[++size] = static_cast<uint16_t>(extra);
    weight[extra] = 1;
  }
  const auto before = [&](uint16_t a, uint16_t b) {
    return weight[a] < weight[b] || (weight[a] == weight[b] && depth[a] <= depth[b]);
  };
  const auto sink = [&](size_t at) {
    const uint16_t value = heap[at];
    for (size_t child = 2 * at; child <= size; child *= 2) {
      if (child < size && before(heap[child + 1], heap[child])) ++child;
      if (before(value, heap[child])) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = value;
  };
  for (size_t at = size / 2; at >= 1; --at) sink(at);
  size_t node = kSymbols, order = 0;  // sorted: the nodes from the lightest on
  while (size >= 2) {
    const uint16_t first = heap[1];
    heap[1] = heap[size--];
    sink(1);
    const uint16_t second = heap[1];
    sorted[order++] = first;
    sorted[order++] = second;
    weight[node] = weight[first] + weight[second];
    depth[node] = static_cast<uint8_t>(std::max(depth[first], depth[second]) + 1);
    parent[first] = parent[second] = static_cast<uint16_t>(node);
    heap[1] = static_cast<uint16_t>(node++);
    sink(1);
  }
  // From the root down; words that are too long become as long as they may, then others make room for them.
  std::array<uint32_t, kMostBits + 1> of_length{};
  int too_long = 0;
  for (size_t i = order; i-- > 0;) {
    const uint16_t n = sorted[i];
    int length = bits[parent[n]] + 1;
    if (length > most_bits) length = most_bits, ++too_long;
    bits[n] = static_cast<uint8_t>(length);
    if (n < kSymbols) ++of_length[static_cast<size_t>(length)];
  }
  const auto most = static_cast<size_t>(most_bits);
  if (too_long) {
    for (; too_long > 0; too_long -= 2) {
      size_t length = most - 1;
      while (of_length[length] == 0) --length;
      --of_length[length];
      of_length[length + 1] += 2;
      --of_length[most];
    }
    size_t i = 0;
    for (size_t length = most; length > 0; --length)
      for (uint32_t left = of_length[length]; left;) {
        const uint16_t n = sorted[i++];
        if (n < kSymbols) bits[n] = static_cast<uint8_t>(length), --left;
      }
  }
  for (size_t i = 0; i < order; ++i)
    if (sorted[i] < kSymbols) lengths[sorted[i]] = bits[sorted[i]];
  return used;
}

inline Lengths usual_lengths(const Counts& counts) {
  Lengths lengths;
  std::array<uint8_t, kLiterals> literals;
  std::array<uint8_t, kDistances> distances;
  lengths.literals = huffman_lengths(counts.literals, kMostBits, literals.data());
  lengths.distances = huffman_lengths(counts.distances, kMostBits, distances.data());
  std::copy_n(literals.begin(), lengths.literals, lengths.of.begin());
  std::copy_n(distances.begin(), lengths.distances, lengths.of.begin() + static_cast<std::ptrdiff_t>(lengths.literals));
  return lengths;
}

// How many symbols from `at` on zlib would say at once, given those before.
inline uint16_t usual_run(const Lengths& lengths, size_t at) {
  const size_t begin = at < lengths.literals ? 0 : lengths.literals;
  const size_t end = at < lengths.literals ? lengths.literals : lengths.literals + lengths.distances;
  const uint8_t value = lengths.of[at];
  if (value && (at == begin || lengths.of[at - 1] != value)) return 1;
  uint16_t run = 1;
  while (at + run < end && run < (value ? 6u : 138u) && lengths.of[at + run] == value) ++run;
  return run < 3 ? uint16_t{1} : run;
}

inline size_t run_symbol(uint8_t value, uint16_t run) {
  return run == 1 ? value : value || run & kAsBefore ? 16 : run <= 10 ? 17 : 18;
}

inline std::array<uint32_t, kLengthCodes> run_counts(const Lengths& lengths, const Runs& runs) {
  std::array<uint32_t, kLengthCodes> counts{};
  size_t at = 0;
  for (uint16_t run : runs) {
    ++counts[run_symbol(lengths.of[at], run)];
    at += run_size(run);
  }
  return counts;
}

// How many lengths of the third code the header needs.
inline size_t least_count(const std::array<uint8_t, kLengthCodes>& of) {
  size_t count = kLengthCodes;
  while (count > 4 && of[kLengthCodeOrder[count - 1]] == 0) --count;
  return count;
}

inline LengthCode usual_length_code(const Lengths& lengths, Runs runs) {
  LengthCode code;
  huffman_lengths(run_counts(lengths, runs), kMostLengthCodeBits, code.of.data());
  code.count = least_count(code.of);
  code.runs = std::move(runs);
  return code;
}

}  // namespace ncz::deflate
