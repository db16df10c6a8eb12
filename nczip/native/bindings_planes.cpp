// Python's view of method 4 and of what a fast way through the pipeline needs.
#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "buffer.hpp"
#include "planes.hpp"
#include "survey.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

nb::object new_bytes(size_t size) {
  PyObject* const made = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
  if (!made) throw nb::python_error();
  return nb::steal(made);
}

uint8_t* data_of(const nb::object& bytes) { return reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(bytes.ptr())); }

// A bytes object that nobody else has, cut to its first bytes.
nb::object cut(nb::object bytes, size_t size) {
  PyObject* object = bytes.release().ptr();
  if (_PyBytes_Resize(&object, static_cast<Py_ssize_t>(size)) != 0) throw nb::python_error();
  return nb::steal(object);
}

class PlanesEncoder {
 public:
  PlanesEncoder(nb::handle raw, uint8_t kind, size_t lead) : raw_(raw) {
    if (kind >= ncz::planes::kKinds.size()) throw nb::value_error("no such kind of numbers");
    if (lead >= ncz::planes::kKinds[kind].width || lead > raw_.size()) throw nb::value_error("no such phase");
    packed_ = new_bytes(ncz::planes::Encoder::room(raw_.size()));
    encoder_.emplace(raw_.data(), raw_.size(), kind, lead, data_of(packed_));
  }
  size_t advance(size_t bytes) {
    nb::gil_scoped_release release;
    return encoder_->advance(bytes);
  }
  size_t packed_size() const { return encoder_->packed_size(); }
  nb::object finish() { return cut(std::move(packed_), packed_size()); }

 private:
  Buffer raw_;
  nb::object packed_;
  std::optional<ncz::planes::Encoder> encoder_;
};

class PlanesDecoder {
 public:
  PlanesDecoder(nb::handle packed, size_t raw_size) : packed_(packed), raw_(new_bytes(raw_size)) {
    decoder_.emplace(packed_.data(), packed_.size(), raw_size, data_of(raw_));
  }
  size_t advance(size_t bytes) {
    nb::gil_scoped_release release;
    return decoder_->advance(bytes);
  }
  nb::object finish() { return std::move(raw_); }

 private:
  Buffer packed_;
  nb::object raw_;
  std::optional<ncz::planes::Decoder> decoder_;
};

std::tuple<int, int, float, float> survey(nb::handle raw) {
  const Buffer buffer(raw);
  ncz::planes::Survey found;
  {
    nb::gil_scoped_release release;
    found = ncz::planes::Surveyor(buffer.data(), buffer.size()).find();
  }
  return {found.kind, found.lead, found.bits, found.repeats};
}

nb::bytes samples(nb::handle raw) {
  const Buffer buffer(raw);
  const auto found = ncz::planes::Surveyor(buffer.data(), buffer.size()).samples();
  return nb::bytes(found.data(), found.size());
}

std::vector<uint32_t> highest(nb::handle raw, uint8_t kind, size_t lead) {
  const Buffer buffer(raw);
  if (kind >= ncz::planes::kKinds.size()) throw nb::value_error("no such kind of numbers");
  if (lead >= ncz::planes::kKinds[kind].width) throw nb::value_error("no such phase");
  const auto counts = ncz::planes::Surveyor(buffer.data(), buffer.size()).highest(kind, lead);
  return {counts.begin(), counts.end()};
}

}  // namespace

void define_planes(nb::module_& m) {
  nb::class_<PlanesEncoder>(m, "PlanesEncoder")
      .def(nb::init<nb::handle, uint8_t, size_t>(), "raw"_a, "kind"_a, "lead"_a)
      .def("advance", &PlanesEncoder::advance, "bytes"_a)
      .def_prop_ro("packed_size", &PlanesEncoder::packed_size)
      .def("finish", &PlanesEncoder::finish);
  nb::class_<PlanesDecoder>(m, "PlanesDecoder")
      .def(nb::init<nb::handle, size_t>(), "packed"_a, "raw_size"_a)
      .def("advance", &PlanesDecoder::advance, "bytes"_a)
      .def("finish", &PlanesDecoder::finish);
  m.def("planes_survey", survey, "raw"_a);
  m.def("planes_samples", samples, "raw"_a);
  m.def("planes_highest", highest, "raw"_a, "kind"_a, "lead"_a);
}
