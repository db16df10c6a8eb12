// Python's view of method 5. It is integers alone and compiled once, for every CPU.
#define NCZ_ISA any_cpu
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "buffer.hpp"
#include "configs.hpp"
#include "tensor.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

ncz::TensorHead checked_head(int kind, size_t phase, size_t row) {
  const ncz::TensorHead head{kind, phase, row};
  if (kind < 0 || !head.valid()) throw nb::value_error("no such kind, phase or row");
  return head;
}

// What a block's units are coded by, if there is something; of the caller, as long as this lives.
class Reference {
 public:
  Reference(nb::handle bytes, ncz::TensorHead head, size_t raw_size) {
    if (bytes.is_none()) return;
    buffer_ = std::make_unique<Buffer>(bytes);
    if (buffer_->size() != head.units(raw_size) * ncz::unit_bytes(head.kind))
      throw nb::value_error("the reference does not fit the block");
  }
  const uint8_t* data() const {
    static constexpr uint8_t kNothing = 0;  // an empty buffer may have no address
    return !buffer_ ? nullptr : buffer_->size() ? buffer_->data() : &kNothing;
  }

 private:
  std::unique_ptr<Buffer> buffer_;
};

class TensorEncoder {
 public:
  TensorEncoder(nb::handle raw, int kind, size_t phase, size_t row, nb::handle reference)
      : raw_(raw), head_(checked_head(kind, phase, row)), reference_(reference, head_, raw_.size()), block_(make()) {}
  size_t advance(size_t bytes) {
    nb::gil_scoped_release release;
    // The encoder only reads.
    block_->advance(const_cast<uint8_t*>(raw_.data()) + block_->done(), block_->done() + bytes);
    return block_->done();
  }
  size_t packed_size() const { return ncz::TensorHead::kSize + 4 * block_->coder.range.words(); }
  nb::bytes finish() {
    const ncz::Packed packed = block_->coder.range.finish();
    PyObject* const out = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(ncz::TensorHead::kSize + packed.size));
    if (!out) throw nb::python_error();
    auto* const bytes = reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(out));
    bytes[0] = static_cast<uint8_t>(head_.kind), bytes[1] = static_cast<uint8_t>(head_.phase);
    for (size_t k = 0; k < 4; ++k) bytes[2 + k] = static_cast<uint8_t>(head_.row >> 8 * k);
    std::copy_n(packed.data, packed.size, bytes + ncz::TensorHead::kSize);
    return nb::steal<nb::bytes>(out);
  }

 private:
  using Block = ncz::TensorBlock<ncz::FieldEncoder>;
  std::unique_ptr<Block> make() const {
    nb::gil_scoped_release release;
    return std::make_unique<Block>(head_, raw_.size(), raw_.data(), reference_.data());
  }
  Buffer raw_;
  ncz::TensorHead head_;
  Reference reference_;
  std::unique_ptr<Block> block_;
};

class TensorDecoder {
 public:
  TensorDecoder(nb::handle packed, size_t raw_size, nb::handle reference)
      : packed_(packed), raw_size_(raw_size), head_(read_head(packed_)), reference_(reference, head_, raw_size) {
    nb::gil_scoped_release release;
    block_ = std::make_unique<Block>(head_, raw_size, nullptr, reference_.data(),
                                     packed_.data() + ncz::TensorHead::kSize, packed_.size() - ncz::TensorHead::kSize);
  }
  nb::bytes decode(size_t bytes) {
    const size_t begin = block_->done(), most = begin + std::min(bytes, raw_size_ - begin);
    std::vector<uint8_t> room(most - begin + block_->unit());
    {
      nb::gil_scoped_release release;
      block_->advance(room.data(), most);
    }
    if (block_->coder.range.ran_out()) throw nb::value_error(kRanOut);
    return nb::bytes(room.data(), block_->done() - begin);
  }

 private:
  using Block = ncz::TensorBlock<ncz::FieldDecoder>;
  static ncz::TensorHead read_head(const Buffer& packed) {
    const uint8_t* const bytes = packed.data();
    if (packed.size() < ncz::TensorHead::kSize) throw nb::value_error(kRanOut);
    ncz::TensorHead head{bytes[0], bytes[1], 0};
    for (size_t k = 0; k < 4; ++k) head.row |= size_t{bytes[2 + k]} << 8 * k;
    if (!head.valid()) throw nb::value_error("the packed bytes are not a tensor's");
    return head;
  }
  Buffer packed_;
  size_t raw_size_;
  ncz::TensorHead head_;
  Reference reference_;
  std::unique_ptr<Block> block_;
};

}  // namespace

void define_tensor(nb::module_& m) {
  m.def(
      "tensor_quants",
      [](nb::handle raw) {
        const Buffer buffer(raw);
        ncz::FoundQuants found;
        {
          nb::gil_scoped_release release;
          found = ncz::find_quants(buffer.data(), buffer.size());
        }
        return std::pair{found.kind, found.phase};
      },
      "raw"_a);
  m.def(
      "tensor_row",
      [](nb::handle raw, int kind, size_t phase) {
        const ncz::TensorHead head = checked_head(kind, phase, 0);
        const Buffer buffer(raw);
        nb::gil_scoped_release release;
        return ncz::RowFinder(kind, buffer.data() + std::min(phase, buffer.size()), head.units(buffer.size())).row();
      },
      "raw"_a, "kind"_a, "phase"_a);
  m.def("tensor_memory", &ncz::tensor_memory, "raw_size"_a);
  nb::class_<TensorEncoder>(m, "TensorEncoder")
      .def(nb::init<nb::handle, int, size_t, size_t, nb::handle>(), "raw"_a, "kind"_a, "phase"_a, "row"_a,
           "reference"_a = nb::none())
      .def("advance", &TensorEncoder::advance, "bytes"_a)
      .def_prop_ro("packed_size", &TensorEncoder::packed_size)
      .def("finish", &TensorEncoder::finish);
  nb::class_<TensorDecoder>(m, "TensorDecoder")
      .def(nb::init<nb::handle, size_t, nb::handle>(), "packed"_a, "raw_size"_a, "reference"_a = nb::none())
      .def("decode", &TensorDecoder::decode, "bytes"_a);
}
