// What kind of numbers a block has, from samples of it: which planes cost least (planes.hpp).
//
// Each kind and each phase is judged by the entropies of the planes that it would make. Those of all phases come from
// one pass over the samples: a histogram for each place of a byte modulo 8, of the byte, of what a float's exponent
// would be if the byte were its highest, and of what would be left of the two bytes.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "arithmetic.hpp"
#include "planes.hpp"

namespace ncz::planes {

constexpr size_t kSamples = 32;
constexpr size_t kSampleSize = 1024;  // bytes; a multiple of 8, as the samples' offsets are, so that phases agree

struct Survey {
  uint8_t kind;
  uint8_t lead;
  float bits;     // a byte that the planes take, about
  float repeats;  // share of some places, chosen by content, whose bytes were there before in the block
  bool smooth;    // whether the highest bytes differ less from each other than they vary
};

// Bits of entropy that all the bytes counted have. n samples of k values show about (k - 1) / (2 ln 2) bits less than
// their source has (Miller, 1955).
inline float entropy_bits(const Counts& counts) {
  float n = 0, sum = 0, values = 0;
  for (const uint32_t c : counts)
    if (c) {
      const auto x = static_cast<float>(c);
      n += x;
      sum += x * log2_pinned(x);
      values += 1;
    }
  return values < 2 ? 0 : n * log2_pinned(n) - sum + (values - 1) * 0.7213475f;
}

// Bits that these bytes take in a plane, without the description of their code.
inline float coded_bits(const Counts& counts) {
  const float entropy = entropy_bits(counts);
  float n = 0;
  for (const uint32_t c : counts) n += static_cast<float>(c);
  if (entropy == 0) return 0;
  const float most = 8 * n;
  if (entropy > most - most / kWorthCoding) return most;
  return entropy < n ? n : entropy;  // no code is shorter than a bit
}

class Surveyor {
 public:
  Surveyor(const uint8_t* raw, size_t size) : raw_(raw), size_(size) {
    const size_t whole = size / 8 * 8;
    if (whole <= kSamples * kSampleSize) {
      pieces_.push_back({0, whole});
    } else {
      const size_t stride = (whole - kSampleSize) / (kSamples - 1) / 8 * 8;
      for (size_t i = 0; i < kSamples; ++i) pieces_.push_back({i * stride, kSampleSize});
    }
  }

  Survey find() const {
    std::vector<Places> seen(5);
    Places &bytes = seen[0], &exponents = seen[1], &rests = seen[2], &wide = seen[3], &wide_rests = seen[4];
    size_t n = 0;
    for (const auto& [offset, length] : pieces_) {
      const uint8_t* const p = raw_ + offset;
      n += length;
      for (size_t i = 0; i < length; ++i) {
        const uint32_t top = p[i], next = i ? p[i - 1] : 0;
        ++bytes[i % 8][top];
        ++exponents[i % 8][(top << 1 | next >> 7) & 0xff];
        ++rests[i % 8][(top & 0x80) | (next & 0x7f)];
        ++wide[i % 8][(top << 4 | next >> 4) & 0xff];
        ++wide_rests[i % 8][(top & 0xf0) | (next & 0x0f)];
      }
    }
    const auto all = static_cast<float>(n ? n : 1);
    Survey best{0, 0, coded_bits(merged(bytes, 0, 1)) / all, repeats(), false};
    const auto consider = [&](uint8_t kind, size_t lead, float bits) {
      const bool wider = kKinds[kind].width > kKinds[best.kind].width;
      if (bits / all >= best.bits * (wider ? kClearly : 1)) return;
      best.kind = kind, best.lead = static_cast<uint8_t>(lead), best.bits = bits / all;
    };
    for (uint8_t log_width = 1; log_width <= 3; ++log_width) {
      const size_t width = size_t{1} << log_width;
      std::array<float, kMostWidth> plain{};
      float sum = 0;
      for (size_t r = 0; r < width; ++r) sum += plain[r] = coded_bits(merged(bytes, r, width));
      // The highest byte is what looks like most of an exponent, else what says least beside a lowest one that says
      // most.
      size_t high = 0;
      for (size_t r = 1; r < width; ++r)
        if (plain[r] - plain[(r + 1) % width] < plain[high] - plain[(high + 1) % width]) high = r;
      for (size_t r = 0; r < width && width > 2; ++r)
        if (plain[r] > 0 && like_exponents(merged(bytes, r, width))) high = r;
      const size_t lead = (high + 1) % width;
      consider(log_width, lead, sum);
      float turned = 0, exponent = 0;
      size_t turned_lead = 0;
      for (size_t top = 0; top < width; ++top) {
        const size_t next = (top + width - 1) % width;
        const Places &e = width == 8 ? wide : exponents, &rest = width == 8 ? wide_rests : rests;
        const float e_bits = coded_bits(merged(e, top, width));
        const float bits = sum - plain[top] - plain[next] + e_bits + coded_bits(merged(rest, top, width));
        // Where many mantissas end in zeros, some wrong phases cost as much: exponents are what varies least.
        if (e_bits > 0 && (turned == 0 || bits < turned * kAlike || (bits * kAlike < turned && e_bits < exponent)))
          turned = bits, exponent = e_bits, turned_lead = (top + 1) % width;
      }
      if (turned > 0 && (turned_lead == lead || turned < sum * kAlike))
        consider(kFloats + log_width, turned_lead, turned);
      const Counts highest = merged(bytes, high, width);
      if (highest[0] && highest[0xff] && (highest[0] + highest[0xff]) * width > n / 2) {
        const uint8_t kind = kZigzags + log_width;
        consider(kind, lead, exactly(kind, lead));
      }
    }
    best.smooth = is_smooth(best.kind, best.lead);
    return best;
  }

  // The samples, one after the other.
  std::vector<uint8_t> samples() const {
    std::vector<uint8_t> found;
    for (const auto& [offset, size] : pieces_) found.insert(found.end(), raw_ + offset, raw_ + offset + size);
    return found;
  }

  // How often each value occurs in the plane of the highest bytes, in the samples.
  Counts highest(uint8_t kind, size_t lead) const {
    return planes(kind, lead).back();
  }

 private:
  using Places = std::array<Counts, 8>;
  static constexpr float kClearly = 0.99f, kAlike = 0.995f;  // what more planes have to get the bits down to
  static constexpr uint8_t kFloats = 3, kZigzags = 6;  // kinds of 2^w bytes are these and w

  struct Piece {
    size_t offset, size;
  };

  // Whether these may be the highest bytes of floats of 4 or 8 bytes that are neither tiny nor huge.
  static bool like_exponents(const Counts& counts) {
    uint64_t likely = 0, n = 0;
    for (size_t s = 0; s < 256; ++s) {
      n += counts[s];
      if ((s & 0x7f) >= 0x30 && (s & 0x7f) < 0x44) likely += counts[s];
    }
    return 10 * likely > 9 * n;
  }

  static Counts merged(const Places& places, size_t first, size_t width) {
    Counts counts{};
    for (size_t place = first; place < 8; place += width)
      for (size_t s = 0; s < 256; ++s) counts[s] += places[place][s];
    return counts;
  }

  // Calls use(planes, n) for each of the samples: those that a kind makes of it, of n bytes, one after the other.
  template <typename Use>
  void split_samples(uint8_t kind, size_t lead, const Use& use) const {
    const size_t width = kKinds[kind].width;
    std::vector<uint8_t> split_bytes;
    for (const auto& [offset, size] : pieces_) {
      if (size < lead) continue;
      const size_t n = (size - lead) / width;
      split_bytes.resize(n * width);
      split(kKinds[kind], raw_ + offset + lead, n, split_bytes.data(), n);
      use(static_cast<const uint8_t*>(split_bytes.data()), n);
    }
  }

  std::vector<Counts> planes(uint8_t kind, size_t lead) const {
    std::vector<Counts> counts(kKinds[kind].width);
    split_samples(kind, lead, [&](const uint8_t* planes, size_t n) {
      for (size_t k = 0; k < counts.size(); ++k) count(planes + k * n, n, counts[k]);
    });
    return counts;
  }

  // The difference of two independent values has more entropy than each of them.
  bool is_smooth(uint8_t kind, size_t lead) const {
    const size_t top = kKinds[kind].width - size_t{1};
    Counts values{}, steps{};
    split_samples(kind, lead, [&](const uint8_t* planes, size_t n) {
      const uint8_t* const highest = planes + top * n;
      for (size_t i = 1; i < n; ++i) ++values[highest[i]], ++steps[static_cast<uint8_t>(highest[i] - highest[i - 1])];
    });
    return entropy_bits(steps) <= entropy_bits(values);
  }

  float exactly(uint8_t kind, size_t lead) const {
    float bits = 0;
    for (const Counts& counts : planes(kind, lead)) bits += coded_bits(counts);
    return bits;
  }

  // Of the places at multiples of 8 those whose word has a certain hash, so that they are the same ones wherever a
  // content is repeated: how many of them are followed by the same kRepeat bytes as one before.
  float repeats() const {
    constexpr size_t kRepeat = 32;
    constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;
    std::vector<uint64_t> last(size_t{1} << 12);
    size_t chosen = 0, repeated = 0;
    for (size_t i = 0; i + kRepeat <= size_; i += 8) {
      uint64_t word;
      std::memcpy(&word, raw_ + i, 8);
      uint64_t hash = word * kMultiplier;
      if (hash >> 55 || !word) continue;
      for (size_t k = 8; k < kRepeat; k += 8) {
        std::memcpy(&word, raw_ + i + k, 8);
        hash = (std::rotl(hash, 25) ^ word) * kMultiplier;
      }
      uint64_t& slot = last[hash >> 52];
      ++chosen;
      repeated += slot == hash;
      slot = hash;
    }
    return chosen ? static_cast<float>(repeated) / static_cast<float>(chosen) : 0;
  }

  const uint8_t* raw_;
  size_t size_;
  std::vector<Piece> pieces_;
};

}  // namespace ncz::planes
