// The online SSM: a byte-level selective state-space model (after Gu and Dao, 2023) that trains while it reads.
//
// Every channel of a layer is a diagonal recurrence whose decay, input and output gate depend on the input:
//   a = squash(A), c = 2 squash(C) - 1, q = squash(Q);  h = a h + sqrt(1 - a^2) c;  y = h q.
// The first layer reads (A, C, Q) from tables indexed by each of the last bytes, which is a short convolution over
// one-hot bytes without its multiplications; later layers add a matrix product of the layer below. The next byte's
// distribution is a softmax over all layers' outputs. Gradients run back through kSpan bytes; the output matrix
// learns at every byte. All of it is elementwise binary32 in a fixed order, so every instruction set gives the same
// bits. Include only from files compiled once for each instruction set.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "arithmetic.hpp"
#include "array.hpp"
#include "vec.hpp"

namespace ncz::inline NCZ_ISA {

class Ssm {
 public:
  Ssm() {
    for (int layer = 0; layer < kLayers; ++layer) {
      for (int i = 0; i < tables(layer); ++i) {
        Weights& table = tables_[layer][i];
        table.resize(size_t{256} * kGates);
        for (float* w = table.values(); w < table.values() + table.size(); ++w) *w = noise() * (layer ? 0.1f : 0.5f);
      }
      float* table = tables_[layer][0].values();
      for (int row = 0; row < 256; ++row)
        for (int i = 0; i < kWidth; ++i) table[row * kGates + i] += -1.0f + 7.0f * static_cast<float>(i) / (kWidth - 1);
      if (layer) {
        matrix_[layer].resize(size_t{kWidth} * kGates);
        float* matrix = matrix_[layer].values();
        for (size_t i = 0; i < matrix_[layer].size(); ++i) matrix[i] = noise() * 0x1p-3f;
      }
    }
    output_ = Array<Vec>(size_t{kLayers} * kWidth * 256 / kLanes);
    forward();
  }

  // sums[0..256]: partial sums over the byte values in order, each step at least 1, sums[256] < 2^31.
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
    for (uint32_t count : counts_) total += count;
    const Vec scale = broadcast(1.0f / static_cast<float>(total));
    for (int i = 0; i < 256; i += kLanes) store(error_ + i, load_counts(counts_ + i) * scale);
    error_[byte] -= 1.0f;
    for (int i = 0; i < 256; i += kLanes) store(bias_ + i, load(bias_ + i) - load(error_ + i) * broadcast(kOutputRate));
    for (int layer = 0; layer < kLayers; ++layer)
      learn_output(output(layer), steps_[layer].y[at_], steps_[layer].dy[at_]);
    history_ = history_ << 8 | byte;
    if (++at_ == kSpan) {
      for (int layer = kLayers - 1; layer >= 0; --layer) backward(layer);
      at_ = 0;
    }
    forward();
  }

  static size_t memory() {
    size_t floats = size_t{kLayers} * kWidth * 256;
    for (int layer = 0; layer < kLayers; ++layer)
      floats += 2 * (size_t{256} * kGates * tables(layer) + (layer ? size_t{kWidth} * kGates : 0));
    return floats * sizeof(float) + sizeof(Ssm);
  }

 private:
  static constexpr int kLayers = 2, kWidth = 128, kGates = 3 * kWidth, kSpan = 16, kOrders = 4;
  static constexpr float kOutputRate = 0.1f, kTableRate = 0.4f, kMatrixRate = 0.02f;
  static constexpr float kTableDecay = 0.99f, kMatrixDecay = 0.995f;

  static constexpr int tables(int layer) { return layer ? 1 : kOrders; }

  // Parameters with their decayed sums of squared gradients.
  class Weights {
   public:
    void resize(size_t n) { size_ = n, store_ = Array<Vec>(2 * n / kLanes); }
    size_t size() const { return size_; }
    float* values() { return reinterpret_cast<float*>(store_.data()); }
    float* squares() { return values() + size_; }
    // One step of RMSprop (Hinton, 2012) that starts as Adagrad: the decayed sum is not normalised.
    inline __attribute__((always_inline)) void step(size_t at, Vec gradient, float rate, float decay) {
      float* const square = squares() + at;
      float* const value = values() + at;
      const Vec s = load(square) * broadcast(decay) + gradient * gradient;
      store(square, s);
      store(value, load(value) - gradient * broadcast(rate) / square_root(s + broadcast(1e-8f)));
    }

   private:
    size_t size_ = 0;
    Array<Vec> store_;
  };

  struct alignas(64) Steps {
    float a[kSpan][kWidth], scale[kSpan][kWidth], c[kSpan][kWidth], q[kSpan][kWidth];
    float before[kSpan][kWidth], h[kSpan][kWidth], y[kSpan][kWidth], dy[kSpan][kWidth], dgates[kSpan][kGates];
  };

  float noise() {
    seed_ = seed_ * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<int32_t>(seed_) >> 8) * 0x1p-23f;
  }
  float* output(int layer) { return reinterpret_cast<float*>(output_.data()) + size_t{kWidth} * 256 * layer; }

  // out[n] += matrix[m][n] x[m], rows in order.
  template <int kRows, int kColumns>
  static void add_product(float* out, const float* matrix, const float* x) {
    constexpr int kBlock = 8;
    for (int n = 0; n < kColumns; n += kBlock * kLanes) {
      Vec acc[kBlock];
      for (int i = 0; i < kBlock; ++i) acc[i] = load(out + n + i * kLanes);
      for (int row = 0; row < kRows; ++row) {
        const Vec factor = broadcast(x[row]);
        const float* w = matrix + row * kColumns + n;
        for (int i = 0; i < kBlock; ++i) acc[i] = acc[i] + load(w + i * kLanes) * factor;
      }
      for (int i = 0; i < kBlock; ++i) store(out + n + i * kLanes, acc[i]);
    }
  }

  void forward() {
    for (int k = 0; k < kOrders; ++k) rows_[at_][k] = static_cast<uint8_t>(history_ >> (8 * k));
    const Vec one = broadcast(1.0f);
    for (int layer = 0; layer < kLayers; ++layer) {
      alignas(64) float gates[kGates];
      const float* const first = tables_[layer][0].values() + row(0, at_) * kGates;
      for (int i = 0; i < kGates; i += kLanes) {
        Vec sum = load(first + i);
        for (int k = 1; k < tables(layer); ++k) sum = sum + load(tables_[layer][k].values() + row(k, at_) * kGates + i);
        store(gates + i, sum);
      }
      if (layer) add_product<kWidth, kGates>(gates, matrix_[layer].values(), steps_[layer - 1].y[at_]);
      Steps& s = steps_[layer];
      const float* const before = s.h[(at_ + kSpan - 1) % kSpan];
      for (int i = 0; i < kWidth; i += kLanes) {
        const Vec a = squash(load(gates + i));
        const Vec c = broadcast(2.0f) * squash(load(gates + kWidth + i)) - one;
        const Vec q = squash(load(gates + 2 * kWidth + i));
        const Vec scale = square_root(one - a * a);
        const Vec h_before = load(before + i);
        const Vec h = a * h_before + scale * c;
        store(s.before[at_] + i, h_before);
        store(s.a[at_] + i, a);
        store(s.scale[at_] + i, scale);
        store(s.c[at_] + i, c);
        store(s.q[at_] + i, q);
        store(s.h[at_] + i, h);
        store(s.y[at_] + i, h * q);
      }
    }
    alignas(64) float logits[256];
    std::memcpy(logits, bias_, sizeof logits);
    for (int layer = 0; layer < kLayers; ++layer) add_product<kWidth, 256>(logits, output(layer), steps_[layer].y[at_]);
    float top = logits[0];
    for (float x : logits) top = top < x ? x : top;
    const Vec shift = broadcast(top - 22.0f);
    for (int i = 0; i < 256; i += kLanes) store_counts(counts_ + i, exp2_pinned(load(logits + i) - shift) + one);
  }

  // The gradient of y, then one step of the matrix, row by row.
  void learn_output(float* matrix, const float* y, float* dy) {
    for (int row = 0; row < kWidth; row += kLanes) {
      Vec acc[kLanes];
      for (int k = 0; k < kLanes; ++k) {
        const Vec step = broadcast(y[row + k] * kOutputRate);
        float* const w = matrix + (row + k) * 256;
        acc[k] = broadcast(0.0f);
        for (int i = 0; i < 256; i += kLanes) {
          const Vec error = load(error_ + i), weight = load(w + i);
          acc[k] = acc[k] + weight * error;
          store(w + i, weight - error * step);
        }
      }
      store(dy + row, sums(acc));
    }
  }

  void backward(int layer) {
    Steps& s = steps_[layer];
    const Vec half = broadcast(0.5f);
    for (int i = 0; i < kWidth; i += kLanes) {
      Vec dh = broadcast(0.0f);
      for (int t = kSpan - 1; t >= 0; --t) {
        const Vec a = load(s.a[t] + i), scale = load(s.scale[t] + i), c = load(s.c[t] + i), q = load(s.q[t] + i);
        const Vec dy = load(s.dy[t] + i);
        dh = dh + dy * q;
        const Vec da = dh * (load(s.before[t] + i) - c * a / (scale + broadcast(1e-6f)));
        store(s.dgates[t] + i, da * (a - a * a));
        store(s.dgates[t] + kWidth + i, dh * scale * (half - half * c * c));
        store(s.dgates[t] + 2 * kWidth + i, dy * load(s.h[t] + i) * (q - q * q));
        dh = dh * a;
      }
    }
    if (layer) {
      push_down(layer);
      learn_matrix(layer);
    }
    for (int t = 0; t < kSpan; ++t)
      for (int k = 0; k < tables(layer); ++k)
        for (int i = 0; i < kGates; i += kLanes)
          tables_[layer][k].step(row(k, t) * kGates + i, load(s.dgates[t] + i), kTableRate, kTableDecay);
  }

  void push_down(int layer) {  // dy of the layer below += matrix . dgates
    constexpr int kBlock = 4;
    Steps& below = steps_[layer - 1];
    for (int t = 0; t < kSpan; t += kBlock)
      for (int row = 0; row < kWidth; row += kBlock) {
        Vec acc[kBlock * kBlock];
        for (Vec& v : acc) v = broadcast(0.0f);
        const float* const w = matrix_[layer].values() + row * kGates;
        for (int i = 0; i < kGates; i += kLanes) {
          Vec weight[kBlock];
          for (int r = 0; r < kBlock; ++r) weight[r] = load(w + r * kGates + i);
          for (int k = 0; k < kBlock; ++k) {
            const Vec d = load(steps_[layer].dgates[t + k] + i);
            for (int r = 0; r < kBlock; ++r) acc[k * kBlock + r] = acc[k * kBlock + r] + weight[r] * d;
          }
        }
        alignas(64) float out[kLanes];
        store(out, sums(acc));
        for (int k = 0; k < kBlock; ++k)
          for (int r = 0; r < kBlock; ++r) below.dy[t + k][row + r] += out[k * kBlock + r];
      }
  }

  void learn_matrix(int layer) {
    constexpr int kBlock = 4;
    for (int row = 0; row < kWidth; row += kBlock)
      for (int i = 0; i < kGates; i += kBlock * kLanes) {
        Vec gradient[kBlock][kBlock];
        for (auto& line : gradient)
          for (Vec& v : line) v = broadcast(0.0f);
        for (int t = 0; t < kSpan; ++t) {
          Vec d[kBlock];
          for (int k = 0; k < kBlock; ++k) d[k] = load(steps_[layer].dgates[t] + i + k * kLanes);
          for (int r = 0; r < kBlock; ++r) {
            const Vec x = broadcast(steps_[layer - 1].y[t][row + r]);
            for (int k = 0; k < kBlock; ++k) gradient[r][k] = gradient[r][k] + d[k] * x;
          }
        }
        for (int r = 0; r < kBlock; ++r)
          for (int k = 0; k < kBlock; ++k)
            matrix_[layer].step((row + r) * kGates + i + k * kLanes, gradient[r][k], kMatrixRate, kMatrixDecay);
      }
  }

  // Row of table k at step t: the byte k + 1 places before the one that step predicts.
  size_t row(int k, int t) const { return rows_[t][k]; }

  Weights tables_[kLayers][kOrders], matrix_[kLayers];
  Array<Vec> output_;
  Steps steps_[kLayers] = {};
  alignas(64) float bias_[256] = {}, error_[256] = {};
  alignas(64) uint32_t counts_[256] = {};
  uint64_t history_ = 0;
  uint8_t rows_[kSpan][kOrders] = {};
  int at_ = 0;
  uint32_t seed_ = 0x6e637a;
};

}  // namespace ncz::inline NCZ_ISA
