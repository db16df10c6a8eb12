// The online SSM: a byte-level selective state-space model (after Gu and Dao 2023) that trains while it reads.
//
// A channel is a diagonal recurrence whose decay a, input c and output gate q depend on what is read:
//   a = squash(A), c = 2 squash(C) - 1, q = squash(Q);   h' = a h + sqrt(1 - a^2) c;   y = h' q.
// The first layer adds up (A, C, Q) from tables: one for each of the last bytes, which is a short convolution over
// one-hot bytes without its multiplications, and one that hashed contexts share. The second layer's are a row for the
// last byte and a matrix times the first layer's y. The next byte is a softmax over both layers' y.
//
// The output matrix learns at every byte by plain gradient descent, the rest every kSpan bytes by gradients through
// those bytes, with a root-mean-square rate for each weight (in hashed rows: for each gate of a row). Every step is
// elementwise binary32, or a sum in the order of vec.hpp, so all instruction sets agree. No step can overflow: errors
// and y are below 1, and every rate bounds its step. nczip/reference/ssm.py says the same without the speed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arithmetic.hpp"
#include "array.hpp"
#include "pages.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {
namespace ssm {

inline constexpr int kSpan = 16;  // bytes from one training step to the next, which gradients go back through

// Learning rates, and what a step leaves of the sums of squared gradients. Found by coding text, code and programs.
inline constexpr float kOutputRate = 0.07f;
inline constexpr float kTableRate = 0.25f, kTableDecay = 0.998f;
inline constexpr float kMatrixRate = 0.02f, kMatrixDecay = 0.995f;
inline constexpr float kTinySquare = 1e-8f;

// Weights with the decayed sums of their squared gradients.
class Weights {
 public:
  explicit Weights(size_t size) : size_(size), store_(2 * size) {}
  float* values() { return store_.data(); }

  // RMSprop (Hinton 2012) that starts as Adagrad (Duchi 2011): the decayed sum is not scaled to a mean.
  inline __attribute__((always_inline)) void step(size_t at, Vec gradient, float rate, float decay) {
    float* const square = store_.data() + size_ + at;
    float* const value = store_.data() + at;
    const Vec sum = load(square) * broadcast(decay) + gradient * gradient;
    store(square, sum);
    store(value, load(value) - gradient * broadcast(rate) / square_root(sum + broadcast(kTinySquare)));
  }

 private:
  size_t size_;
  Array<float> store_;
};

// out[column] += matrix[row][column] * x[row], rows in order.
template <int kRows, int kColumns>
inline void add_product(float* out, const float* matrix, const float* x) {
  constexpr int kBlock = kColumns % (8 * kLanes) == 0 ? 8 : 4;
  static_assert(kColumns % (kBlock * kLanes) == 0);
  for (int column = 0; column < kColumns; column += kBlock * kLanes) {
    Vec total[kBlock];
    for (int i = 0; i < kBlock; ++i) total[i] = load(out + column + i * kLanes);
    for (int row = 0; row < kRows; ++row) {
      const Vec factor = broadcast(x[row]);
      const float* const w = matrix + row * kColumns + column;
      for (int i = 0; i < kBlock; ++i) total[i] = total[i] + load(w + i * kLanes) * factor;
    }
    for (int i = 0; i < kBlock; ++i) store(out + column + i * kLanes, total[i]);
  }
}

// The channels of a layer over one span.
template <int kWidth>
struct alignas(64) Recurrence {
  static constexpr int kGates = 3 * kWidth;  // every A, then every C, then every Q
  float gates[kSpan][kGates];                // before the squash; after backward(), their gradients
  float a[kSpan][kWidth], input_scale[kSpan][kWidth], c[kSpan][kWidth], q[kSpan][kWidth];
  float before[kSpan][kWidth], h[kSpan][kWidth];
  float y[kSpan][kWidth], dy[kSpan][kWidth];  // dy: gradient of the cost
  float state[kWidth];

  void forward(int t) {
    const Vec one = broadcast(1.0f);
    for (int i = 0; i < kWidth; i += kLanes) {
      const Vec decay = squash(load(gates[t] + i));
      const Vec half = squash(load(gates[t] + kWidth + i));
      const Vec gate = squash(load(gates[t] + 2 * kWidth + i));
      const Vec content = half + half - one;
      const Vec scale = square_root(one - decay * decay);
      const Vec old = load(state + i);
      const Vec now = decay * old + scale * content;
      store(a[t] + i, decay);
      store(c[t] + i, content);
      store(q[t] + i, gate);
      store(input_scale[t] + i, scale);
      store(before[t] + i, old);
      store(h[t] + i, now);
      store(state + i, now);
      store(y[t] + i, now * gate);
    }
  }

  // The gradients of A, C and Q from dy. The factor ln 2 of a squash in bits is left out everywhere: rates absorb it.
  void backward() {
    const Vec half = broadcast(0.5f);
    for (int i = 0; i < kWidth; i += kLanes) {
      Vec dh = broadcast(0.0f);
      for (int t = kSpan - 1; t >= 0; --t) {
        const Vec decay = load(a[t] + i), content = load(c[t] + i), gate = load(q[t] + i);
        const Vec scale = load(input_scale[t] + i), out = load(dy[t] + i);
        dh = dh + out * gate;
        const Vec da = dh * (load(before[t] + i) - content * decay / (scale + broadcast(1e-6f)));
        store(gates[t] + i, da * (decay - decay * decay));
        store(gates[t] + kWidth + i, dh * scale * (half - half * content * content));
        store(gates[t] + 2 * kWidth + i, out * load(h[t] + i) * (gate - gate * gate));
        dh = dh * decay;
      }
    }
  }
};

// kFirst, kSecond: channels of the two layers, multiples of 64.
template <int kFirst, int kSecond>
class SelectiveModel {
 public:
  static constexpr int kLeastRowBits = 12, kMostRowBits = 17;

  // Enough rows (their log2) for the hashed contexts of so many bytes.
  static int row_bits(size_t raw_size) {
    int bits = kLeastRowBits;
    while (bits < kMostRowBits && raw_size >> bits) ++bits;
    return bits;
  }
  static size_t memory(int row_bits = kLeastRowBits) {
    return sizeof(SelectiveModel) + (sizeof(float) * kHashedRow << row_bits) +
           sizeof(float) * 2 * (256 * kFirstGates * kLastBytes + 256 * kSecondGates + kFirst * kSecondGates);
  }

  explicit SelectiveModel(int row_bits = kLeastRowBits)
      : row_bits_(row_bits), hashed_(sizeof(float) * kHashedRow << row_bits) {
    for (int k = 0; k < kLastBytes; ++k)
      for (int i = 0; i < 256 * kFirstGates; ++i) last_byte_[k].values()[i] = 0.5f * noise();
    for (int i = 0; i < 256 * kSecondGates; ++i) second_byte_.values()[i] = 0.1f * noise();
    for (int i = 0; i < kFirst * kSecondGates; ++i) matrix_.values()[i] = 0.125f * noise();
    spread<kFirst>(last_byte_[0].values());
    spread<kSecond>(second_byte_.values());
    rows_[0] = find_rows();
    forward();
  }

  // sums[0..256]: partial sums over the byte values in order. Steps are at least 1, sums[256] at most 2^30 + 256.
  void predict(uint32_t* sums) const {
    uint32_t sum = 0;
    for (int i = 0; i < 256; ++i) {
      sums[i] = sum;
      sum += counts_[i];
    }
    sums[256] = sum;
  }

  void update(uint8_t byte) {
    uint32_t total = 0;
    for (const uint32_t count : counts_) total += count;
    const Vec scale = broadcast(1.0f / static_cast<float>(total));
    for (int i = 0; i < 256; i += kLanes) store(error_ + i, load_counts(counts_ + i) * scale);
    error_[byte] -= 1.0f;
    read(byte);
    const Rows next = find_rows();
    learn_output();
    if (++t_ == kSpan) {
      learn();
      t_ = 0;
    }
    rows_[t_] = next;
    forward();
  }

 private:
  static constexpr int kFirstGates = 3 * kFirst, kSecondGates = 3 * kSecond;
  static constexpr int kLastBytes = 3;  // tables of the first layer: the last byte, the one before, ...
  static constexpr int kContexts = 6;   // rows that hashed contexts choose
  static constexpr int kHashedRow = kFirstGates + kLanes;  // values, then a sum of squares for each gate, and padding

  struct Rows {
    uint8_t byte[kLastBytes];
    size_t hashed[kContexts];  // where they begin
  };
  float* hashed_row(size_t begin) const { return reinterpret_cast<float*>(hashed_.data()) + begin; }

  // Uniform in [-1, 1) on multiples of 2^-23.
  float noise() {
    seed_ = seed_ * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<int32_t>(seed_) >> 8) * 0x1p-23f;
  }

  // Adds to A what spreads the channels over time scales: a from 1/3 to 64/65.
  template <int kWidth>
  static void spread(float* rows) {
    for (int row = 0; row < 256; ++row)
      for (int i = 0; i < kWidth; ++i) rows[row * 3 * kWidth + i] += 7.0f * static_cast<float>(i) / (kWidth - 1) - 1.0f;
  }

  void read(uint8_t byte) {
    history_ = history_ << 8 | byte;
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte >= 128) {
      word_ = (word_ + (byte | 32)) * 0x2f0b4c47u;
    } else if (word_) {
      last_word_ = word_;
      word_ = 0;
    }
  }

  Rows find_rows() {
    Rows rows;
    for (int k = 0; k < kLastBytes; ++k) rows.byte[k] = static_cast<uint8_t>(history_ >> 8 * k);
    const uint64_t contexts[kContexts] = {history_ & 0xffff,
                                          history_ & 0xffffff,
                                          history_ & 0xffffffff,
                                          history_ & 0xffffffffffff,
                                          uint64_t{last_word_} << 8 | (history_ & 0xff),
                                          word_};
    for (int k = 0; k < kContexts; ++k) {
      constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
      uint64_t hash = (contexts[k] | static_cast<uint64_t>(k + 1) << 56) * kGolden;
      hash = (hash ^ hash >> 32) * kGolden;
      rows.hashed[k] = (hash >> (64 - row_bits_)) * kHashedRow;
      for (int i = 0; i < kHashedRow; i += kLanes) __builtin_prefetch(hashed_row(rows.hashed[k]) + i);
    }
    return rows;
  }

  void forward() {
    const Rows& rows = rows_[t_];
    float* const gates = first_.gates[t_];
    for (int i = 0; i < kFirstGates; i += kLanes) {
      Vec total = load(last_byte_[0].values() + rows.byte[0] * kFirstGates + i);
      for (int k = 1; k < kLastBytes; ++k)
        total = total + load(last_byte_[k].values() + rows.byte[k] * kFirstGates + i);
      for (int k = 0; k < kContexts; ++k) total = total + load(hashed_row(rows.hashed[k]) + i);
      store(gates + i, total);
    }
    first_.forward(t_);

    float* const second = second_.gates[t_];
    for (int i = 0; i < kSecondGates; i += kLanes)
      store(second + i, load(second_byte_.values() + rows.byte[0] * kSecondGates + i));
    add_product<kFirst, kSecondGates>(second, matrix_.values(), first_.y[t_]);
    second_.forward(t_);

    alignas(64) float logits[256];
    for (int i = 0; i < 256; i += kLanes) store(logits + i, load(bias_ + i));
    add_product<kFirst, 256>(logits, output_[0], first_.y[t_]);
    add_product<kSecond, 256>(logits, output_[kFirst], second_.y[t_]);
    float top = logits[0];
    for (const float x : logits) top = top < x ? x : top;
    const Vec shift = broadcast(top - 22.0f);  // the likeliest byte's count is 2^22, exact in binary32
    for (int i = 0; i < 256; i += kLanes)
      store_counts(counts_ + i, exp2_pinned(load(logits + i) - shift) + broadcast(1.0f));
  }

  void learn_output() {
    for (int i = 0; i < 256; i += kLanes)
      store(bias_ + i, load(bias_ + i) - load(error_ + i) * broadcast(kOutputRate));
    learn_output_rows<kFirst>(output_[0], first_.y[t_], first_.dy[t_]);
    learn_output_rows<kSecond>(output_[kFirst], second_.y[t_], second_.dy[t_]);
  }

  // dy = matrix . error with the weights that predicted; then their step.
  template <int kWidth>
  void learn_output_rows(float* matrix, const float* y, float* dy) {
    for (int row = 0; row < kWidth; row += kLanes) {
      Vec total[kLanes];
      for (int k = 0; k < kLanes; ++k) {
        const Vec step = broadcast(y[row + k] * kOutputRate);
        float* const w = matrix + (row + k) * 256;
        total[k] = broadcast(0.0f);
        for (int i = 0; i < 256; i += kLanes) {
          const Vec error = load(error_ + i), weight = load(w + i);
          total[k] = total[k] + weight * error;
          store(w + i, weight - error * step);
        }
      }
      store(dy + row, sums(total));
    }
  }

  void learn() {
    second_.backward();
    push_down();
    learn_matrix();
    for (int t = 0; t < kSpan; ++t)
      for (int i = 0; i < kSecondGates; i += kLanes)
        second_byte_.step(rows_[t].byte[0] * kSecondGates + i, load(second_.gates[t] + i), kTableRate, kTableDecay);
    first_.backward();
    for (int t = 0; t < kSpan; ++t) {
      for (int k = 0; k < kLastBytes; ++k)
        for (int i = 0; i < kFirstGates; i += kLanes)
          last_byte_[k].step(rows_[t].byte[k] * kFirstGates + i, load(first_.gates[t] + i), kTableRate, kTableDecay);
      learn_hashed(rows_[t], first_.gates[t]);
    }
  }

  void learn_hashed(const Rows& rows, const float* gradient) {
    for (int gate = 0; gate < 3; ++gate) {
      const float* const g = gradient + gate * kFirst;
      Vec total = broadcast(0.0f);
      for (int i = 0; i < kFirst; i += kLanes) total = total + load(g + i) * load(g + i);
      const float mean_square = sum(total) * (1.0f / kFirst);
      for (const size_t begin : rows.hashed) {
        float* const row = hashed_row(begin);
        float& square = row[kFirstGates + gate];
        square = square * kTableDecay + mean_square;
        const Vec rate = broadcast(kTableRate / ncz::square_root(square + kTinySquare));
        float* const w = row + gate * kFirst;
        for (int i = 0; i < kFirst; i += kLanes) store(w + i, load(w + i) - load(g + i) * rate);
      }
    }
  }

  // dy of the first layer += matrix . gradients of the second's gates.
  void push_down() {
    constexpr int kBlock = 4;
    static_assert(kBlock * kBlock == kLanes && kSpan % kBlock == 0);
    for (int t = 0; t < kSpan; t += kBlock)
      for (int row = 0; row < kFirst; row += kBlock) {
        Vec total[kLanes];
        for (Vec& v : total) v = broadcast(0.0f);
        for (int i = 0; i < kSecondGates; i += kLanes) {
          Vec weight[kBlock];
          for (int r = 0; r < kBlock; ++r) weight[r] = load(matrix_.values() + (row + r) * kSecondGates + i);
          for (int k = 0; k < kBlock; ++k) {
            const Vec gradient = load(second_.gates[t + k] + i);
            for (int r = 0; r < kBlock; ++r) total[k * kBlock + r] = total[k * kBlock + r] + weight[r] * gradient;
          }
        }
        alignas(64) float added[kLanes];
        store(added, sums(total));
        for (int k = 0; k < kBlock; ++k)
          for (int r = 0; r < kBlock; ++r) first_.dy[t + k][row + r] += added[k * kBlock + r];
      }
  }

  // One step of the matrix with the sum of the span's gradients, t in order.
  void learn_matrix() {
    constexpr int kBlock = 4;
    for (int row = 0; row < kFirst; row += kBlock)
      for (int column = 0; column < kSecondGates; column += kBlock * kLanes) {
        Vec gradient[kBlock][kBlock];
        for (auto& line : gradient)
          for (Vec& v : line) v = broadcast(0.0f);
        for (int t = 0; t < kSpan; ++t) {
          Vec above[kBlock];
          for (int k = 0; k < kBlock; ++k) above[k] = load(second_.gates[t] + column + k * kLanes);
          for (int r = 0; r < kBlock; ++r) {
            const Vec below = broadcast(first_.y[t][row + r]);
            for (int k = 0; k < kBlock; ++k) gradient[r][k] = gradient[r][k] + above[k] * below;
          }
        }
        for (int r = 0; r < kBlock; ++r)
          for (int k = 0; k < kBlock; ++k)
            matrix_.step((row + r) * kSecondGates + column + k * kLanes, gradient[r][k], kMatrixRate, kMatrixDecay);
      }
  }

  const int row_bits_;
  Weights last_byte_[kLastBytes] = {Weights(256 * kFirstGates), Weights(256 * kFirstGates), Weights(256 * kFirstGates)};
  Weights second_byte_{256 * kSecondGates}, matrix_{kFirst * kSecondGates};
  Pages hashed_;
  Recurrence<kFirst> first_ = {};
  Recurrence<kSecond> second_ = {};
  alignas(64) float output_[kFirst + kSecond][256] = {};
  alignas(64) float bias_[256] = {}, error_[256] = {};
  alignas(64) uint32_t counts_[256] = {};
  uint64_t history_ = 0;                   // the last eight bytes
  uint32_t word_ = 0, last_word_ = 0;      // hashes of the letters since the last other byte, and of the run before
  Rows rows_[kSpan] = {};
  int t_ = 0;  // place in the span of the byte that is predicted
  uint32_t seed_ = 0x6e637a;
};

}  // namespace ssm

using Ssm = ssm::SelectiveModel<128, 64>;

}  // namespace ncz::inline NCZ_ISA
