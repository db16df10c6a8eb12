// Level 7 on CUDA: the language model over rows of tokens of many blocks, the intervals that encode them, and the search
// that decodes. Bit for bit the numbers of nczip/native/transformer.hpp; README.md has the order of the kernels.
//
// A *stretch* is tokens at consecutive positions of one block; each of the model's passes takes `length` rows for every
// stretch, of which the first count[stretch] are filled. A block's keys and values lie in the cache with its number.
// Compiled for one size of a head (NCZ_HEAD_DIM), by NVRTC, by nvcc, and as C++ (NCZ_TWIN).
#include "coding.hpp"
#include "language_arithmetic.hpp"
#include "tensor_core.hpp"
#include "threads.hpp"

namespace ncz::inline NCZ_ISA {

constexpr int kHeadDim = NCZ_HEAD_DIM;
constexpr int kHeadTiles = (kHeadDim + kDepth - 1) / kDepth;  // of a key's depth
constexpr int kHeadWords = kHeadTiles * 8;
constexpr int kHeadRows = kHeadDim / kTileRows;  // tiles of a value's rows
static_assert(kHeadDim % 16 == 0 && kHeadDim <= 256);

// As much as a launch asks for.
#ifdef NCZ_TWIN
inline unsigned char* dynamic_shared() { return twin::shared; }
#else
extern __shared__ __align__(16) unsigned char shared_bytes[];
__device__ inline unsigned char* dynamic_shared() { return shared_bytes; }
#endif

// ---- what a block of threads, or a warp, does together

// The pinned sum of squares: sixteen strided sums, then halves of them. By all of a block's threads.
__device__ inline float block_squares(const float* x, int size) {
  __shared__ float lane[16];
  if (threadIdx.x < 16) {
    float sum = 0.0f;
    for (int i = static_cast<int>(threadIdx.x); i < size; i += 16) sum = sum + x[i] * x[i];
    lane[threadIdx.x] = sum;
  }
  __syncthreads();
  float sum[16];
#pragma unroll
  for (int i = 0; i < 16; ++i) sum[i] = lane[i];
#pragma unroll
  for (int width = 8; width > 0; width /= 2)
#pragma unroll
    for (int i = 0; i < width; ++i) sum[i] = sum[i] + sum[i + width];
  __syncthreads();
  return sum[0];
}
// By a warp.
__device__ inline float warp_squares(const float* x, int size) {
  float sum = 0.0f;
  if (lane_of() < 16)
    for (int i = lane_of(); i < size; i += 16) sum = sum + x[i] * x[i];
  for (int width = 8; width > 0; width /= 2) sum = sum + __shfl_down_sync(kAllLanes, sum, width);
  return __shfl_sync(kAllLanes, sum, 0);
}

// Four integers of a row as words of their limbs.
struct Limbs {
  uint32_t upper, lower;
};
__device__ inline Limbs limbs_of(const float* x, float factor) {
  Limbs words{0, 0};
  for (int i = 0; i < 4; ++i) {
    const int32_t a = static_cast<int32_t>(whole(x[i], factor));
    words.upper |= static_cast<uint32_t>((a >> kActivationLimb) & 0xff) << 8 * i;
    words.lower |= static_cast<uint32_t>(a & ((1 << kActivationLimb) - 1)) << 8 * i;
  }
  return words;
}

// A row in shared memory becomes vector `row` of a product.
__device__ inline void put_columns(const float* x, int size, int tiles, size_t row, uint32_t* columns, float* scale) {
  float top = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < size; i += static_cast<int>(blockDim.x))
    top = max(top, magnitude(finite(x[i])));
  const Scaling steps = scaling(block_most(top), static_cast<float>(kActivationMax));
  if (threadIdx.x == 0) scale[row] = steps.unit;
  for (int word = static_cast<int>(threadIdx.x); word < tiles * 8; word += static_cast<int>(blockDim.x)) {
    Limbs limbs{0, 0};
    if (word * 4 < size) limbs = limbs_of(x + word * 4, steps.factor);
    columns[column_word(row, 0, static_cast<size_t>(word), static_cast<size_t>(tiles))] = limbs.upper;
    columns[column_word(row, 1, static_cast<size_t>(word), static_cast<size_t>(tiles))] = limbs.lower;
  }
}

// ---- rows of reals

// Row r becomes what token[r] is embedded as. Grid: rows.
NCZ_KERNEL(128) embed(const int8_t* weights, const float* scale, float embedding_scale, int hidden, int tiles,
                      const uint32_t* token, float* out) {
  const size_t row = blockIdx.x, entry = token[row];
  for (int i = static_cast<int>(threadIdx.x); i < hidden; i += static_cast<int>(blockDim.x)) {
    const int8_t weight = weights[row_byte(entry, static_cast<size_t>(i), static_cast<size_t>(tiles))];
    out[row * static_cast<size_t>(hidden) + static_cast<size_t>(i)] =
        embedded(static_cast<float>(weight), scale[entry], embedding_scale);
  }
}

// Adds y (where there is one, after a norm with y_gain where there is one) to rows x; their norm with `gain` (where
// there is one) becomes vectors of a product. Grid: rows. Shared: size floats, twice that with y_gain.
NCZ_KERNEL(128) make_columns(float* x, const float* y, const float* y_gain, const float* gain, int size, float eps,
                             int tiles, uint32_t* columns, float* scale) {
  float* const row = reinterpret_cast<float*>(dynamic_shared());
  const size_t number = blockIdx.x, begin = number * static_cast<size_t>(size);
  const int first = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x);
  if (y) {
    float factor = 1.0f;
    if (y_gain) {
      float* const other = row + size;
      for (int i = first; i < size; i += step) other[i] = y[begin + static_cast<size_t>(i)];
      __syncthreads();
      factor = norm_factor(block_squares(other, size), static_cast<size_t>(size), eps);
    }
    for (int i = first; i < size; i += step) {
      const size_t at = begin + static_cast<size_t>(i);
      row[i] = x[at] + (y_gain ? normed(y[at], factor, y_gain[i]) : y[at]);
      x[at] = row[i];
    }
  } else {
    for (int i = first; i < size; i += step) row[i] = x[begin + static_cast<size_t>(i)];
  }
  __syncthreads();
  if (gain) {
    const float factor = norm_factor(block_squares(row, size), static_cast<size_t>(size), eps);
    for (int i = first; i < size; i += step) row[i] = normed(row[i], factor, gain[i]);
    __syncthreads();
  }
  put_columns(row, size, tiles, number, columns, scale);
}

// Sixteen gates, the sixteen values that go with them, and so on, become vectors of a product. Grid: rows. Shared: size
// floats.
NCZ_KERNEL(256) gate_columns(const float* wide, int size, int gelu, int tiles, uint32_t* columns, float* scale) {
  float* const row = reinterpret_cast<float*>(dynamic_shared());
  const float* const from = wide + static_cast<size_t>(blockIdx.x) * 2 * static_cast<size_t>(size);
  for (int i = static_cast<int>(threadIdx.x); i < size; i += static_cast<int>(blockDim.x)) {
    const int at = i / 16 * 32 + i % 16;
    row[i] = gated(from[at], from[at + 16], gelu != 0);
  }
  __syncthreads();
  put_columns(row, size, tiles, blockIdx.x, columns, scale);
}

// ---- products

// out[vector][row] = sums * scale[vector] (in bits, if `bits`) * row_scale[row] + bias[row]. Each warp makes kRows tiles of
// rows for kColumns tiles of vectors; a block has kDown x kAcross warps.
template <int kRows, int kColumns, int kDown, int kAcross>
__device__ inline void multiply(const uint4* rows, const float* row_scale, const float* bias, int row_tiles, int tiles,
                                const uint2* columns, const float* scale, int bits, int vectors, float* out, int pitch) {
  const int lane = lane_of(), column_tiles = (vectors + kVectors - 1) / kVectors;
  const int first_row = (static_cast<int>(blockIdx.x) * kDown + warp_of() % kDown) * kRows;
  const int first_column = (static_cast<int>(blockIdx.y) * kAcross + warp_of() / kDown) * kColumns;
  if (first_row >= row_tiles || first_column >= column_tiles) return;
  const uint4* from_row[kRows];
  const uint2* from_column[kColumns];
  for (int i = 0; i < kRows; ++i) {  // past the end the last one again, for nobody
    const int tile = first_row + i < row_tiles ? first_row + i : row_tiles - 1;
    from_row[i] = rows + static_cast<size_t>(tile) * static_cast<size_t>(tiles) * kWarp + lane;
  }
  for (int j = 0; j < kColumns; ++j) {
    const int tile = first_column + j < column_tiles ? first_column + j : column_tiles - 1;
    from_column[j] = columns + static_cast<size_t>(tile) * static_cast<size_t>(tiles) * kWarp + lane;
  }
  int32_t sum[kRows][kColumns][4] = {};
  uint4 row[kRows];
  uint2 column[kColumns];
#pragma unroll
  for (int i = 0; i < kRows; ++i) row[i] = from_row[i][0];
#pragma unroll
  for (int j = 0; j < kColumns; ++j) column[j] = from_column[j][0];
#pragma unroll 2
  for (int tile = 0; tile < tiles; ++tile) {
    // The next tiles are on their way while these are multiplied.
    const size_t next = static_cast<size_t>(tile + 1 < tiles ? tile + 1 : tile) * kWarp;
    uint4 next_row[kRows];
    uint2 next_column[kColumns];
#pragma unroll
    for (int i = 0; i < kRows; ++i) next_row[i] = from_row[i][next];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) next_column[j] = from_column[j][next];
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j) multiply_add(sum[i][j], row[i], column[j]);
#pragma unroll
    for (int i = 0; i < kRows; ++i) row[i] = next_row[i];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) column[j] = next_column[j];
  }
#pragma unroll
  for (int j = 0; j < kColumns; ++j) {
    const int vector = (first_column + j) * kVectors + lane % 4;
    if (vector >= vectors) continue;
    const float unit = bits ? scale[vector] * kLog2E : scale[vector];
    float* const to = out + static_cast<size_t>(vector) * static_cast<size_t>(pitch);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (first_row + i >= row_tiles) continue;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int at = (first_row + i) * kTileRows + lane / 4 + 8 * half;
        const int32_t exact = (sum[i][j][2 * half] << kActivationLimb) + sum[i][j][2 * half + 1];
        const float y = product(static_cast<float>(exact), unit, row_scale[at]);
        to[at] = bias ? y + bias[at] : y;
      }
    }
  }
}

// For many vectors: 128 rows and 128 vectors a block of threads. Grid: ceil(row tiles / 8), ceil(vectors / 128).
NCZ_KERNEL(256) multiply_many(const uint4* rows, const float* row_scale, const float* bias, int row_tiles, int tiles,
                              const uint2* columns, const float* scale, int bits, int vectors, float* out, int pitch) {
  multiply<4, 8, 2, 4>(rows, row_scale, bias, row_tiles, tiles, columns, scale, bits, vectors, out, pitch);
}
// For few: 128 rows and 8 vectors. Grid: ceil(row tiles / 8), ceil(vectors / 8).
NCZ_KERNEL(128) multiply_few(const uint4* rows, const float* row_scale, const float* bias, int row_tiles, int tiles,
                             const uint2* columns, const float* scale, int bits, int vectors, float* out, int pitch) {
  multiply<2, 2, 4, 1>(rows, row_scale, bias, row_tiles, tiles, columns, scale, bits, vectors, out, pitch);
}

// ---- attention

// A head's part of a cache: keys as tiles of rows (slot by depth), values as tiles of rows (dimension by slot), then a
// scale for each slot's key and for its value. `slots` is a multiple of 32.
struct Cache {
  uint8_t* keys;
  uint8_t* values;
  float* key_scale;
  float* value_scale;

  __device__ Cache(uint8_t* caches, uint64_t head_bytes, int slots, size_t head) {
    const size_t count = static_cast<size_t>(slots);
    keys = caches + head * head_bytes;
    values = keys + count * (kHeadWords * 4);
    key_scale = reinterpret_cast<float*>(values + count * kHeadDim);
    value_scale = key_scale + count;
  }
};
__device__ inline int slot_of(int position, int slots) {
  return position < kSinkPositions ? position : kSinkSlots + position % (slots - kSinkSlots);
}
// What a slot holds once `newest` is known; a negative number if nothing.
__device__ inline int position_in(int slot, int newest, int slots) {
  if (slot < kSinkSlots) return slot < kSinkPositions && slot <= newest ? slot : -1;
  const int ring = slots - kSinkSlots;
  int back = newest % ring - (slot - kSinkSlots);
  if (back < 0) back += ring;
  return newest - back < kSinkPositions ? -1 : newest - back;
}
// A query is kept as [row][head][its own phase, that for the first positions][limb][word].
__device__ inline size_t query_words(size_t row, int heads, int head, int variant) {
  return ((row * static_cast<size_t>(heads) + static_cast<size_t>(head)) * 2 + static_cast<size_t>(variant)) * 2 *
         kHeadWords;
}

// Rotated, of a warp's own row.
__device__ inline void turn(const float* x, float* out, uint32_t position, const uint32_t* rope) {
  for (int i = lane_of(); i < kHeadDim / 2; i += kWarp) {
    const float cos = cosine(position * rope[i]), sin = sine(position * rope[i]);
    out[i] = turned_first(x[i], x[kHeadDim / 2 + i], cos, sin);
    out[kHeadDim / 2 + i] = turned_second(x[i], x[kHeadDim / 2 + i], cos, sin);
  }
  __syncwarp();
}
__device__ inline float warp_largest(const float* x) {
  float top = 0.0f;
  for (int i = lane_of(); i < kHeadDim; i += kWarp) top = max(top, magnitude(finite(x[i])));
  return warp_most(top);
}

// Queries become integers; keys and values too, and go into the caches. Grid: rows.
NCZ_KERNEL(128) place(const float* qkv, int heads, int kv_heads, const uint32_t* rope, const float* q_norm,
                      const float* k_norm, float eps, float attention_scale, int length, const uint32_t* block,
                      const uint32_t* first, const uint32_t* count, uint8_t* caches, uint64_t head_bytes, int slots,
                      int window, uint32_t* queries, float* query_scale) {
  __shared__ float of_warp[4][2][kHeadDim];
  const int stretch = static_cast<int>(blockIdx.x) / length, at = static_cast<int>(blockIdx.x) % length;
  if (at >= static_cast<int>(count[stretch])) return;
  const int position = static_cast<int>(first[stretch]) + at, lane = lane_of();
  const size_t row = blockIdx.x;
  float* const x = of_warp[warp_of()][0];
  float* const turned = of_warp[warp_of()][1];
  for (int task = warp_of(); task < heads + 2 * kv_heads; task += warps()) {
    const bool is_query = task < heads, is_key = !is_query && task < heads + kv_heads;
    const float* const from =
        qkv + row * static_cast<size_t>(heads + 2 * kv_heads) * kHeadDim + static_cast<size_t>(task) * kHeadDim;
    for (int i = lane; i < kHeadDim; i += kWarp) x[i] = from[i];
    __syncwarp();
    const float* const gain = is_query ? q_norm : is_key ? k_norm : nullptr;
    if (gain) {
      const float factor = norm_factor(warp_squares(x, kHeadDim), kHeadDim, eps);
      for (int i = lane; i < kHeadDim; i += kWarp) x[i] = normed(x[i], factor, gain[i]);
      __syncwarp();
    }
    if (is_query) {
      for (int variant = 0; variant < 2; ++variant) {
        const int from_position = variant && position > window - 1 ? window - 1 : position;
        turn(x, turned, static_cast<uint32_t>(from_position), rope);
        for (int i = lane; i < kHeadDim; i += kWarp) turned[i] = turned[i] * (attention_scale * kLog2E);
        __syncwarp();
        const Scaling steps = scaling(warp_largest(turned), static_cast<float>(kActivationMax));
        const size_t begin = query_words(row, heads, task, variant);
        for (int word = lane; word < kHeadWords; word += kWarp) {
          Limbs limbs{0, 0};
          if (word * 4 < kHeadDim) limbs = limbs_of(turned + word * 4, steps.factor);
          queries[begin + static_cast<size_t>(word)] = limbs.upper;
          queries[begin + kHeadWords + static_cast<size_t>(word)] = limbs.lower;
        }
        if (lane == 0)
          query_scale[(row * static_cast<size_t>(heads) + static_cast<size_t>(task)) * 2 + static_cast<size_t>(variant)] =
              steps.unit;
        __syncwarp();
      }
      continue;
    }
    const int head = task - heads - (is_key ? 0 : kv_heads), slot = slot_of(position, slots);
    const Cache cache(caches, head_bytes, slots,
                      static_cast<size_t>(block[stretch]) * static_cast<size_t>(kv_heads) + static_cast<size_t>(head));
    if (is_key) {
      turn(x, turned, static_cast<uint32_t>(position), rope);
      const Scaling steps = scaling(warp_largest(turned), kWeightMax);
      for (int word = lane; word < kHeadWords; word += kWarp) {
        uint32_t four = 0;
        for (int i = 0; i < 4 && word * 4 < kHeadDim; ++i)
          four |= (static_cast<uint32_t>(static_cast<int32_t>(whole(turned[word * 4 + i], steps.factor))) & 0xff) << 8 * i;
        reinterpret_cast<uint32_t*>(cache.keys)[row_word(static_cast<size_t>(slot), static_cast<size_t>(word), kHeadTiles)] =
            four;
      }
      if (lane == 0) cache.key_scale[slot] = steps.unit;
    } else {
      const Scaling steps = scaling(warp_largest(x), kWeightMax);
      // Tiles of all dimensions for 32 slots lie together, so that the ring can be used from its beginning.
      const size_t group = static_cast<size_t>(slot) / kDepth * kHeadRows * kTileRows * kDepth;
      for (int i = lane; i < kHeadDim; i += kWarp)
        cache.values[group + row_byte(static_cast<size_t>(i), static_cast<size_t>(slot % kDepth), 1)] =
            static_cast<uint8_t>(static_cast<int32_t>(whole(x[i], steps.factor)));
      if (lane == 0) cache.value_scale[slot] = steps.unit;
    }
    __syncwarp();
  }
}

__device__ inline uint32_t bytes_at(uint4 words, int shift) {
  return (words.x >> shift & 0xff) | (words.y >> shift & 0xff) << 8 | (words.z >> shift & 0xff) << 16 |
         (words.w >> shift & 0xff) << 24;
}

// kTiles tiles of queries (four each) that share a key's head pass over all that its cache holds: scores, weights as
// integers, sums of values. `near`: how far back they see; local: the first positions no further.
template <int kTiles>
__device__ inline void attend(const uint32_t* queries, const float* query_scale, int heads, int kv_heads, int length,
                              const uint32_t* block, const uint32_t* first, const uint32_t* count, uint8_t* caches,
                              uint64_t head_bytes, int slots, int near, int local, float* out) {
  constexpr int kQueries = kTiles * kVectors;
  const int pitch = slots + 4;  // words: rows begin in different banks
  uint32_t* const scores = reinterpret_cast<uint32_t*>(dynamic_shared());  // [query][slot], reals, then weights' limbs
  int32_t* const sums = reinterpret_cast<int32_t*>(scores + static_cast<size_t>(kQueries) * static_cast<size_t>(pitch));
  float* const units = reinterpret_cast<float*>(sums + kQueries * kHeadDim);

  const int stretch = static_cast<int>(blockIdx.z), head = static_cast<int>(blockIdx.y), sharing = heads / kv_heads;
  const int all = static_cast<int>(count[stretch]) * sharing, from = static_cast<int>(blockIdx.x) * kQueries;
  if (from >= all) return;
  const int here = all - from < kQueries ? all - from : kQueries;
  const int begin = static_cast<int>(first[stretch]), newest = begin + static_cast<int>(count[stretch]) - 1;
  const int used = newest + 1 < slots - kSinkSlots ? kSinkSlots + newest + 1 : slots;
  const int groups = (used + kDepth - 1) / kDepth;  // of 32 slots
  const Cache cache(caches, head_bytes, slots,
                    static_cast<size_t>(block[stretch]) * static_cast<size_t>(kv_heads) + static_cast<size_t>(head));
  const int lane = lane_of(), warp = warp_of(), group = lane / 4, place = lane % 4;
  // Where query q of these stands: its row, and its head of all.
  const auto row_of_query = [&](int q) {
    return static_cast<size_t>(stretch) * static_cast<size_t>(length) + static_cast<size_t>((from + q) / sharing);
  };
  const auto head_of_query = [&](int q) { return head * sharing + (from + q) % sharing; };

  for (int i = static_cast<int>(threadIdx.x); i < kQueries * kHeadDim; i += static_cast<int>(blockDim.x)) sums[i] = 0;

  // Scores. A lane's columns of a product are limbs of query lane / 4 / 2, its sums those of query lane % 4.
  uint2 columns[kTiles][kHeadTiles];
  float scale[kTiles];
  int position[kTiles];
  const auto load = [&](int variant) {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      const int mine = t * kVectors + group / 2, q = mine < here ? mine : here - 1;
      const uint32_t* const words =
          queries + query_words(row_of_query(q), heads, head_of_query(q), variant) + group % 2 * kHeadWords;
#pragma unroll
      for (int k = 0; k < kHeadTiles; ++k) columns[t][k] = {words[k * 8 + place], words[k * 8 + 4 + place]};
      const int of_sums = t * kVectors + place, p = of_sums < here ? of_sums : here - 1;
      scale[t] = query_scale[(row_of_query(p) * static_cast<size_t>(heads) + static_cast<size_t>(head_of_query(p))) * 2 +
                             static_cast<size_t>(variant)];
      position[t] = begin + (from + p) / sharing;
    }
  };
  if (warp > 0) load(0);
  for (int panel = warp; panel < groups * 2; panel += warps()) {
    if (panel == 0) load(1);
    int32_t sum[kTiles][4] = {};
    const uint4* const keys =
        reinterpret_cast<const uint4*>(cache.keys) + static_cast<size_t>(panel) * kHeadTiles * kWarp + lane;
#pragma unroll
    for (int k = 0; k < kHeadTiles; ++k) {
      const uint4 rows = keys[k * kWarp];
#pragma unroll
      for (int t = 0; t < kTiles; ++t) multiply_add(sum[t], rows, columns[t][k]);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int slot = panel * kTileRows + group + 8 * half, held = position_in(slot, newest, slots);
      const float key_scale = cache.key_scale[slot];
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        const int32_t exact = (sum[t][2 * half] << kActivationLimb) + sum[t][2 * half + 1];
        const bool seen = held >= 0 && held <= position[t] && (position[t] - held < near || (held < kSinkPositions && !local));
        const float bits = seen ? score(static_cast<float>(exact), scale[t], key_scale) : kHidden;
        scores[static_cast<size_t>(t * kVectors + place) * static_cast<size_t>(pitch) + static_cast<size_t>(slot)] =
            static_cast<uint32_t>(bits_of_float(bits));
      }
    }
    if (panel == 0) load(0);
  }
  __syncthreads();

  // Weights: a warp for each query.
  for (int q = warp; q < here; q += warps()) {
    uint32_t* const words = scores + static_cast<size_t>(q) * static_cast<size_t>(pitch);
    const auto real_at = [&](int slot) { return float_of_bits(static_cast<int32_t>(words[slot])); };
    float top = kHidden;
    for (int slot = lane; slot < groups * kDepth; slot += kWarp) top = max(top, real_at(slot));
    top = warp_most(top);
    uint32_t total = 0;
    float heavy = 0.0f;
    for (int slot = lane; slot < groups * kDepth; slot += kWarp) {
      const float bits = real_at(slot);
      float weighted = 0.0f;
      if (bits != kHidden) {
        const float e = exp2_pinned(bits - top);
        total += static_cast<uint32_t>(static_cast<int32_t>(counted(e)));
        weighted = e * cache.value_scale[slot];
      }
      heavy = max(heavy, weighted);
      words[slot] = static_cast<uint32_t>(bits_of_float(weighted));
    }
    total = warp_sum(total);
    heavy = warp_most(heavy);
    Scaling steps = scaling(heavy, kFinest);
    int32_t sum = 0;
    for (int slot = lane; slot < groups * kDepth; slot += kWarp)
      sum += static_cast<int32_t>(nearest(real_at(slot) * steps.factor));
    sum = warp_sum(sum);
    if (sum > kMostWeights) steps = scaling(heavy, fewer_weights(sum));
    for (int slot = lane; slot < groups * kDepth; slot += kWarp) {
      const uint32_t weight = static_cast<uint32_t>(static_cast<int32_t>(nearest(real_at(slot) * steps.factor)));
      words[slot] = weight >> kWeightLimb | (weight & ((1u << kWeightLimb) - 1)) << 8;
    }
    if (lane == 0) units[q] = attention_unit(steps.unit, total);
  }
  __syncthreads();

  // Values: the warps share the slots, and add what they found.
  constexpr int kRows = kHeadRows < 4 ? kHeadRows : 4;
  for (int row = 0; row < kHeadRows; row += kRows) {
    int32_t sum[kRows][kTiles][4] = {};
    for (int deep = warp; deep < groups; deep += warps()) {
      uint2 weights[kTiles];
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        const uint4* const four = reinterpret_cast<const uint4*>(
            scores + static_cast<size_t>(t * kVectors + group / 2) * static_cast<size_t>(pitch) + deep * kDepth);
        weights[t] = {bytes_at(four[place], group % 2 * 8), bytes_at(four[4 + place], group % 2 * 8)};
      }
      const uint4* const values =
          reinterpret_cast<const uint4*>(cache.values) + (static_cast<size_t>(deep) * kHeadRows + row) * kWarp + lane;
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (row + r >= kHeadRows) break;
        const uint4 rows = values[r * kWarp];
#pragma unroll
        for (int t = 0; t < kTiles; ++t) multiply_add(sum[r][t], rows, weights[t]);
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (row + r >= kHeadRows) break;
#pragma unroll
      for (int t = 0; t < kTiles; ++t)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          atomicAdd(&sums[(t * kVectors + place) * kHeadDim + (row + r) * kTileRows + group + 8 * half],
                    (sum[r][t][2 * half] << kWeightLimb) + sum[r][t][2 * half + 1]);
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < here * kHeadDim; i += static_cast<int>(blockDim.x)) {
    const int q = i / kHeadDim;
    out[(row_of_query(q) * static_cast<size_t>(heads) + static_cast<size_t>(head_of_query(q))) * kHeadDim +
        static_cast<size_t>(i % kHeadDim)] = static_cast<float>(sums[i]) * units[q];
  }
}

// Grid: ceil(length * heads that share a key / queries), kv_heads, stretches; 4 queries, or 16. Shared: queries * (slots + 4 +
// head_dim + 1) words.
NCZ_KERNEL(128) attend_few(const uint32_t* queries, const float* query_scale, int heads, int kv_heads, int length,
                           const uint32_t* block, const uint32_t* first, const uint32_t* count, uint8_t* caches,
                           uint64_t head_bytes, int slots, int near, int local, float* out) {
  attend<1>(queries, query_scale, heads, kv_heads, length, block, first, count, caches, head_bytes, slots, near, local, out);
}
#if NCZ_HEAD_DIM <= 128
NCZ_KERNEL(256) attend_many(const uint32_t* queries, const float* query_scale, int heads, int kv_heads, int length,
                            const uint32_t* block, const uint32_t* first, const uint32_t* count, uint8_t* caches,
                            uint64_t head_bytes, int slots, int near, int local, float* out) {
  attend<4>(queries, query_scale, heads, kv_heads, length, block, first, count, caches, head_bytes, slots, near, local, out);
}
#endif

// ---- coding

__device__ inline float biased_logit(const float* logits, const float* head_scale, int entry) {
  return biased(logits[entry], head_scale[entry] == 0.0f ? kNever : 0.0f);
}
__device__ inline float most_of(const float* logits, const float* head_scale, int vocabulary) {
  float top = kNever;
  for (int i = static_cast<int>(threadIdx.x); i < vocabulary; i += static_cast<int>(blockDim.x))
    top = max(top, biased_logit(logits, head_scale, i));
  return block_most(top);
}
__device__ inline uint32_t weight_of(const float* logits, const float* head_scale, int entry, float top) {
  return static_cast<uint32_t>(static_cast<int32_t>(token_weight(biased_logit(logits, head_scale, entry), top)));
}

// The interval (left end, width) of each token that is asked for: ask[stretch][i] is the row of the stretch that says what
// it weighs, and the token. Grid: room, stretches.
NCZ_KERNEL(256) intervals(const float* logits, int pitch, const float* head_scale, int vocabulary, int length, int room,
                          const uint2* ask, const uint32_t* asks, uint2* out) {
  const size_t stretch = blockIdx.y, at = stretch * static_cast<size_t>(room) + blockIdx.x;
  if (blockIdx.x >= asks[stretch]) return;
  const float* const row =
      logits + (stretch * static_cast<size_t>(length) + ask[at].x) * static_cast<size_t>(pitch);
  const int token = static_cast<int>(ask[at].y);
  const float top = most_of(row, head_scale, vocabulary);
  uint64_t all = 0, below = 0;
  for (int i = static_cast<int>(threadIdx.x); i < vocabulary; i += static_cast<int>(blockDim.x)) {
    const uint32_t weight = weight_of(row, head_scale, i, top);
    all += weight;
    below += i < token ? weight : 0;
  }
  all = block_sum(all), below = block_sum(below);
  if (threadIdx.x == 0) {
    const int shift = cut_bits(all);
    const size_t size = static_cast<size_t>(vocabulary), entry = static_cast<size_t>(token);
    const uint32_t left = cumulative(below, all, shift, size, entry);
    out[at] = {left, cumulative(below + weight_of(row, head_scale, token, top), all, shift, size, entry + 1) - left};
  }
}

// Blocks whose packed bytes are there begin. Grid: ceil(count / 32).
NCZ_KERNEL(32) admit(const Admission* admission, int count, const uint8_t* packed, Decoding* decoding) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  const Admission one = admission[i];
  Decoding begun{RangeDecoder(packed + one.packed, one.packed_size), one.size, 0};
  decoding[one.block] = begun;
}

struct Found {
  uint32_t token, left, width;
};
// The entry whose interval holds `point`. By all of a block's threads.
__device__ inline Found search(const float* logits, const float* head_scale, int vocabulary, uint32_t point) {
  __shared__ uint64_t of_warp[32];
  __shared__ Found found;
  const int lane = lane_of(), warp = warp_of(), count = warps();
  const size_t size = static_cast<size_t>(vocabulary);
  const float top = most_of(logits, head_scale, vocabulary);
  const int each = (vocabulary + count - 1) / count;
  const auto end_of = [&](int i) { return i * each < vocabulary ? i * each : vocabulary; };
  uint64_t sum = 0;
  for (int i = end_of(warp) + lane; i < end_of(warp + 1); i += kWarp) sum += weight_of(logits, head_scale, i, top);
  sum = warp_sum(sum);
  if (lane == 0) of_warp[warp] = sum;
  __syncthreads();
  uint64_t all = 0;
  for (int i = 0; i < count; ++i) all += of_warp[i];
  const int shift = cut_bits(all);
  int part = 0;  // the warp's part that holds it
  uint64_t below = 0;
  while (part + 1 < count &&
         cumulative(below + of_warp[part], all, shift, size, static_cast<size_t>(end_of(part + 1))) <= point)
    below += of_warp[part++];
  __syncthreads();
  // That part, a few neighbouring entries a thread.
  const int threads = static_cast<int>(blockDim.x), stop = end_of(part + 1);
  const int few = (stop - end_of(part) + threads - 1) / threads;
  const int begin = end_of(part) + static_cast<int>(threadIdx.x) * few;
  const int mine = begin < stop ? begin : stop, end = begin + few < stop ? begin + few : stop;
  uint64_t own = 0;
  for (int i = mine; i < end; ++i) own += weight_of(logits, head_scale, i, top);
  uint64_t before = warp_sums_up_to(own);
  if (lane == kWarp - 1) of_warp[warp] = before;
  __syncthreads();
  before += below - own;
  for (int i = 0; i < warp; ++i) before += of_warp[i];
  if (mine < end && cumulative(before, all, shift, size, static_cast<size_t>(mine)) <= point &&
      point < cumulative(before + own, all, shift, size, static_cast<size_t>(end)))
    for (int i = mine; i < end; ++i) {
      const size_t entry = static_cast<size_t>(i);
      const uint64_t next = before + weight_of(logits, head_scale, i, top);
      const uint32_t left = cumulative(before, all, shift, size, entry);
      const uint32_t right = cumulative(next, all, shift, size, entry + 1);
      if (point < right) {
        found = {static_cast<uint32_t>(i), left, right - left};
        break;
      }
      before = next;
    }
  __syncthreads();
  const Found result = found;
  __syncthreads();
  return result;
}

// Tokens that are coded directly, as far as walk_rows goes. Grid: stretches.
NCZ_KERNEL(512) decode(const float* logits, int pitch, const float* head_scale, int vocabulary, const uint32_t* string_begin,
                       int length, const uint32_t* block, uint32_t* first, uint32_t* count, uint32_t* token, int room,
                       Decoding* decoding, uint32_t* out, uint32_t* outs) {
  __shared__ uint32_t point;
  __shared__ Standing standing;
  Decoding& decoded = decoding[block[blockIdx.x]];
  walk_rows(head_scale, length, first, count, token, room, out, outs, [&](size_t row) {
    if (threadIdx.x == 0) point = decoded.coder.peek();
    __syncthreads();
    const Found found = search(logits + row * static_cast<size_t>(pitch), head_scale, vocabulary, point);
    if (threadIdx.x == 0) {
      decoded.coder.take(found.left, found.width);
      decoded.known += string_begin[found.token + 1] - string_begin[found.token];
      standing = standing_of(decoded, decoded.known);
    }
    __syncthreads();
    return Came{found.token, standing};
  });
}

}  // namespace ncz::inline NCZ_ISA
