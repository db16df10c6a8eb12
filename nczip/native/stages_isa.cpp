// The stages that the tests see, compiled for one instruction set: NCZ_ISA is its name and namespace.
#include "stages.hpp"

#include <cstring>

#include "cdf.hpp"
#include "range_coder.hpp"
#include "ssm.hpp"
#include "token_weights.hpp"
#include "vec.hpp"

#define NCZ_TO_STRING(x) #x
#define NCZ_NAME_OF(x) NCZ_TO_STRING(x)

namespace ncz::inline NCZ_ISA {
namespace {

template <Vec (*kFunction)(Vec)>
void lanes(const float* x, float* y, size_t vectors) {
  for (size_t i = 0; i < vectors * kLanes; i += kLanes) store(y + i, kFunction(load(x + i)));
}

void vector_sums(const float* x, float* y, size_t vectors) {
  for (size_t i = 0; i < vectors; ++i) {
    Vec terms[kLanes];
    for (size_t k = 0; k < kLanes; ++k) terms[k] = load(x + (i * kLanes + k) * kLanes);
    store(y + i * kLanes, sums(terms));
  }
}

size_t spell(StringList strings, const uint32_t* sums, size_t token, Decision* decisions, size_t room) {
  Walk walk({strings.bytes, strings.begin, strings.size}, sums);
  size_t count = 0;
  for (; !walk.done() && count < room; ++count) {
    const bool answer = walk.answer(token);
    decisions[count] = {walk.one(), walk.total(), answer};
    walk.take(answer);
  }
  return count;
}

size_t read(StringList strings, const uint32_t* sums, const uint8_t* answers, size_t count) {
  Walk walk({strings.bytes, strings.begin, strings.size}, sums);
  for (size_t i = 0; i < count; ++i) {
    if (walk.done()) return SIZE_MAX;
    walk.take(answers[i] != 0);
  }
  return walk.done() ? walk.token() : SIZE_MAX;
}

size_t finish(RangeEncoder& coder, uint8_t* packed) {
  const Packed bytes = coder.finish();
  if (bytes.size) std::memcpy(packed, bytes.data, bytes.size);
  return bytes.size;
}

size_t encode(const uint32_t* left, const uint32_t* width, size_t n, uint8_t* packed) {
  RangeEncoder coder;
  for (size_t i = 0; i < n; ++i) coder.encode(left[i], width[i]);
  return finish(coder, packed);
}

size_t encode_bits(const uint8_t* bits, const uint32_t* p1, size_t n, uint8_t* packed) {
  RangeEncoder coder;
  for (size_t i = 0; i < n; ++i) coder.encode_bit(bits[i], p1[i]);
  return finish(coder, packed);
}

void decode(const uint8_t* packed, size_t size, const uint32_t* left, const uint32_t* width, size_t n, uint32_t* points) {
  RangeDecoder coder(packed, size);
  for (size_t i = 0; i < n; ++i) {
    points[i] = coder.peek();
    coder.take(left[i], width[i]);
  }
}

void decode_bits(const uint8_t* packed, size_t size, const uint32_t* p1, size_t n, uint8_t* bits) {
  RangeDecoder coder(packed, size);
  for (size_t i = 0; i < n; ++i) bits[i] = static_cast<uint8_t>(coder.decode_bit(p1[i]));
}

void token_sums(const float* logits, const float* head_scale, size_t vocabulary, float rate, const uint32_t* tokens,
                size_t count, uint64_t* sums) {
  LanguageModel model{};
  model.vocabulary = vocabulary;
  model.head.scale = head_scale;
  TokenWeights weights(model, rate);
  Array<float> row(TokenWeights::padded(vocabulary));
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(row.data(), logits + i * vocabulary, vocabulary * sizeof(float));
    weights.load(row.data());
    for (size_t token = 0; token <= vocabulary; ++token) *sums++ = weights[token];
    weights.learn(tokens[i]);
  }
}

class OnlineSsm final : public SsmStage {
 public:
  explicit OnlineSsm(int row_bits) : model_(row_bits) {}
  void predict(uint32_t* sums) const override { model_.predict(sums); }
  void update(uint8_t byte) override { model_.update(byte); }

 private:
  Ssm model_;
};

std::unique_ptr<SsmStage> online_ssm(int row_bits) { return std::make_unique<OnlineSsm>(row_bits); }

}  // namespace

extern const Stages kStages;
const Stages kStages = {NCZ_NAME_OF(NCZ_ISA), lanes<exp2_pinned>, lanes<log2_pinned>, lanes<squash>, lanes<stretch>,
                        lanes<square_root>,   vector_sums,        make_cdf,           spell,         read,
                        encode,               encode_bits,        decode,             decode_bits,   token_sums,
                        online_ssm,           Ssm::row_bits};

}  // namespace ncz::inline NCZ_ISA
