// Python's view of wrapped text and its line ends.
#include <nanobind/nanobind.h>

#include "buffer.hpp"
#include "lines.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

nb::bytes as_bytes(const void* data, size_t size) { return nb::bytes(static_cast<const char*>(data), size); }

nb::tuple unwrap_lines(nb::handle text) {
  const Buffer buffer(text);
  ncz::Array<uint8_t> out(buffer.size() + 1);
  ncz::RangeEncoder coder;
  ncz::Unwrapped result{};
  {
    nb::gil_scoped_release release;
    result = ncz::unwrap_lines(buffer.data(), buffer.size(), out.data(), coder);
  }
  return nb::make_tuple(as_bytes(out.data(), buffer.size()),
                        as_bytes(result.decisions.data, result.decisions.size), result.ends, result.by_text);
}

nb::bytes wrap_lines(nb::handle text, nb::handle decisions) {
  const Buffer buffer(text), packed(decisions);
  ncz::Array<uint8_t> out(buffer.size() + 1);
  bool sound = false;
  {
    nb::gil_scoped_release release;
    std::memcpy(out.data(), buffer.data(), buffer.size());
    sound = ncz::wrap_lines(out.data(), buffer.size(), packed.data(), packed.size());
  }
  if (!sound) throw nb::value_error("the line ends do not fit the text");
  return as_bytes(out.data(), buffer.size());
}

}  // namespace

void define_lines(nb::module_& core) {
  core.def("unwrap_lines", &unwrap_lines, "text"_a);
  core.def("wrap_lines", &wrap_lines, "text"_a, "decisions"_a);
}
