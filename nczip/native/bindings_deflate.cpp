// Deflate streams taken apart and put together again, as Python sees it.
#define NCZ_ISA any  // compiled once, for every CPU of the kind
#include <nanobind/nanobind.h>

#include "buffer.hpp"
#include "deflate_coder.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

class Analyser {
 public:
  explicit Analyser(nb::handle content) : content_(content), analyser_(content_.data()) {}
  bool find(size_t offset, size_t end, size_t most, int window_bits) {
    if (offset > end || end > content_.size() || window_bits < 8 || window_bits > ncz::deflate::kWindowBits)
      throw nb::value_error("no such place or window");
    nb::gil_scoped_release release;
    return found_ = analyser_.find(offset, end, most, static_cast<uint8_t>(window_bits));
  }
  bool advance() {
    if (!found_) throw nb::value_error("nothing has been found");
    nb::gil_scoped_release release;
    if (!analyser_.advance()) return false;
    found_ = false;
    return true;
  }
  nb::object stream() const {
    if (!analyser_.taken()) return nb::none();
    return nb::make_tuple(analyser_.consumed(), nb::bytes(analyser_.inflated(), analyser_.inflated_size()));
  }
  nb::bytes finish() {
    const ncz::Packed recipe = analyser_.finish();
    return nb::bytes(recipe.data, recipe.size);
  }

 private:
  Buffer content_;
  ncz::deflate::Analyser analyser_;
  bool found_ = false;
};

class Rebuilder {
 public:
  explicit Rebuilder(nb::handle recipe) : recipe_(recipe), rebuilder_(recipe_.data(), recipe_.size()) {}
  void begin(nb::handle inflated, size_t most) {
    inflated_.emplace(inflated);
    if (inflated_->size() > ncz::deflate::kMostInflated) throw nb::value_error("too long");
    nb::gil_scoped_release release;
    rebuilder_.begin(inflated_->data(), inflated_->size(), most);
  }
  nb::object advance() {
    if (!inflated_) throw nb::value_error("no stream has been begun");
    ncz::deflate::Rebuilder::State state;
    {
      nb::gil_scoped_release release;
      state = rebuilder_.advance();
    }
    if (state == ncz::deflate::Rebuilder::kGoesOn) return nb::none();
    inflated_.reset();
    if (state == ncz::deflate::Rebuilder::kDamaged) throw nb::value_error("the recipe of a deflate stream is damaged");
    return nb::bytes(rebuilder_.bytes().data(), rebuilder_.bytes().size());
  }

 private:
  Buffer recipe_;
  std::optional<Buffer> inflated_;
  ncz::deflate::Rebuilder rebuilder_;
};

}  // namespace

void define_deflate(nb::module_& m) {
  nb::class_<Analyser>(m, "DeflateAnalyser")
      .def(nb::init<nb::handle>(), "content"_a)
      .def("find", &Analyser::find, "offset"_a, "end"_a, "most"_a, "window_bits"_a)
      .def("advance", &Analyser::advance)
      .def("stream", &Analyser::stream)
      .def("finish", &Analyser::finish);
  nb::class_<Rebuilder>(m, "DeflateRebuilder")
      .def(nb::init<nb::handle>(), "recipe"_a)
      .def("begin", &Rebuilder::begin, "inflated"_a, "most"_a)
      .def("advance", &Rebuilder::advance);
}
