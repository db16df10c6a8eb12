// The mixture compiled for one instruction set (NCZ_ISA names it and the namespace).
#include <algorithm>

#include "isa.hpp"
#include "range_coder.hpp"

#define NCZ_STRING2(x) #x
#define NCZ_STRING(x) NCZ_STRING2(x)

namespace ncz::NCZ_ISA {

namespace {

class Model {
 public:
  explicit Model(size_t) : counters_(1 << 16, kTotal / 2) {}
  uint32_t predict() const { return counters_[slot()]; }
  void update(int bit) {
    uint32_t& p = counters_[slot()];
    if (bit) p += (kTotal - p) >> 5; else p -= p >> 5;
    p = std::clamp(p, uint32_t{1024}, kTotal - 1024);
    partial_ = partial_ * 2 + static_cast<uint32_t>(bit);
    if (partial_ >= 256) { last_ = partial_ & 255; partial_ = 1; }
  }
  uint32_t partial() const { return partial_; }
 private:
  size_t slot() const { return last_ * 256 + partial_; }
  std::vector<uint32_t> counters_;
  uint32_t last_ = 0, partial_ = 1;
};

class Encoder final : public BlockEncoder {
 public:
  Encoder(const uint8_t* raw, size_t size) : raw_(raw), size_(size), model_(size) {}
  size_t advance(size_t bytes) override {
    for (const size_t end = at_ + std::min(bytes, size_ - at_); at_ < end; ++at_)
      for (int i = 7; i >= 0; --i) {
        const int bit = raw_[at_] >> i & 1;
        coder_.encode_bit(bit, model_.predict());
        model_.update(bit);
      }
    return at_;
  }
  size_t packed_size() const override { return coder_.words() * 4; }
  std::vector<uint8_t> finish() override { return coder_.finish(); }
 private:
  const uint8_t* raw_;
  size_t size_, at_ = 0;
  Model model_;
  RangeEncoder coder_;
};

class Decoder final : public BlockDecoder {
 public:
  Decoder(size_t raw_size, const uint8_t* packed, size_t size) : model_(raw_size), coder_(packed, size) {}
  size_t decode(uint8_t* out, size_t bytes) override {
    for (size_t i = 0; i < bytes; ++i) {
      uint32_t byte = 1;
      while (byte < 256) {
        const int bit = coder_.decode_bit(model_.predict());
        model_.update(bit);
        byte = byte * 2 + static_cast<uint32_t>(bit);
      }
      out[i] = static_cast<uint8_t>(byte);
    }
    return bytes;
  }
 private:
  Model model_;
  RangeDecoder coder_;
};

}  // namespace

extern const Core kCore;
const Core kCore = {
    NCZ_STRING(NCZ_ISA),
    [](MixtureConfig, const uint8_t* raw, size_t size) -> std::unique_ptr<BlockEncoder> { return std::make_unique<Encoder>(raw, size); },
    [](MixtureConfig, size_t raw_size, const uint8_t* packed, size_t size) -> std::unique_ptr<BlockDecoder> {
      return std::make_unique<Decoder>(raw_size, packed, size); },
    [](MixtureConfig, size_t) -> size_t { return 1 << 18; }};

}  // namespace ncz::NCZ_ISA
