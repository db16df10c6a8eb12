// Python's view of language models: a model made of arrays, and its blocks in both directions.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "configs.hpp"
#include "isa.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// The arrays of a model file, which this keeps alive, put together.
class LanguageModel {
 public:
  LanguageModel(const LanguageModel&) = delete;
  LanguageModel& operator=(const LanguageModel&) = delete;

  LanguageModel(nb::dict architecture, nb::list attention, nb::dict tensors) : tensors_(tensors) {
    const auto number = [&](const char* name) { return std::min(nb::cast<size_t>(architecture[name]), kMany); };
    model_.hidden = number("hidden"), model_.heads = number("heads"), model_.kv_heads = number("kv_heads");
    model_.head_dim = number("head_dim"), model_.ffn = number("ffn"), model_.layers = number("layers");
    model_.norm_eps = nb::cast<float>(architecture["norm_eps"]);
    model_.embedding_scale = nb::cast<float>(architecture["embedding_scale"]);
    model_.attention_scale = nb::cast<float>(architecture["attention_scale"]);
    model_.gelu = nb::cast<std::string>(architecture["activation"]) == "gelu_tanh";
    const size_t m = model_.hidden, heads = model_.heads * model_.head_dim, ffn = model_.ffn;
    const size_t qkv = heads + 2 * model_.kv_heads * model_.head_dim;
    const size_t most = std::max({m, heads, ffn});
    if (!m || !model_.heads || !model_.kv_heads || !model_.head_dim || !ffn || !model_.layers || m % 16 || ffn % 16 ||
        model_.head_dim % 16 || model_.head_dim > ncz::kMostHeadDim || model_.heads % model_.kv_heads ||
        most > ncz::kMostWidth || model_.heads / model_.kv_heads > ncz::kMostHeadsAKey || model_.layers == kMany)
      throw nb::value_error("the language model has a shape that this version cannot run");
    model_.begin = numbers<uint32_t>("vocabulary.begin", 2);
    model_.vocabulary = size_of("vocabulary.begin") / 4 - 1;
    if (model_.vocabulary < 256 || model_.vocabulary > ncz::kMostVocabulary)
      throw nb::value_error("a vocabulary of a size that cannot be");
    model_.bytes = numbers<uint8_t>("vocabulary.bytes", model_.begin[model_.vocabulary]);
    model_.head = matrix("head", (model_.vocabulary + 16) / 16 * 16, m);
    model_.embedding = tensors_.contains("embedding") ? matrix("embedding", model_.head.rows, m) : model_.head;
    model_.final_norm = numbers<float>("final_norm", m);
    const nb::list kinds = nb::cast<nb::list>(architecture["layer_kinds"]);
    if (kinds.size() != model_.layers) throw nb::value_error("as many kinds as layers");
    for (size_t i = 0; i < model_.layers; ++i) {
      const std::string at = "layers." + std::to_string(i) + ".";
      const nb::dict kind = nb::cast<nb::dict>(attention[nb::cast<size_t>(kinds[i])]);
      ncz::LanguageLayer layer{};
      layer.attention_norm = numbers<float>(at + "attention_norm", m);
      layer.qkv = matrix(at + "qkv", qkv, m);
      layer.q_norm = optional(at + "q_norm", model_.head_dim);
      layer.k_norm = optional(at + "k_norm", model_.head_dim);
      layer.output = matrix(at + "output", m, heads);
      layer.post_attention_norm = optional(at + "post_attention_norm", m);
      layer.ffn_norm = numbers<float>(at + "ffn_norm", m);
      layer.gate_up = matrix(at + "gate_up", 2 * ffn, m);
      layer.down = matrix(at + "down", m, ffn);
      layer.post_ffn_norm = optional(at + "post_ffn_norm", m);
      layer.window = nb::cast<size_t>(kind["window"]);
      layer.rope = numbers<uint32_t>("rope." + std::to_string(nb::cast<size_t>(kind["rope"])), model_.head_dim / 2);
      layers_.push_back(layer);
    }
    model_.layer = layers_.data();
  }
  const ncz::LanguageModel& get() const { return model_; }

 private:
  const Buffer& buffer(const std::string& name) {
    if (!tensors_.contains(name.c_str())) throw nb::value_error(("the language model lacks " + name).c_str());
    buffers_.push_back(std::make_unique<Buffer>(tensors_[name.c_str()]));
    return *buffers_.back();
  }
  size_t size_of(const std::string& name) { return Buffer(tensors_[name.c_str()]).size(); }
  template <typename T>
  const T* numbers(const std::string& name, size_t least) {
    const Buffer& found = buffer(name);
    if (found.size() < least * sizeof(T)) throw nb::value_error((name + " is too short").c_str());
    if (reinterpret_cast<uintptr_t>(found.data()) % alignof(T)) throw nb::value_error((name + " is not aligned").c_str());
    return reinterpret_cast<const T*>(found.data());
  }
  const float* optional(const std::string& name, size_t size) {
    return tensors_.contains(name.c_str()) ? numbers<float>(name, size) : nullptr;
  }
  ncz::LanguageMatrix matrix(const std::string& name, size_t rows, size_t columns) {
    if (rows % 16) throw nb::value_error((name + " has rows that fill no panel").c_str());
    return {numbers<uint8_t>(name, rows * columns), numbers<float>(name + ".scale", rows), optional(name + ".bias", rows),
            rows, columns};
  }

  static constexpr size_t kMany = size_t{1} << 16;  // more than any number that is allowed, and products fit

  nb::dict tensors_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<ncz::LanguageLayer> layers_;
  ncz::LanguageModel model_{};
};

constexpr uint8_t kConfigVersion = 1;

// Four bytes: the version, the level, the log2 of the tables' bytes, the log2 of the window.
ncz::LanguageConfig parse_config(nb::bytes config, const Buffer* knowledge) {
  const uint8_t* const bytes = known_config(config, 4, kConfigVersion, 7, 9, ncz::kMostLanguageTableBits);
  if (!bytes || bytes[3] < 6 || bytes[3] >= std::bit_width(ncz::kMostWindow))
    throw nb::value_error("not a language model's configuration of this version");
  return {bytes[1], bytes[2], size_t{1} << bytes[3], checked_knowledge(knowledge)};
}

class LanguageEncoder {
 public:
  LanguageEncoder(const LanguageModel& model, nb::bytes config, nb::handle raw, nb::handle tokens, nb::handle knowledge)
      : raw_(raw), tokens_(tokens), knowledge_(knowledge) {
    const auto* token = reinterpret_cast<const uint32_t*>(tokens_.data());
    const size_t count = tokens_.size() / 4;
    const ncz::LanguageModel& m = model.get();
    size_t at = 0;
    for (size_t i = 0; i < count; ++i) {
      if (token[i] >= m.vocabulary) throw nb::value_error("a token that is not in the vocabulary");
      const size_t length = m.begin[token[i] + 1] - m.begin[token[i]];
      if (length > raw_.size() - at || std::memcmp(m.bytes + m.begin[token[i]], raw_.data() + at, length) != 0)
        throw nb::value_error("tokens that do not spell the block");
      at += length;
    }
    if (at != raw_.size()) throw nb::value_error("tokens that do not spell the block");
    encoder_ = ncz::core().language_encoder(m, parse_config(config, &knowledge_), raw_.data(), raw_.size(), token, count);
  }
  size_t advance(size_t bytes) {
    nb::gil_scoped_release release;
    return encoder_->advance(bytes);
  }
  size_t packed_size() const { return encoder_->packed_size(); }
  nb::bytes finish() {
    const ncz::Packed packed = encoder_->finish();
    return nb::bytes(packed.data, packed.size);
  }

 private:
  Buffer raw_, tokens_, knowledge_;
  std::unique_ptr<ncz::BlockEncoder> encoder_;
};

class LanguageDecoder {
 public:
  LanguageDecoder(const LanguageDecoder&) = delete;
  LanguageDecoder& operator=(const LanguageDecoder&) = delete;

  LanguageDecoder(const LanguageModel& model, nb::bytes config, nb::list raw_sizes, nb::list packed, nb::handle knowledge)
      : knowledge_(knowledge) {
    if (raw_sizes.size() != packed.size()) throw nb::value_error("a size for each packed block");
    std::vector<ncz::PackedBlock> blocks;
    for (size_t i = 0; i < packed.size(); ++i) {
      packed_.push_back(std::make_unique<Buffer>(packed[i]));
      sizes_.push_back(nb::cast<size_t>(raw_sizes[i]));
      if (sizes_.back() > ncz::kMaxBlock) throw nb::value_error("a block larger than blocks are");
      blocks.push_back({packed_.back()->data(), packed_.back()->size(), sizes_.back()});
    }
    decoder_ = ncz::core().language_decoder(model.get(), parse_config(config, &knowledge_), blocks.data(), blocks.size());
  }
  bool step(size_t passes) {
    nb::gil_scoped_release release;
    while (passes--)
      if (decoder_->step()) return true;
    return false;
  }
  size_t position() const {
    size_t sum = 0;
    for (size_t i = 0; i < sizes_.size(); ++i) sum += decoder_->position(i);
    return sum;
  }
  nb::bytes content(size_t block) const {
    if (block >= sizes_.size()) throw nb::index_error("no such block");
    if (decoder_->ran_out(block)) throw nb::value_error(kRanOut);
    if (decoder_->overran(block)) throw nb::value_error("the packed bytes end inside a token");
    return nb::bytes(decoder_->content(block), sizes_[block]);
  }
  size_t passes() const { return decoder_->passes(); }

 private:
  Buffer knowledge_;
  std::vector<std::unique_ptr<Buffer>> packed_;
  std::vector<size_t> sizes_;
  std::unique_ptr<ncz::BlocksDecoder> decoder_;
};

}  // namespace

void define_language(nb::module_& m) {
  m.def("language_config", [](int level, int table_bits, int window_bits) {
    const uint8_t bytes[] = {kConfigVersion, static_cast<uint8_t>(level), static_cast<uint8_t>(table_bits),
                             static_cast<uint8_t>(window_bits)};
    const nb::bytes config(bytes, sizeof bytes);
    parse_config(config, nullptr);
    return config;
  }, "level"_a, "table_bits"_a, "window_bits"_a);
  m.def("language_memory", [](const LanguageModel& model, nb::bytes config, size_t raw_size, size_t together) {
    return ncz::core().language_memory(model.get(), parse_config(config, nullptr), raw_size, together);
  }, "model"_a, "config"_a, "raw_size"_a, "together"_a);
  m.def("spelling_memory", [](size_t raw_size, int table_bits) {
    if (raw_size > ncz::kMaxBlock || table_bits < ncz::kLeastTableBits || table_bits > ncz::kMostLanguageTableBits)
      throw nb::value_error("a block or a table of a size that cannot be");
    return ncz::core().spelling_memory(raw_size, table_bits);
  }, "raw_size"_a, "table_bits"_a);
  m.def("logits", [](const LanguageModel& model, size_t window, nb::handle tokens, size_t together) {
    const Buffer in(tokens);
    const size_t count = in.size() / 4;
    const auto* token = reinterpret_cast<const uint32_t*>(in.data());
    for (size_t i = 0; i < count; ++i)
      if (token[i] > model.get().vocabulary) throw nb::value_error("a token that is not in the vocabulary");
    if (window < 16 || window > ncz::kMostWindow || window % 16 || !together || together > ncz::kMostWindow)
      throw nb::value_error("a window of 16 times something, or tokens together, that cannot be");
    PyObject* out = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(count * model.get().vocabulary * sizeof(float)));
    if (!out) throw nb::python_error();
    {
      nb::gil_scoped_release release;
      ncz::core().logits(model.get(), window, token, count, together, reinterpret_cast<float*>(PyBytes_AS_STRING(out)));
    }
    return nb::steal<nb::bytes>(out);
  }, "model"_a, "window"_a, "tokens"_a, "together"_a = 64);
  m.def("pack_intervals", [](nb::handle intervals) {
    const Buffer in(intervals);
    const auto* ends = reinterpret_cast<const uint32_t*>(in.data());
    const size_t count = in.size() / 8;
    for (size_t i = 0; i < count; ++i)
      if (!ends[2 * i + 1] || uint64_t{ends[2 * i]} + ends[2 * i + 1] > uint64_t{1} << 24)
        throw nb::value_error("an interval that does not lie in [0, 2^24)");
    std::vector<uint8_t> packed(4 * (count + 2));
    return nb::bytes(packed.data(), ncz::core().pack_intervals(ends, count, packed.data()));
  }, "intervals"_a);

  nb::class_<LanguageModel>(m, "LanguageModel")
      .def(nb::init<nb::dict, nb::list, nb::dict>(), "architecture"_a, "attention"_a, "tensors"_a);
  nb::class_<LanguageEncoder>(m, "LanguageEncoder")
      .def(nb::init<const LanguageModel&, nb::bytes, nb::handle, nb::handle, nb::handle>(), "model"_a, "config"_a,
           "raw"_a, "tokens"_a, "knowledge"_a, nb::keep_alive<1, 2>())
      .def("advance", &LanguageEncoder::advance, "bytes"_a)
      .def_prop_ro("packed_size", &LanguageEncoder::packed_size)
      .def("finish", &LanguageEncoder::finish);
  nb::class_<LanguageDecoder>(m, "LanguageDecoder")
      .def(nb::init<const LanguageModel&, nb::bytes, nb::list, nb::list, nb::handle>(), "model"_a, "config"_a,
           "raw_sizes"_a, "packed"_a, "knowledge"_a, nb::keep_alive<1, 2>())
      .def("step", &LanguageDecoder::step, "passes"_a = 1)
      .def_prop_ro("position", &LanguageDecoder::position)
      .def_prop_ro("passes", &LanguageDecoder::passes)
      .def("content", &LanguageDecoder::content, "block"_a);
}
