// A language model as its file lays it out: plain numbers and pointers, the same for every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ncz {

// The largest models that are run. Within these every sum of integers stays below 2^31.
inline constexpr size_t kMostWidth = 8192;      // hidden, feed-forward, all heads together
inline constexpr size_t kMostWindow = 8192;     // tokens
inline constexpr size_t kMostHeadDim = 256;
inline constexpr size_t kMostHeadsAKey = 24;    // heads that share a key
inline constexpr size_t kMostVocabulary = (size_t{1} << 22) - 1;
inline constexpr int kMostLanguageTableBits = 26;  // of the mixture: what level 9 takes

// Weights in panels (panel.hpp), a scale for each row, a bias for each row or null. Padding rows have scale 0.
struct LanguageMatrix {
  const uint8_t* panels;
  const float* scale;
  const float* bias;
  size_t rows, columns;
};

// Norms that a family does not have are null.
struct LanguageLayer {
  LanguageMatrix qkv, output, gate_up, down;
  const float *attention_norm, *q_norm, *k_norm, *post_attention_norm, *ffn_norm, *post_ffn_norm;
  const uint32_t* rope;  // phase steps in 2^-32 turns, one for each pair
  size_t window;         // tokens that the layer looks back on; 0: as many as the cache keeps
};

struct LanguageModel {
  size_t hidden, heads, kv_heads, head_dim, ffn, layers;
  float norm_eps, embedding_scale, attention_scale;
  bool gelu;  // else SiLU
  const LanguageLayer* layer;
  LanguageMatrix head, embedding;  // row i is token i of the vocabulary; after its last the beginning of a block
  const float* final_norm;
  const uint8_t* bytes;  // of the vocabulary: string i is bytes[begin[i] .. begin[i + 1])
  const uint32_t* begin;
  size_t vocabulary;
};

}  // namespace ncz
