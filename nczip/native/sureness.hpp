// How sure a language model is of a decision: its probability in the logistic domain, and the way that selects weights.
#pragma once

#include "apm.hpp"
#include "arithmetic.hpp"
#include "mixer.hpp"

namespace ncz::inline NCZ_ISA {

inline constexpr int kSureness = 26;  // ways in which a language model can be sure: steps of one bit

// The stretched probability, cut before, to what is at least `least` from 0 and 1, and after.
inline float logistic(float p, float least) {
  return clamp(stretch(clamp(p, least, 1.0f - least)), -kMaxStretch, kMaxStretch);
}
// In which of the ways it is sure.
inline int sureness(float stretched) {
  return static_cast<int>(clamp(stretched + kSureness / 2, 0.0f, kSureness - 1.0f));
}

}  // namespace ncz::inline NCZ_ISA
