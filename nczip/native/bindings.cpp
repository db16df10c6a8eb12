// Python's view of the core: block encoder and decoder objects that work without the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "isa.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// A read-only view of any object with the buffer protocol, released with the object that holds it.
class Buffer {
 public:
  explicit Buffer(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nb::python_error();
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  const uint8_t* data() const { return static_cast<const uint8_t*>(view_.buf); }
  size_t size() const { return static_cast<size_t>(view_.len); }

 private:
  Py_buffer view_;
};

constexpr uint8_t kConfigVersion = 1;
constexpr size_t kMaxBlock = size_t{1} << 28;  // NCZ1's limit

ncz::MixtureConfig parse_config(nb::bytes config) {
  const auto* bytes = static_cast<const uint8_t*>(config.data());
  if (config.size() != 3 || bytes[0] != kConfigVersion || bytes[1] < 4 || bytes[1] > 6 || bytes[2] < 16 || bytes[2] > 31)
    throw nb::value_error("not a mixture configuration of this version");
  return {bytes[1], bytes[2]};
}

class MixtureEncoder {
 public:
  MixtureEncoder(nb::bytes config, nb::handle raw)
      : raw_(raw), encoder_(ncz::core().encoder(parse_config(config), raw_.data(), raw_.size())) {}
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

 private:
  Buffer raw_;
  std::unique_ptr<ncz::BlockEncoder> encoder_;
};

class MixtureDecoder {
 public:
  MixtureDecoder(nb::bytes config, size_t raw_size, nb::handle packed)
      : packed_(packed),
        left_(raw_size),
        decoder_(ncz::core().decoder(parse_config(config), raw_size, packed_.data(), packed_.size())) {}
  nb::bytes decode(size_t bytes) {
    bytes = std::min(bytes, left_);
    PyObject* out = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bytes));
    if (!out) throw nb::python_error();
    nb::bytes result = nb::steal<nb::bytes>(out);
    auto* data = reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(out));
    {
      nb::gil_scoped_release release;
      decoder_->decode(data, bytes);
    }
    left_ -= bytes;
    return result;
  }

 private:
  Buffer packed_;
  size_t left_;
  std::unique_ptr<ncz::BlockDecoder> decoder_;
};

}  // namespace

void define_stages(nb::module_& core);  // bindings_stages.cpp

NB_MODULE(_core, m) {
  define_stages(m);
  m.def("isa", [] { return ncz::core().name; });
  m.def(
      "mixture_config",
      [](int level, uint64_t memory_limit) {
        if (level < 4 || level > 6) throw nb::value_error("the mixture has levels 4 to 6");
        static constexpr uint8_t kTableBits[] = {25, 28, 30};
        uint8_t bits = kTableBits[level - 4];
        const auto config = [&] { return ncz::MixtureConfig{static_cast<uint8_t>(level), bits}; };
        while (memory_limit && bits > 16 && ncz::core().memory(config(), kMaxBlock) > memory_limit) --bits;
        const uint8_t bytes[] = {kConfigVersion, static_cast<uint8_t>(level), bits};
        return nb::bytes(bytes, sizeof bytes);
      },
      "level"_a, "memory_limit"_a = 0);
  m.def(
      "mixture_memory",
      [](nb::bytes config, size_t raw_size) { return ncz::core().memory(parse_config(config), raw_size); },
      "config"_a, "raw_size"_a);

  nb::class_<MixtureEncoder>(m, "MixtureEncoder")
      .def(nb::init<nb::bytes, nb::handle>(), "config"_a, "raw"_a)
      .def("advance", &MixtureEncoder::advance, "bytes"_a)
      .def_prop_ro("packed_size", &MixtureEncoder::packed_size)
      .def("finish", &MixtureEncoder::finish);
  nb::class_<MixtureDecoder>(m, "MixtureDecoder")
      .def(nb::init<nb::bytes, size_t, nb::handle>(), "config"_a, "raw_size"_a, "packed"_a)
      .def("decode", &MixtureDecoder::decode, "bytes"_a);
}
