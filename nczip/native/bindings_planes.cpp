// Python's view of method 4 and of what a fast way through the pipeline needs.
#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <vector>

#include "buffer.hpp"
#include "crc32.hpp"
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

// A bytes object that nobody else has, shorter or longer.
nb::object resized(nb::object bytes, size_t size) {
  PyObject* object = bytes.release().ptr();
  if (_PyBytes_Resize(&object, static_cast<Py_ssize_t>(size)) != 0) throw nb::python_error();
  return nb::steal(object);
}

// Has the system give a large object pages of 2 MiB where there are such: to get those of 4 KiB takes longer than to
// write them.
nb::object in_large_pages(nb::object bytes) {
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t kPage = 4096, kLeast = 4 << 20;
  const auto begin = reinterpret_cast<uintptr_t>(data_of(bytes));
  const uintptr_t end = begin + static_cast<size_t>(PyBytes_GET_SIZE(bytes.ptr()));
  const uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  if (end - begin >= kLeast) madvise(reinterpret_cast<void*>(first), end / kPage * kPage - first, MADV_HUGEPAGE);
#endif
  return bytes;
}

// Bytes that are written part by part, by whoever has a view of them, until they are given out.
class Content {
 public:
  explicit Content(size_t size) : bytes_(in_large_pages(new_bytes(size))), size_(size) {}
  // Puts some bytes in place, unless they are there already.
  void put(size_t offset, nb::handle object) {
    const Buffer part(object);
    if (!bytes_ || offset > size_ || part.size() > size_ - offset) throw nb::index_error("beyond the content's end");
    if (part.data() != data_of(bytes_) + offset) std::memmove(data_of(bytes_) + offset, part.data(), part.size());
  }
  nb::object finish() { return bytes_; }

  static int view(PyObject* self, Py_buffer* view, int flags) {
    const Content& content = *nb::inst_ptr<Content>(self);
    return PyBuffer_FillInfo(view, self, data_of(content.bytes_), static_cast<Py_ssize_t>(content.size_), 0, flags);
  }

 private:
  nb::object bytes_;
  size_t size_;
};

// A file to write to, and then to have as bytes. `expected` is about how many there will be; they take memory as they
// come.
class Gathered {
 public:
  explicit Gathered(size_t expected) : bytes_(in_large_pages(new_bytes(expected))), room_(expected) {}
  size_t write(nb::handle object) {
    const Buffer part(object);
    if (!bytes_) throw nb::value_error("written to after it was given out");
    if (part.size() > room_ - size_) {
      room_ = std::max(room_ + room_ / 2, size_ + part.size());
      bytes_ = in_large_pages(resized(std::move(bytes_), room_));
    }
    std::memcpy(data_of(bytes_) + size_, part.data(), part.size());
    size_ += part.size();
    return part.size();
  }
  nb::object finish() { return resized(std::move(bytes_), size_); }

 private:
  nb::object bytes_;
  size_t room_, size_ = 0;
};

PyType_Slot content_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(Content::view)}, {0, nullptr}};

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
  nb::object finish() { return resized(std::move(packed_), packed_size()); }

 private:
  Buffer raw_;
  nb::object packed_;
  std::optional<ncz::planes::Encoder> encoder_;
};

class PlanesDecoder {
 public:
  PlanesDecoder(nb::handle packed, size_t raw_size) : packed_(packed) {
    decoder_.emplace(packed_.data(), packed_.size(), raw_size);
  }
  size_t advance(nb::handle raw, size_t bytes) {
    const Buffer room(raw, PyBUF_WRITABLE);
    if (room.size() < done_) throw nb::value_error("less room than before");
    nb::gil_scoped_release release;
    return done_ = decoder_->advance(room.writable(), room.size(), bytes);
  }

 private:
  Buffer packed_;
  size_t done_ = 0;
  std::optional<ncz::planes::Decoder> decoder_;
};

std::tuple<int, int, float, float, bool> survey(nb::handle raw) {
  const Buffer buffer(raw);
  ncz::planes::Survey found;
  {
    nb::gil_scoped_release release;
    found = ncz::planes::Surveyor(buffer.data(), buffer.size()).find();
  }
  return {found.kind, found.lead, found.bits, found.repeats, found.smooth};
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
      .def("advance", &PlanesDecoder::advance, "raw"_a, "bytes"_a);
  nb::class_<Content>(m, "Content", nb::type_slots(content_slots))
      .def(nb::init<size_t>(), "size"_a)
      .def("put", &Content::put, "offset"_a, "part"_a)
      .def("finish", &Content::finish);
  nb::class_<Gathered>(m, "Gathered")
      .def(nb::init<size_t>(), "expected"_a)
      .def("write", &Gathered::write, "part"_a)
      .def("flush", [](Gathered&) {})
      .def("finish", &Gathered::finish);
  m.def(
      "crc32",
      [](nb::handle data, uint32_t start) {
        const Buffer buffer(data);
        nb::gil_scoped_release release;
        return ncz::Crc32::of(start, buffer.data(), buffer.size());
      },
      "data"_a, "start"_a = 0);
  nb::cast<nb::module_>(m.attr("stages")).def(
      "crc32_by_tables",
      [](nb::bytes data, uint32_t start) {
        return ncz::Crc32::by_tables(start, static_cast<const uint8_t*>(data.data()), data.size());
      },
      "data"_a, "start"_a);
  m.attr("PLANES_STEP") = ncz::planes::Decoder::step();
  m.attr("PLANES_MEMORY") = std::max(ncz::planes::Encoder::memory(), ncz::planes::Decoder::memory());
  m.def("planes_survey", survey, "raw"_a);
  m.def("planes_samples", samples, "raw"_a);
  m.def("planes_highest", highest, "raw"_a, "kind"_a, "lead"_a);
}
