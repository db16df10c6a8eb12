// What the mixture's configurations and those of language models have in common, and what both start from.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>

#include "buffer.hpp"
#include "isa.hpp"

// Of a block that is damaged.
inline constexpr char kRanOut[] = "the packed bytes end before the content";

// The `size` bytes of a configuration, which begins with its version, a level, and the log2 of the most bytes that a
// table takes; null if this version does not know it.
inline const uint8_t* known_config(nanobind::bytes config, size_t size, uint8_t version, int least_level,
                                   int most_level, int most_table_bits) {
  const auto* bytes = static_cast<const uint8_t*>(config.data());
  const bool known = config.size() == size && bytes[0] == version && bytes[1] >= least_level &&
                     bytes[1] <= most_level && bytes[2] >= ncz::kLeastTableBits && bytes[2] <= most_table_bits;
  return known ? bytes : nullptr;
}

// Where the knowledge stands; null where none is needed.
inline const uint8_t* checked_knowledge(const Buffer* knowledge) {
  if (!knowledge) return nullptr;
  if (knowledge->size() != ncz::core().knowledge_size)
    throw nanobind::value_error("not the knowledge that this version starts from");
  return knowledge->data();
}
