// Exact integer products: 8-bit weights in panels of sixteen rows, times activations of twelve bits.
//
// A panel holds sixteen rows of a matrix, columns in groups of four: [column / 4][row][column % 4], each weight + 128 as
// an unsigned byte. Sums of integers do not depend on order, so every path and every tiling gives the same ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "array.hpp"
#include "language_arithmetic.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {

inline constexpr size_t kPanelRows = kLanes;

template <>
NCZ_LANES Vec real<Vec>(float x) {
  return broadcast(x);
}

inline float largest(Vec x) {
  alignas(64) float lane[kLanes];
  store(lane, x);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] = lane[i] > lane[i + width] ? lane[i] : lane[i + width];
  return lane[0];
}
inline Scaling scaling(const float* x, size_t size, float most) {
  Vec top = broadcast(0.0f);
  for (size_t i = 0; i < size; i += kLanes) top = max(top, magnitude(finite(load(x + i))));
  return scaling(largest(top), most);
}

// Rows of integers, each with the scale that it is in, in the form that this path multiplies.
class Activations {
 public:
  Activations(size_t rows, size_t columns)
      : columns_(columns), scale_(rows), sum_(rows), part_(rows * columns * kParts2) {}

  size_t columns() const { return columns_; }
  float scale(size_t row) const { return scale_[row]; }
  int32_t sum(size_t row) const { return sum_[row]; }

  // The row's nearest integers in steps of its largest magnitude / 2047.
  void quantise(size_t row, const float* x) {
    const Scaling steps = scaling(x, columns_, static_cast<float>(kActivationMax));
    scale_[row] = steps.unit;
    fill(row, columns_, [=](size_t i) { return whole(load(x + i), steps.factor); });
  }
  // A row of whole numbers of -2048..8191: at(column) gives sixteen, for `columns` in all.
  template <typename At>
  void fill(size_t row, size_t columns, At at) {
#ifdef __AVX512VNNI__
    int8_t* const upper = part_.data() + row * columns_ * 2;
    int8_t* const lower = upper + columns_;
    PartInt sum{};
    for (size_t i = 0; i < columns; i += kLanes) {
      const PartInt whole = __builtin_convertvector(at(i).part[0], PartInt);
      sum += whole;
      const auto a = reinterpret_cast<__m512i>(whole);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(upper + i), _mm512_cvtepi32_epi8(_mm512_srai_epi32(a, 6)));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(lower + i),
                       _mm512_cvtepi32_epi8(_mm512_and_si512(a, _mm512_set1_epi32(63))));
    }
    sum_[row] = _mm512_reduce_add_epi32(reinterpret_cast<__m512i>(sum));
#else
    int16_t* const to = part_.data() + row * columns_;
    alignas(64) float lane[kLanes];
    int32_t sum = 0;
    for (size_t i = 0; i < columns; i += kLanes) {
      store(lane, at(i));
      for (size_t j = 0; j < kLanes; ++j) {
        to[i + j] = static_cast<int16_t>(static_cast<int32_t>(lane[j]));
        sum += to[i + j];
      }
    }
    sum_[row] = sum;
#endif
  }

#ifdef __AVX512VNNI__
  const int8_t* upper(size_t row) const { return part_.data() + row * columns_ * 2; }  // a >> 6
  const int8_t* lower(size_t row) const { return upper(row) + columns_; }              // a & 63
#else
  const int16_t* row(size_t row) const { return part_.data() + row * columns_; }
#endif

 private:
#ifdef __AVX512VNNI__
  static constexpr size_t kParts2 = 2;
  using Element = int8_t;
#else
  static constexpr size_t kParts2 = 1;
  using Element = int16_t;
#endif
  size_t columns_;
  Array<float> scale_;
  Array<int32_t> sum_;
  Array<Element> part_;
};

// The panels of a matrix, `stride` bytes apart.
struct Panels {
  const uint8_t* data;
  size_t stride;
};

// The first weight of a row; the next three follow, and then every 64 bytes four more.
template <typename Byte>
Byte* row_of(Byte* panels, size_t columns, size_t row) {
  return panels + row / kPanelRows * kPanelRows * columns + row % kPanelRows * 4;
}
inline float weight_of(const uint8_t* row, size_t column) {
  return static_cast<float>(row[column / 4 * 64 + column % 4] - 128);
}
inline void put_weight(uint8_t* to, float whole) { *to = static_cast<uint8_t>(static_cast<int32_t>(whole) + 128); }
// Makes a row of reals, a multiple of 16; returns the unit of its integers.
inline float put_row(uint8_t* row, const float* x, size_t columns) {
  const auto [unit, factor] = scaling(x, columns, kWeightMax);
  alignas(64) float lane[kLanes];
  for (size_t i = 0; i < columns; i += kLanes) {
    store(lane, whole(load(x + i), factor));
    for (size_t j = 0; j < kLanes; ++j) put_weight(row + (i + j) / 4 * 64 + j % 4, lane[j]);
  }
  return unit;
}

namespace panel {

#ifdef __AVX512VNNI__

inline __m512i shifted(__m512i x) { return reinterpret_cast<__m512i>(reinterpret_cast<PartInt>(x) << 6); }

#define NCZ_UNROLLED _Pragma("GCC unroll 8")  // or sums would live in memory

// The products of one row and panel are complete.
template <typename Store>
inline __attribute__((always_inline)) void finish(__m512i sum, const Activations& a, size_t row, size_t panel,
                                                  Store& out) {
  const auto offset = static_cast<int32_t>(static_cast<uint32_t>(a.sum(row)) << 7);
  const __m512i exact = _mm512_sub_epi32(sum, _mm512_set1_epi32(offset));
  out(row, panel, Vec{{__builtin_convertvector(reinterpret_cast<PartInt>(exact), Part)}});
}
inline __m512i four_of(const int8_t* part) {
  int32_t four;
  std::memcpy(&four, part, sizeof four);
  return _mm512_set1_epi32(four);
}

// The CPU's own prefetching stops at the end of a page, which comes every few hundred cycles. Past a
// matrix lies the next.
inline void prefetch(const uint8_t* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0); }
inline constexpr size_t kAhead = 8 << 10;  // bytes: 2 KiB gains a third as much

// kPanels panels with kRows rows of activations. Twelve bits are two signed bytes: 64 * upper + lower; the registers
// have room for the sums of one at a time.
template <int kRows, int kPanels, typename Store>
inline void tile(Panels w, size_t columns, const Activations& a, size_t first, size_t at, Store& out) {
  __m512i acc[kRows][kPanels];
  NCZ_UNROLLED for (int r = 0; r < kRows; ++r)
    NCZ_UNROLLED for (int p = 0; p < kPanels; ++p) acc[r][p] = _mm512_setzero_si512();
  const uint8_t* const base = w.data + at * w.stride;
  const size_t pitch = 2 * a.columns();
  const int8_t* part = a.upper(first);
  for (int pass = 0; pass < 2; ++pass, part += a.columns()) {
    if (pass) {
      NCZ_UNROLLED for (int r = 0; r < kRows; ++r)
        NCZ_UNROLLED for (int p = 0; p < kPanels; ++p) acc[r][p] = shifted(acc[r][p]);
    }
    for (size_t column = 0; column < columns; column += 4) {
      __m512i weights[kPanels];
      NCZ_UNROLLED for (int p = 0; p < kPanels; ++p)
        weights[p] = _mm512_loadu_si512(base + static_cast<size_t>(p) * w.stride + column * kPanelRows);
      if (pass == 0) NCZ_UNROLLED for (int p = 0; p < kPanels; ++p)
        prefetch(base + static_cast<size_t>(kPanels + p) * w.stride + column * kPanelRows);
      NCZ_UNROLLED for (int r = 0; r < kRows; ++r) {
        const __m512i x = four_of(part + static_cast<size_t>(r) * pitch + column);
        NCZ_UNROLLED for (int p = 0; p < kPanels; ++p) acc[r][p] = _mm512_dpbusd_epi32(acc[r][p], weights[p], x);
      }
    }
  }
  NCZ_UNROLLED for (int r = 0; r < kRows; ++r)
    NCZ_UNROLLED for (int p = 0; p < kPanels; ++p)
      finish(acc[r][p], a, first + static_cast<size_t>(r), at + static_cast<size_t>(p), out);
}
inline constexpr int kTileRows = 8, kTilePanels = 3;

// With few rows, weights come from memory: each is read once, in the order in which they lie there, for both bytes of
// all rows, into sums enough to hide how long an addition takes.
template <int kRows, typename Store>
inline void few_rows(Panels w, size_t begin, size_t end, size_t columns, const Activations& a, size_t first,
                     Store& out) {
  constexpr int kSums = kRows == 1 ? 4 : kRows < 4 ? 2 : 1;
  const size_t pitch = 2 * a.columns();
  for (size_t at = begin; at < end; ++at) {
    const uint8_t* const base = w.data + at * w.stride;
    const int8_t* const from = a.upper(first);
    __m512i upper[kRows][kSums], lower[kRows][kSums];
    NCZ_UNROLLED for (int r = 0; r < kRows; ++r)
      NCZ_UNROLLED for (int i = 0; i < kSums; ++i) upper[r][i] = lower[r][i] = _mm512_setzero_si512();
    for (size_t column = 0; column < columns; column += 4 * kSums)
      NCZ_UNROLLED for (int i = 0; i < kSums; ++i) {
        const size_t c = column + 4 * static_cast<size_t>(i);
        const __m512i weights = _mm512_loadu_si512(base + c * kPanelRows);
        prefetch(base + c * kPanelRows + kAhead);
        NCZ_UNROLLED for (int r = 0; r < kRows; ++r) {
          const int8_t* const part = from + static_cast<size_t>(r) * pitch + c;
          upper[r][i] = _mm512_dpbusd_epi32(upper[r][i], weights, four_of(part));
          lower[r][i] = _mm512_dpbusd_epi32(lower[r][i], weights, four_of(part + a.columns()));
        }
      }
    NCZ_UNROLLED for (int r = 0; r < kRows; ++r) {
      NCZ_UNROLLED for (int i = 1; i < kSums; ++i) {
        upper[r][0] = _mm512_add_epi32(upper[r][0], upper[r][i]);
        lower[r][0] = _mm512_add_epi32(lower[r][0], lower[r][i]);
      }
      finish(_mm512_add_epi32(shifted(upper[r][0]), lower[r][0]), a, first + static_cast<size_t>(r), at, out);
    }
  }
}
#undef NCZ_UNROLLED

template <int kMost, typename Store>
inline void at_most(size_t rows, Panels w, size_t begin, size_t end, size_t columns, const Activations& a, size_t first,
                    Store& out) {
  if constexpr (kMost > 0) {
    if (rows == kMost) return few_rows<kMost>(w, begin, end, columns, a, first, out);
    at_most<kMost - 1>(rows, w, begin, end, columns, a, first, out);
  }
}

#elif defined(__AVX2__)

template <int kRows, int kPanels, typename Store>
inline void tile(Panels w, size_t columns, const Activations& a, size_t first, size_t at, Store& out) {
  static_assert(kPanels == 1);
  __m256i acc[kRows][4] = {};  // four rows of the panel in each, two sums a row
  const uint8_t* base = w.data + at * w.stride;
  for (size_t column = 0; column < columns; column += 4, base += 64) {
    __m256i x[kRows];
    for (int r = 0; r < kRows; ++r) {
      int64_t four;
      std::memcpy(&four, a.row(first + static_cast<size_t>(r)) + column, 8);
      x[r] = _mm256_set1_epi64x(four);
    }
    for (int q = 0; q < 4; ++q) {
      const __m256i weights = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(base + 16 * q)));
      for (int r = 0; r < kRows; ++r) acc[r][q] = _mm256_add_epi32(acc[r][q], _mm256_madd_epi16(weights, x[r]));
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const uint32_t offset = static_cast<uint32_t>(a.sum(first + static_cast<size_t>(r))) << 7;
    alignas(64) float lane[kLanes];
    for (int q = 0; q < 4; ++q) {
      alignas(32) uint32_t pairs[8];
      _mm256_store_si256(reinterpret_cast<__m256i*>(pairs), acc[r][q]);
      for (int i = 0; i < 4; ++i)
        lane[4 * q + i] = static_cast<float>(static_cast<int32_t>(pairs[2 * i] + pairs[2 * i + 1] - offset));
    }
    out(first + static_cast<size_t>(r), at, load(lane));
  }
}
inline constexpr int kTileRows = 2, kTilePanels = 1;

#else

template <int kRows, int kPanels, typename Store>
inline void tile(Panels w, size_t columns, const Activations& a, size_t first, size_t at, Store& out) {
  static_assert(kPanels == 1 && kRows == 1);
  uint32_t acc[kPanelRows] = {};
  const uint8_t* base = w.data + at * w.stride;
  const int16_t* x = a.row(first);
  for (size_t column = 0; column < columns; column += 4, base += 64, x += 4)
    for (size_t i = 0; i < kPanelRows; ++i)
      for (size_t j = 0; j < 4; ++j)
        acc[i] += static_cast<uint32_t>(static_cast<int32_t>(base[4 * i + j]) * int32_t{x[j]});
  const uint32_t offset = static_cast<uint32_t>(a.sum(first)) << 7;
  alignas(64) float lane[kLanes];
  for (size_t i = 0; i < kPanelRows; ++i) lane[i] = static_cast<float>(static_cast<int32_t>(acc[i] - offset));
  out(first, at, load(lane));
}
inline constexpr int kTileRows = 1, kTilePanels = 1;

#endif

template <int kRows, typename Store>
void tiles(Panels w, size_t begin, size_t end, size_t columns, const Activations& a, size_t& first, size_t rows,
           Store& out) {
  for (; rows - first >= kRows; first += kRows) {
    size_t at = begin;
    for (; at + kTilePanels <= end; at += kTilePanels) tile<kRows, kTilePanels>(w, columns, a, first, at, out);
    for (; at < end; ++at) tile<kRows, 1>(w, columns, a, first, at, out);
  }
}

}  // namespace panel

// out(row, panel, products): for rows [first, rows) of `a`, the sixteen sums of the panel's rows as binary32, over the
// first `columns` of them. Panels [begin, end).
template <typename Store>
void multiply(Panels w, size_t begin, size_t end, size_t columns, const Activations& a, size_t first_row,
              size_t rows, Store out) {
  using namespace panel;
#ifdef __AVX512VNNI__
  if (rows - first_row <= kTileRows)
    return at_most<kTileRows>(rows - first_row, w, begin, end, columns, a, first_row, out);
#endif
  // A group of panels stays in the cache while all rows pass over it.
  constexpr size_t kGroup = 24;
  const size_t group = rows - first_row > kTileRows ? kGroup : end - begin;
  for (size_t at = begin; at < end; at += group) {
    const size_t stop = at + group < end ? at + group : end;
    size_t first = first_row;
    tiles<kTileRows>(w, at, stop, columns, a, first, rows, out);
#ifdef __AVX512VNNI__
    at_most<kTileRows - 1>(rows - first, w, at, stop, columns, a, first, out);
#else
    tiles<1>(w, at, stop, columns, a, first, rows, out);
#endif
  }
}

}  // namespace ncz::inline NCZ_ISA
