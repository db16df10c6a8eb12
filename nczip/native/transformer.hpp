// The language model: a transformer whose sums are integers, so that any batch, tile or path gives the same numbers.
//
// Weights have 8 bits, what they are multiplied with has 12; keys and values are kept in 8, queries and attention
// weights have 12. Everything between is elementwise binary32, or a sum over one row in the pinned order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "array.hpp"
#include "language_model.hpp"
#include "pages.hpp"
#include "panel.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {

// Keys and values of one block, layer by layer: a ring of the last positions, after the first few, which always stay.
class KeyValueCache {
 public:
  static constexpr size_t kSinks = kSinkPositions;
  static_assert(kSinkSlots == kPanelRows);
  static constexpr int32_t kEmpty = 0x7fffffff;

  // window: positions that a token sees, a multiple of 16; most: tokens that pass at a time; length: tokens ever.
  KeyValueCache(const LanguageModel& model, size_t window, size_t most, size_t length)
      : window_(window),
        ring_(slots(window, most, length) - kSinkSlots),
        heads_(model.layers * model.kv_heads),
        dims_(model.head_dim),
        keys_(heads_ * slots() * dims_ * 2),
        scales_(heads_ * slots() * 2),
        position_(slots(), kEmpty),
        oldest_(slots() / kPanelRows, kEmpty),
        newest_(slots() / kPanelRows, kEmpty) {}

  static size_t slots(size_t window, size_t most, size_t length) {
    return kSinkSlots + rounded(std::min(window + most, length));
  }
  static size_t memory(const LanguageModel& model, size_t window, size_t most, size_t length) {
    const size_t held = slots(window, most, length);
    return model.layers * model.kv_heads * held * (2 * model.head_dim + 2 * sizeof(float)) + held * 2 * sizeof(int32_t);
  }

  size_t window() const { return window_; }
  size_t slots() const { return kSinkSlots + ring_; }
  // Slots that can hold anything once `end` positions are known; a multiple of 16.
  size_t used(size_t end) const { return kSinkSlots + rounded(std::min(end, ring_)); }
  size_t slot(size_t position) const { return position < kSinks ? position : kSinkSlots + position % ring_; }
  void begin(size_t position) {
    const size_t at = slot(position), panel = at / kPanelRows;
    position_[at] = static_cast<int32_t>(position);
    const int32_t* const held = position_.data() + panel * kPanelRows;
    int32_t oldest = kEmpty, newest = 0;
    for (size_t i = 0; i < kPanelRows; ++i) oldest = std::min(oldest, held[i]), newest = std::max(newest, held[i]);
    oldest_[panel] = oldest, newest_[panel] = newest;
  }
  const int32_t* positions() const { return position_.data(); }
  // Whether all sixteen slots of a panel hold positions of this range.
  bool holds(size_t panel, int32_t oldest, int32_t newest) const {
    return oldest_[panel] >= oldest && newest_[panel] <= newest;
  }

  // Keys: [slot / 16][dim / 4][16][4]; values: [dim / 16][slot / 4][16][4]. Either plus 128.
  Panels keys(size_t head) const { return {keys_.data() + head * slots() * dims_ * 2, kPanelRows * dims_}; }
  Panels values(size_t head) const {
    return {keys_.data() + (head * 2 + 1) * slots() * dims_, kPanelRows * slots()};
  }
  const float* key_scale(size_t head) const { return scales_.data() + head * 2 * slots(); }
  const float* value_scale(size_t head) const { return scales_.data() + (head * 2 + 1) * slots(); }

  void put(size_t head, size_t slot, const float* key, const float* value) {
    uint8_t* const keys = keys_.data() + head * slots() * dims_ * 2;
    uint8_t* const to_values = keys + slots() * dims_ + slot / 4 * 64 + slot % 4;
    scales_[head * 2 * slots() + slot] = put_row(row_of(keys, dims_, slot), key, dims_);
    const auto [unit, factor] = scaling(value, dims_, kWeightMax);
    scales_[(head * 2 + 1) * slots() + slot] = unit;
    alignas(64) float lane[kLanes];
    for (size_t i = 0; i < dims_; i += kLanes) {
      ncz::store(lane, whole(load(value + i), factor));
      for (size_t j = 0; j < kLanes; ++j) put_weight(to_values + i * slots() + j * 4, lane[j]);
    }
  }

 private:
  static size_t rounded(size_t n) { return (n + 15) / 16 * 16; }
  size_t window_, ring_, heads_, dims_;
  Pages keys_;
  Array<float> scales_;
  Array<int32_t> position_, oldest_, newest_;  // of each slot; of each panel the least and the largest
};

// Tokens at consecutive positions of one block.
struct Stretch {
  KeyValueCache* cache;
  const uint32_t* tokens;
  size_t position, count;
};

class Transformer {
 public:
  // most: tokens that pass at a time, of all stretches together.
  Transformer(const LanguageModel& model, size_t most, size_t most_slots)
      : m_(model),
        residual_(most * model.hidden),
        wide_(most * wide(model)),
        attended_(std::max(most * model.heads * model.head_dim, model.hidden)),
        final_(most * model.hidden),
        phase_(most * model.head_dim * 2),
        scores_(kQueryRows * most_slots),
        mixed_(most_slots / kPanelRows + 1),
        in_hidden_(most, model.hidden),
        in_heads_(most, model.heads * model.head_dim),
        in_ffn_(most, model.ffn),
        queries_(kQueryRows, model.head_dim),
        sink_queries_(kQueryRows, model.head_dim),
        weights_(kQueryRows, most_slots) {}

  static size_t memory(const LanguageModel& m, size_t most, size_t most_slots) {
    return most * (m.hidden * 10 + wide(m) * 4 + m.heads * m.head_dim * 6 + m.head_dim * 8 + m.ffn * 2) +
           kQueryRows * (most_slots * 6 + m.head_dim * 4);
  }

  // Runs the stretches; `most` tokens at most. Their last hidden states come in order.
  void forward(const Stretch* stretches, size_t count) {
    size_t rows = 0;
    for (size_t s = 0; s < count; ++s)
      for (size_t i = 0; i < stretches[s].count; ++i) embed(stretches[s].tokens[i], rows++);
    for (size_t s = 0; s < count; ++s)
      for (size_t i = 0; i < stretches[s].count; ++i) stretches[s].cache->begin(stretches[s].position + i);
    const uint32_t* rope = nullptr;
    for (size_t n = 0; n < m_.layers; ++n) {
      const LanguageLayer& layer = m_.layer[n];
      if (layer.rope != rope) turn(stretches, count, rope = layer.rope);
      normalise(residual_.data(), layer.attention_norm, rows);
      product(layer.qkv, in_hidden_, rows, wide_.data(), qkv_width());
      size_t row = 0;
      for (size_t s = 0; s < count; row += stretches[s++].count) attend(layer, n, stretches[s], row);
      for (size_t r = 0; r < rows; ++r) in_heads_.quantise(r, attended_.data() + r * m_.heads * m_.head_dim);
      add_product(layer.output, in_heads_, rows, layer.post_attention_norm);
      normalise(residual_.data(), layer.ffn_norm, rows);
      gated(layer.gate_up, rows);
      add_product(layer.down, in_ffn_, rows, layer.post_ffn_norm);
    }
    for (size_t r = 0; r < rows; ++r) normal(residual_.data() + r * m_.hidden, m_.final_norm, m_.hidden, state(r));
  }
  // What the head multiplies, of a row of the last forward(): hidden of them. They may be changed.
  float* state(size_t row) { return final_.data() + row * m_.hidden; }

  // Logits in bits of row `first` and `rows - 1` more of the last forward(): out[row * pitch + token].
  void logits(size_t first, size_t rows, float* out, size_t pitch) {
    for (size_t r = first; r < first + rows; ++r) in_hidden_.quantise(r, state(r));
    const float* const row_scale = m_.head.scale;
    const Activations& a = in_hidden_;
    const size_t panels = (m_.vocabulary + kLanes - 1) / kLanes;
    multiply({m_.head.panels, kPanelRows * m_.hidden}, 0, panels, m_.hidden, a, first, first + rows,
             [=, &a](size_t row, size_t panel, Vec sum) __attribute__((always_inline)) {
               const Vec x = ncz::product(sum, broadcast(a.scale(row) * kLog2E), load(row_scale + panel * kLanes));
               store(out + (row - first) * pitch + panel * kLanes, x);
             });
  }

 private:
  static constexpr size_t kQueryRows = kMostHeadsAKey;  // queries that pass over the keys of a head together

  static size_t qkv_width(const LanguageModel& m) { return (m.heads + 2 * m.kv_heads) * m.head_dim; }
  size_t qkv_width() const { return qkv_width(m_); }
  // The most that a matrix makes of one token.
  static size_t wide(const LanguageModel& m) { return std::max({qkv_width(m), 2 * m.ffn, m.hidden}); }

  void embed(uint32_t token, size_t row) {
    const uint8_t* const from = row_of(m_.embedding.panels, m_.hidden, token);
    float* const to = residual_.data() + row * m_.hidden;
    const float scale = m_.embedding.scale[token];
    for (size_t i = 0; i < m_.hidden; ++i) to[i] = embedded(weight_of(from, i), scale, m_.embedding_scale);
  }

  // cos and sin for each row, of its own position and of the one from which it sees the first tokens.
  void turn(const Stretch* stretches, size_t count, const uint32_t* rope) {
    size_t row = 0;
    const size_t pairs = m_.head_dim / 2;
    for (size_t s = 0; s < count; ++s)
      for (size_t i = 0; i < stretches[s].count; ++i, ++row) {
        const auto position = static_cast<uint32_t>(stretches[s].position + i);
        const auto last = static_cast<uint32_t>(stretches[s].cache->window() - 1);
        float* const to = phase_.data() + row * m_.head_dim * 2;
        for (size_t j = 0; j < pairs; ++j) {
          to[j] = cosine(position * rope[j]);
          to[pairs + j] = sine(position * rope[j]);
          to[2 * pairs + j] = position > last ? cosine(last * rope[j]) : to[j];
          to[3 * pairs + j] = position > last ? sine(last * rope[j]) : to[pairs + j];
        }
      }
  }
  void rotate(const float* x, const float* phase, float* out) const {
    const size_t pairs = m_.head_dim / 2;
    for (size_t j = 0; j < pairs; ++j) {
      const float a = x[j], b = x[pairs + j];
      out[j] = turned_first(a, b, phase[j], phase[pairs + j]);
      out[pairs + j] = turned_second(a, b, phase[j], phase[pairs + j]);
    }
  }

  // Root mean square norm of `size` values, times the gain.
  void normal(const float* x, const float* gain, size_t size, float* out) const {
    Vec squares = broadcast(0.0f);
    for (size_t i = 0; i < size; i += kLanes) squares = squares + load(x + i) * load(x + i);
    const Vec factor = broadcast(norm_factor(sum(squares), size, m_.norm_eps));
    for (size_t i = 0; i < size; i += kLanes) store(out + i, normed(load(x + i), factor, load(gain + i)));
  }
  void normalise(const float* x, const float* gain, size_t rows) {
    for (size_t r = 0; r < rows; ++r) {
      normal(x + r * m_.hidden, gain, m_.hidden, attended_.data());
      in_hidden_.quantise(r, attended_.data());
    }
  }

  void product(const LanguageMatrix& w, const Activations& a, size_t rows, float* out, size_t pitch) const {
    multiply({w.panels, kPanelRows * w.columns}, 0, w.rows / kLanes, w.columns, a, 0, rows,
             [&w, &a, out, pitch](size_t row, size_t panel, Vec sum) __attribute__((always_inline)) {
               Vec y = ncz::product(sum, broadcast(a.scale(row)), load(w.scale + panel * kLanes));
               if (w.bias) y = y + load(w.bias + panel * kLanes);
               store(out + row * pitch + panel * kLanes, y);
             });
  }
  void add_product(const LanguageMatrix& w, const Activations& a, size_t rows, const float* norm) {
    product(w, a, rows, wide_.data(), m_.hidden);
    for (size_t r = 0; r < rows; ++r) {
      float* const y = wide_.data() + r * m_.hidden;
      float* const x = residual_.data() + r * m_.hidden;
      if (norm) normal(y, norm, m_.hidden, y);
      for (size_t i = 0; i < m_.hidden; i += kLanes) store(x + i, load(x + i) + load(y + i));
    }
  }
  void gated(const LanguageMatrix& w, size_t rows) {
    product(w, in_hidden_, rows, wide_.data(), 2 * m_.ffn);
    for (size_t r = 0; r < rows; ++r) {
      float* const x = wide_.data() + r * 2 * m_.ffn;
      for (size_t i = 0; i < m_.ffn; i += kLanes)  // panels of gates and of what they let through take turns
        store(x + i, ncz::gated(load(x + 2 * i), load(x + 2 * i + kLanes), m_.gelu));
      in_ffn_.quantise(r, x);
    }
  }

  // Queries, keys and values of the stretch stand in wide_ from `first` on.
  void attend(const LanguageLayer& layer, size_t number, const Stretch& stretch, size_t first) {
    const size_t dims = m_.head_dim, shared = m_.heads / m_.kv_heads;
    KeyValueCache& cache = *stretch.cache;
    alignas(64) float turned[kMostHeadDim], normed[kMostHeadDim];
    for (size_t i = 0; i < stretch.count; ++i) {
      const float* const row = wide_.data() + (first + i) * qkv_width();
      const float* const phase = phase_.data() + (first + i) * dims * 2;
      for (size_t h = 0; h < m_.kv_heads; ++h) {
        const float* key = row + (m_.heads + h) * dims;
        if (layer.k_norm) normal(key, layer.k_norm, dims, normed), key = normed;
        rotate(key, phase, turned);
        cache.put(number * m_.kv_heads + h, cache.slot(stretch.position + i), turned,
                  row + (m_.heads + m_.kv_heads + h) * dims);
      }
    }
    const size_t together = std::max<size_t>(1, kQueryRows / shared);
    for (size_t h = 0; h < m_.kv_heads; ++h)
      for (size_t i = 0; i < stretch.count; i += together)
        attend_head(layer, number, stretch, first, h, i, std::min(together, stretch.count - i));
  }

  // Tokens [from, from + count) of the stretch, all query heads that share key head `h`.
  void attend_head(const LanguageLayer& layer, size_t number, const Stretch& stretch, size_t first, size_t h,
                   size_t from, size_t count) {
    const size_t dims = m_.head_dim, shared = m_.heads / m_.kv_heads;
    const KeyValueCache& cache = *stretch.cache;
    const size_t head = number * m_.kv_heads + h;
    const Vec to_bits = broadcast(m_.attention_scale * kLog2E);
    alignas(64) float turned[kMostHeadDim], normed[kMostHeadDim];
    const auto put = [&](Activations& to, size_t row, const float* query, const float* phase) {
      rotate(query, phase, turned);
      for (size_t j = 0; j < dims; j += kLanes) store(turned + j, load(turned + j) * to_bits);
      to.quantise(row, turned);
    };
    const size_t last = stretch.position + from + count - 1;
    const bool slid = last >= cache.window() && layer.window == 0;
    size_t rows = 0;
    for (size_t i = from; i < from + count; ++i) {
      const float* const phase = phase_.data() + (first + i) * dims * 2;
      for (size_t q = 0; q < shared; ++q, ++rows) {
        const float* query = wide_.data() + (first + i) * qkv_width() + (h * shared + q) * dims;
        if (layer.q_norm) normal(query, layer.q_norm, dims, normed), query = normed;
        put(queries_, rows, query, phase);
        if (slid) put(sink_queries_, rows, query, phase + dims);
      }
    }
    const size_t slots = cache.used(last + 1), pitch = slots;
    float* const scores = scores_.data();
    const float* const key_scale = cache.key_scale(head);
    const auto score = [&](const Activations& a, size_t begin, size_t end) {
      multiply(cache.keys(head), begin, end, dims, a, 0, rows,
               [=, &a](size_t row, size_t panel, Vec sum) __attribute__((always_inline)) {
                 const Vec bits = ncz::score(sum, broadcast(a.scale(row)), load(key_scale + panel * kLanes));
                 store(scores + row * pitch + panel * kLanes, bits);
               });
    };
    score(slid ? sink_queries_ : queries_, 0, 1);
    score(queries_, 1, slots / kPanelRows);

    const float* const value_scale = cache.value_scale(head);
    const size_t ring = cache.window() - KeyValueCache::kSinks;
    const auto near = static_cast<int32_t>(layer.window ? std::min(layer.window, ring) : ring);
    Array<float>& total = totals_;
    // Few panels hold what some of the rows do not see.
    const auto before = static_cast<int32_t>(stretch.position + from), end = before + static_cast<int32_t>(count);
    uint8_t* const mixed = mixed_.data();
    mixed[0] = 1;
    for (size_t panel = 1; panel < slots / kPanelRows; ++panel) mixed[panel] = !cache.holds(panel, end - near, before);
    for (size_t r = 0; r < rows; ++r) {
      const auto position = before + static_cast<int32_t>(r / shared), oldest = position - near + 1;
      float* const s = scores + r * pitch;
      hide(s, cache, 0, layer.window ? oldest : 0, position);
      for (size_t panel = 1; panel < slots / kPanelRows; ++panel)
        if (mixed[panel]) hide(s, cache, panel, oldest, position);
      total[r] = soften(s, value_scale, slots, r);
    }
    const size_t width = m_.heads * dims;
    float* const out = attended_.data() + (first + from) * width + h * shared * dims;
    multiply(cache.values(head), 0, dims / kPanelRows, slots, weights_, 0, rows,
             [=, &total](size_t row, size_t panel, Vec sum) __attribute__((always_inline)) {
               store(out + row / shared * width + row % shared * dims + panel * kLanes, sum * broadcast(total[row]));
             });
  }
  // Scores of a panel's positions that are not seen become kHidden; all others are -2^60..2^60, however hostile the
  // weights.
  static void hide(float* s, const KeyValueCache& cache, size_t panel, int32_t oldest, int32_t newest) {
    const int32_t* const held = cache.positions();
    for (size_t i = panel * kPanelRows; i < (panel + 1) * kPanelRows; ++i)
      s[i] = held[i] >= oldest && held[i] <= newest ? s[i] : kHidden;
  }
  // From scores in bits to attention weights of 13 bits, or fewer where many are large, the values' scales in them;
  // returns what their sum times a value is to be multiplied with.
  float soften(float* s, const float* value_scale, size_t slots, size_t row) {
    Vec most[4];  // four, since a maximum takes longer than a load
    for (Vec& part : most) part = broadcast(kHidden);
    size_t i = 0;
    for (; i + 4 * kLanes <= slots; i += 4 * kLanes)
      for (size_t k = 0; k < 4; ++k) most[k] = max(most[k], load(s + i + k * kLanes));
    for (; i < slots; i += kLanes) most[0] = max(most[0], load(s + i));
    const Vec top = broadcast(largest(max(max(most[0], most[1]), max(most[2], most[3]))));
    const Vec zero = broadcast(0.0f), one = broadcast(1.0f), between = broadcast(-kHidden / 2);
    Vec heaviest = zero;
    alignas(64) uint32_t counts[kLanes];
    uint32_t total = 0;
    for (size_t begin = 0; begin < slots; begin += kExact) {
      Vec some = zero;
      for (size_t i = begin; i < std::min(begin + kExact, slots); i += kLanes) {
        Vec e = exp2_pinned(load(s + i) - top);
        // Nothing of what is hidden: what lies in its slot depends on how many tokens pass at a time.
        if (mixed_[i / kPanelRows]) e = e * min(max(load(s + i) + between, zero), one);
        some = some + counted(e);
        const Vec weighted = e * load(value_scale + i);
        store(s + i, weighted);
        heaviest = max(heaviest, weighted);
      }
      store_counts(counts, some);
      for (uint32_t count : counts) total += count;
    }
    const float heavy = largest(heaviest);
    float unit = weigh(s, slots, row, scaling(heavy, kFinest));
    if (weights_.sum(row) > kMostWeights)
      unit = weigh(s, slots, row, scaling(heavy, fewer_weights(weights_.sum(row))));
    return attention_unit(unit, total);
  }

  // The weights as integers; returns the unit that they are in.
  float weigh(const float* s, size_t slots, size_t row, Scaling scaling) {
    const Vec factor = broadcast(scaling.factor);
    weights_.fill(row, slots, [=](size_t i) { return nearest(load(s + i) * factor); });
    return scaling.unit;
  }

  static constexpr size_t kExact = 64 * kLanes;  // so many counts of at most 2^17 have sums that binary32 holds

  const LanguageModel& m_;
  Array<float> residual_, wide_, attended_, final_, phase_, scores_;
  Array<uint8_t> mixed_;  // of each panel of slots: whether some of the queries that pass together do not see all of it
  Array<float> totals_{kQueryRows};
  Activations in_hidden_, in_heads_, in_ffn_, queries_, sink_queries_, weights_;
};

}  // namespace ncz::inline NCZ_ISA
