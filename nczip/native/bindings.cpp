// Python's view of the core: block encoder and decoder objects that work without the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <vector>

#include "buffer.hpp"
#include "configs.hpp"
#include "isa.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

constexpr uint8_t kConfigVersion = 2;

ncz::MixtureConfig parse_config(nb::bytes config, const Buffer* knowledge) {
  const uint8_t* const bytes = known_config(config, 3, kConfigVersion, 4, 6, ncz::kMostTableBits);
  if (!bytes) throw nb::value_error("not a mixture configuration of this version");
  return {bytes[1], bytes[2], checked_knowledge(knowledge)};
}

// From the order of the file, which packs well, to that of memory, in place: the file's content stands at the end of the
// knowledge. It has the check bytes of all lines, then the 15 histories of each slot that is in use, then the lower bytes
// of all weights, then the upper ones.
void unfold_knowledge(nb::handle knowledge, size_t folded) {
  const Buffer buffer(knowledge, PyBUF_WRITABLE);
  const size_t lines = ncz::core().knowledge_lines * 64, size = ncz::core().knowledge_size;
  const size_t slots = lines / 16, weights = (size - lines) / 2;
  if (buffer.size() != size) throw nb::value_error("the knowledge takes KNOWLEDGE_SIZE bytes");
  if (folded < slots || folded > size) throw nb::value_error("not a folded knowledge of this version");
  uint8_t* const out = buffer.writable();
  const uint8_t* row = out + size - folded;
  std::vector<uint8_t> aside(row, row + slots);  // the checks, later the weights' lower bytes
  const size_t used = slots - static_cast<size_t>(std::count(aside.begin(), aside.end(), 0));
  if (folded != slots + 15 * used + 2 * weights) throw nb::value_error("not a folded knowledge of this version");
  row += slots;
  // The rows of n lines take 60 n bytes or less and their lines 64 n, so no line is written over rows to come.
  for (size_t slot = 0; slot < slots; slot += 4) {
    uint8_t line[64] = {};
    for (size_t i = 0; i < 4; ++i) {
      line[i] = aside[slot + i];
      if (!line[i]) continue;
      std::memcpy(line + 4 + 15 * i, row, 15);
      row += 15;
    }
    std::memcpy(out + 16 * slot, line, sizeof line);
  }
  aside.assign(row, row + weights);
  for (size_t i = 0; i < weights; ++i) {
    out[lines + 2 * i] = aside[i];
    out[lines + 2 * i + 1] = row[weights + i];
  }
}

// A mixture that reads a base. It does not change once it has read it all, and is then used by many threads.
class PrimedMixture {
 public:
  PrimedMixture(nb::bytes config, nb::handle base, size_t room, nb::handle knowledge, std::optional<size_t> read)
      : config_(static_cast<const char*>(config.data()), config.size()),
        room_(room),
        base_(base),
        knowledge_(knowledge),
        config_parsed_(parse_config(config, &knowledge_)) {
    if (base_.size() > ncz::kMaxBlock) throw nb::value_error("a base has 2^28 bytes at most");
    if (room < needed(0) || room > needed(ncz::kMaxBlock)) throw nb::value_error("no room of any block");
    mixture_ = ncz::core().primed(config_parsed_, base_.data(), base_.size(), room, read);
  }
  bool advance(size_t bytes) {
    nb::gil_scoped_release release;
    return done_ = mixture_->advance(bytes);
  }
  // For a block, whose coder must not outlive this.
  const ncz::PrimedMixture* for_block(nb::bytes config, size_t raw_size) const {
    if (std::string(static_cast<const char*>(config.data()), config.size()) != config_ || needed(raw_size) != room_ ||
        !done_)
      throw nb::value_error("a mixture that was primed for other blocks");
    return mixture_.get();
  }

 private:
  size_t needed(size_t raw_size) const { return ncz::core().room(config_parsed_, base_.size(), raw_size); }

  std::string config_;
  size_t room_;
  Buffer base_, knowledge_;
  ncz::MixtureConfig config_parsed_;
  std::unique_ptr<ncz::PrimedMixture> mixture_;
  bool done_ = false;
};

// The argument that says what a block follows, None or a PrimedMixture.
const ncz::PrimedMixture* primed_for(nb::handle primed, nb::bytes config, size_t raw_size) {
  return primed.is_none() ? nullptr : nb::cast<const PrimedMixture&>(primed).for_block(config, raw_size);
}

class MixtureEncoder {
 public:
  MixtureEncoder(nb::bytes config, nb::handle raw, nb::handle knowledge, nb::object primed)
      : raw_(raw),
        knowledge_(knowledge),
        primed_(std::move(primed)),
        encoder_(ncz::core().encoder(parse_config(config, &knowledge_), raw_.data(), raw_.size(),
                                     primed_for(primed_, config, raw_.size()))) {}
  size_t advance(size_t bytes) {
    nb::gil_scoped_release release;
    return encoder_->advance(bytes);
  }
  size_t packed_size() const { return encoder_->packed_size(); }
  nb::bytes finish() {
    ncz::Packed packed;
    {
      nb::gil_scoped_release release;
      packed = encoder_->finish();
    }
    return nb::bytes(packed.data, packed.size);
  }
  nb::bytes weights() const {
    PyObject* out = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(encoder_->weights(nullptr) * sizeof(float)));
    if (!out) throw nb::python_error();
    encoder_->weights(reinterpret_cast<float*>(PyBytes_AS_STRING(out)));
    return nb::steal<nb::bytes>(out);
  }

 private:
  Buffer raw_, knowledge_;
  nb::object primed_;
  std::unique_ptr<ncz::BlockEncoder> encoder_;
};

class MixtureDecoder {
 public:
  MixtureDecoder(nb::bytes config, size_t raw_size, nb::handle packed, nb::handle knowledge, nb::object primed)
      : packed_(packed),
        knowledge_(knowledge),
        primed_(std::move(primed)),
        left_(raw_size),
        decoder_(ncz::core().decoder(parse_config(config, &knowledge_), raw_size, packed_.data(), packed_.size(),
                                     primed_for(primed_, config, raw_size))) {}
  nb::bytes decode(size_t bytes) {
    bytes = std::min(bytes, left_);
    PyObject* out = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bytes));
    if (!out) throw nb::python_error();
    nb::bytes result = nb::steal<nb::bytes>(out);
    auto* data = reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(out));
    size_t done;
    {
      nb::gil_scoped_release release;
      done = decoder_->decode(data, bytes);
    }
    if (done < bytes) throw nb::value_error(kRanOut);
    left_ -= bytes;
    return result;
  }

 private:
  Buffer packed_, knowledge_;
  nb::object primed_;
  size_t left_;
  std::unique_ptr<ncz::BlockDecoder> decoder_;
};

}  // namespace

void define_tensor(nb::module_& core);    // bindings_tensor.cpp
void define_stages(nb::module_& core);    // bindings_stages.cpp
void define_language(nb::module_& core);  // bindings_language.cpp
void define_lines(nb::module_& core);     // bindings_lines.cpp
void define_planes(nb::module_& core);    // bindings_planes.cpp
void define_deflate(nb::module_& core);   // bindings_deflate.cpp

NB_MODULE(_core, m) {
  nb::set_leak_warnings(false);  // a second Ctrl-C ends the interpreter with blocks still in work
  define_stages(m);
  define_tensor(m);
  define_language(m);
  define_lines(m);
  define_planes(m);
  define_deflate(m);
  m.def("isa", [] { return ncz::core().name; });
  m.attr("KNOWLEDGE_SIZE") = ncz::core().knowledge_size;
  m.def("unfold_knowledge", unfold_knowledge, "knowledge"_a, "folded"_a);
  m.def(
      "mixture_config",
      [](int level, uint64_t memory_limit) {
        if (level < 4 || level > 6) throw nb::value_error("the mixture has levels 4 to 6");
        static constexpr uint8_t kTableBits[] = {25, 28, 30};
        uint8_t bits = kTableBits[level - 4];
        const auto config = [&] { return ncz::MixtureConfig{static_cast<uint8_t>(level), bits, nullptr}; };
        while (memory_limit && bits > ncz::kLeastTableBits &&
               ncz::core().memory(config(), ncz::kMaxBlock) > memory_limit)
          --bits;
        const uint8_t bytes[] = {kConfigVersion, static_cast<uint8_t>(level), bits};
        return nb::bytes(bytes, sizeof bytes);
      },
      "level"_a, "memory_limit"_a = 0);
  m.def(
      "mixture_memory",
      [](nb::bytes config, size_t raw_size) { return ncz::core().memory(parse_config(config, nullptr), raw_size); },
      "config"_a, "raw_size"_a);

  m.def(
      "primed_room",
      [](nb::bytes config, size_t base_size, size_t raw_size) {
        return ncz::core().room(parse_config(config, nullptr), base_size, raw_size);
      },
      "config"_a, "base_size"_a, "raw_size"_a);
  m.def("index_memory", [](size_t base_size) { return ncz::core().index_memory(base_size); }, "base_size"_a);

  nb::class_<PrimedMixture>(m, "PrimedMixture")
      .def(nb::init<nb::bytes, nb::handle, size_t, nb::handle, std::optional<size_t>>(), "config"_a, "base"_a, "room"_a,
           "knowledge"_a, "read"_a = nb::none())
      .def("advance", &PrimedMixture::advance, "bytes"_a);
  nb::class_<MixtureEncoder>(m, "MixtureEncoder")
      .def(nb::init<nb::bytes, nb::handle, nb::handle, nb::object>(), "config"_a, "raw"_a, "knowledge"_a,
           "primed"_a = nb::none())
      .def("advance", &MixtureEncoder::advance, "bytes"_a)
      .def_prop_ro("packed_size", &MixtureEncoder::packed_size)
      .def("finish", &MixtureEncoder::finish)
      .def("weights", &MixtureEncoder::weights);
  nb::class_<MixtureDecoder>(m, "MixtureDecoder")
      .def(nb::init<nb::bytes, size_t, nb::handle, nb::handle, nb::object>(), "config"_a, "raw_size"_a, "packed"_a,
           "knowledge"_a, "primed"_a = nb::none())
      .def("decode", &MixtureDecoder::decode, "bytes"_a);
}
