// The submodule `stages`, for the tests: the core's stages one at a time, on the path in use. Arrays come and go as
// bytes in the machine's order.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <stdexcept>

#include "isa.hpp"
#include "stages.hpp"

namespace ncz {
#define NCZ_DECLARE_STAGES(name) namespace name { extern const Stages kStages; }
NCZ_PATHS(NCZ_DECLARE_STAGES)
#undef NCZ_DECLARE_STAGES
}  // namespace ncz

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using ncz::Stages;

const Stages& stages() {
#define NCZ_STAGES_OF(name) &ncz::name::kStages,
  for (const Stages* path : {NCZ_PATHS(NCZ_STAGES_OF)})
#undef NCZ_STAGES_OF
    if (std::strcmp(path->name, ncz::core().name) == 0) return *path;
  throw std::logic_error("the path in use has no stages");
}

template <typename T>
std::vector<T> array(const nb::bytes& bytes, size_t multiple = 1) {
  if (bytes.size() % (sizeof(T) * multiple)) throw nb::value_error("not a whole number of values");
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <typename T>
nb::bytes bytes_of(const std::vector<T>& values) {
  return nb::bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

constexpr size_t kLanes = 16;

template <Stages::Lanes Stages::*kFunction>
nb::bytes lanes(const nb::bytes& x) {
  const auto values = array<float>(x, kLanes);
  std::vector<float> results(values.size());
  (stages().*kFunction)(values.data(), results.data(), values.size() / kLanes);
  return bytes_of(results);
}

// A vocabulary that owns its bytes, with its sums.
struct Strings {
  Strings(const std::vector<nb::bytes>& strings, const nb::bytes& sum_bytes) : begin{0}, sums(array<uint32_t>(sum_bytes)) {
    if (strings.empty() || sums.size() != strings.size() + 1) throw nb::value_error("one more sum than strings");
    for (const nb::bytes& string : strings) {
      const auto* data = static_cast<const uint8_t*>(string.data());
      bytes.insert(bytes.end(), data, data + string.size());
      begin.push_back(static_cast<uint32_t>(bytes.size()));
    }
  }
  ncz::StringList list() const { return {bytes.data(), begin.data(), begin.size() - 1}; }
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> begin;
  std::vector<uint32_t> sums;
};

// Intervals, or decisions with their probabilities: as many of the one as of the other.
template <typename A, typename B>
std::pair<std::vector<A>, std::vector<B>> pairs(const nb::bytes& first, const nb::bytes& second) {
  std::pair result{array<A>(first), array<B>(second)};
  if (result.first.size() != result.second.size()) throw nb::value_error("as many of the one as of the other");
  return result;
}

nb::bytes packed(std::vector<uint8_t>& room, size_t size) {
  room.resize(size);
  return bytes_of(room);
}

}  // namespace

void define_stages(nb::module_& core) {
  nb::module_ m = core.def_submodule("stages");
  m.def("exp2", &lanes<&Stages::exp2>);
  m.def("log2", &lanes<&Stages::log2>);
  m.def("squash", &lanes<&Stages::squash>);
  m.def("stretch", &lanes<&Stages::stretch>);
  m.def("square_root", &lanes<&Stages::square_root>);
  m.def("sums", [](const nb::bytes& x) {
    const auto values = array<float>(x, kLanes * kLanes);
    std::vector<float> results(values.size() / kLanes);
    stages().sums(values.data(), results.data(), results.size() / kLanes);
    return bytes_of(results);
  });
  m.def("make_cdf", [](const nb::bytes& sums) {
    const auto values = array<uint32_t>(sums);
    if (values.size() < 2) throw nb::value_error("at least two sums");
    std::vector<uint32_t> cum(values.size());
    stages().make_cdf(values.data(), values.size() - 1, cum.data());
    return bytes_of(cum);
  });
  m.def("spell", [](const std::vector<nb::bytes>& vocabulary, const nb::bytes& sums, size_t token) {
    const Strings strings(vocabulary, sums);
    if (token >= vocabulary.size()) throw nb::value_error("no such token");
    std::vector<ncz::Decision> decisions(9 * vocabulary[token].size() + 1);
    decisions.resize(stages().spell(strings.list(), strings.sums.data(), token, decisions.data(), decisions.size()));
    std::vector<std::tuple<uint32_t, uint32_t, bool>> result;
    for (const auto& [one, total, answer] : decisions) result.emplace_back(one, total, answer);
    return result;
  });
  m.def("read", [](const std::vector<nb::bytes>& vocabulary, const nb::bytes& sums, const nb::bytes& answers) {
    const Strings strings(vocabulary, sums);
    const auto* data = static_cast<const uint8_t*>(answers.data());
    const size_t token = stages().read(strings.list(), strings.sums.data(), data, answers.size());
    if (token == SIZE_MAX) throw nb::value_error("these answers spell no token");
    return token;
  });
  m.def("encode", [](const nb::bytes& left, const nb::bytes& width) {
    const auto [lefts, widths] = pairs<uint32_t, uint32_t>(left, width);
    std::vector<uint8_t> room(4 * (lefts.size() + 2));
    return packed(room, stages().encode(lefts.data(), widths.data(), lefts.size(), room.data()));
  });
  m.def("encode_bits", [](const nb::bytes& bits, const nb::bytes& p1) {
    const auto [decisions, ones] = pairs<uint8_t, uint32_t>(bits, p1);
    std::vector<uint8_t> room(4 * (decisions.size() + 2));
    return packed(room, stages().encode_bits(decisions.data(), ones.data(), decisions.size(), room.data()));
  });
  m.def("decode", [](const nb::bytes& packed, const nb::bytes& left, const nb::bytes& width) {
    const auto [lefts, widths] = pairs<uint32_t, uint32_t>(left, width);
    std::vector<uint32_t> points(lefts.size());
    stages().decode(static_cast<const uint8_t*>(packed.data()), packed.size(), lefts.data(), widths.data(), lefts.size(),
                    points.data());
    return bytes_of(points);
  });
  m.def("decode_bits", [](const nb::bytes& packed, const nb::bytes& p1) {
    const auto ones = array<uint32_t>(p1);
    std::vector<uint8_t> bits(ones.size());
    stages().decode_bits(static_cast<const uint8_t*>(packed.data()), packed.size(), ones.data(), ones.size(), bits.data());
    return bytes_of(bits);
  });
  m.def("token_sums", [](const nb::bytes& logits, const nb::bytes& head_scale, float rate, const nb::bytes& tokens) {
    const auto values = array<float>(logits);
    const auto scales = array<float>(head_scale);
    const auto came = array<uint32_t>(tokens);
    if (values.size() != scales.size() * came.size()) throw nb::value_error("as many logits for each token as scales");
    for (uint32_t token : came)
      if (token >= scales.size()) throw nb::value_error("no such token");
    std::vector<uint64_t> sums((scales.size() + 1) * came.size());
    stages().token_sums(values.data(), scales.data(), scales.size(), rate, came.data(), came.size(), sums.data());
    return bytes_of(sums);
  });
  m.def("ssm_row_bits", [](size_t raw_size) { return stages().ssm_row_bits(raw_size); });
  // 257 sums before each byte, and 257 after the last.
  m.def("ssm", [](int row_bits, const nb::bytes& content) {
    if (row_bits < 1 || row_bits > 20) throw nb::value_error("row_bits must be 1 to 20");
    const auto model = stages().ssm(row_bits);
    std::vector<uint32_t> sums(257 * (content.size() + 1));
    const auto* data = static_cast<const uint8_t*>(content.data());
    for (size_t i = 0; i < content.size(); ++i) {
      model->predict(sums.data() + 257 * i);
      model->update(data[i]);
    }
    model->predict(sums.data() + 257 * content.size());
    return bytes_of(sums);
  });
}
