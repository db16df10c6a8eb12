// Method 4: numbers as planes of their bytes, each plane with a static code of its own or as it is (formats/planes.md).
//
// The bytes of numbers at one place of significance have much in common, those beside each other little: the exponents
// of trained weights take less than 3 bits each, their mantissas all they have (Hershcovitch et al., ZipNN, 2024). So
// the elements of a block are turned until the exponent is a whole byte, split into planes, and each plane of a chunk
// is stored, named by its only value, or coded: a canonical Huffman code of at most 11 bits in four streams, which one
// core reads side by side, several symbols a look-up.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

namespace ncz::planes {

constexpr size_t kChunk = size_t{1} << 16;  // elements; 16 bits hold a stream's size, kChunk / 4 * 11 / 8 bytes at most
constexpr size_t kMostWidth = 8;
constexpr int kCodeBits = 11;   // the longest code, and the bits of a look-up
constexpr int kStreams = 4;
constexpr size_t kSlack = 64;   // bytes between planes, lest they share lines of a cache; a write goes less too far
constexpr size_t kWorthCoding = 64;  // a code has to save one byte in so many, since reading it takes time

enum Mode : uint8_t { kStored, kRun, kCoded, kCodedAgain };

// What elements are turned into before they are split. A float's field of sign and exponent, the top `field` bits, is
// turned left by `turn`; an integer's sign goes to its lowest bit and inverts the others (zigzag).
enum class Turn : uint8_t { kNone, kFloat, kZigzag };

struct Kind {
  uint8_t width;  // bytes
  Turn turn;
};

constexpr std::array<Kind, 10> kKinds{{{1, Turn::kNone},
                                       {2, Turn::kNone},
                                       {4, Turn::kNone},
                                       {8, Turn::kNone},
                                       {2, Turn::kFloat},
                                       {4, Turn::kFloat},
                                       {8, Turn::kFloat},
                                       {2, Turn::kZigzag},
                                       {4, Turn::kZigzag},
                                       {8, Turn::kZigzag}}};

struct DamagedError : std::invalid_argument {
  DamagedError() : std::invalid_argument("the packed bytes are not planes that fit the block") {}
};

template <size_t kBytes>
struct Unsigned;
template <>
struct Unsigned<1> { using Type = uint8_t; };
template <>
struct Unsigned<2> { using Type = uint16_t; };
template <>
struct Unsigned<4> { using Type = uint32_t; };
template <>
struct Unsigned<8> { using Type = uint64_t; };

// The sign goes below the exponent's lowest 8 bits, which become the top byte. binary16 shares this with bfloat16: its
// exponent and three bits of mantissa.
template <typename T>
struct FloatField {
  static constexpr int kBits = 8 * sizeof(T), kField = sizeof(T) == 8 ? 12 : 9, kLeft = kField - 8;
  static constexpr T kRest = static_cast<T>((T{1} << (kBits - kField)) - 1);
  static constexpr T kSigns = static_cast<T>(((T{1} << kLeft) - 1) << (kBits - kField));
};

template <Turn turn, typename T>
constexpr T turned(T x) {
  if constexpr (turn == Turn::kFloat) {
    using F = FloatField<T>;
    const T top = static_cast<T>(static_cast<T>(x << F::kLeft) & ~(F::kRest | F::kSigns));
    return static_cast<T>(top | (static_cast<T>(x >> 8) & F::kSigns) | (x & F::kRest));
  } else if constexpr (turn == Turn::kZigzag) {
    return static_cast<T>(static_cast<T>(x << 1) ^ static_cast<T>(T{0} - static_cast<T>(x >> (8 * sizeof(T) - 1))));
  } else {
    return x;
  }
}

template <Turn turn, typename T>
constexpr T turned_back(T y) {
  if constexpr (turn == Turn::kFloat) {
    using F = FloatField<T>;
    const T exponent = static_cast<T>(static_cast<T>(y >> F::kLeft) & (T(~T{0}) >> F::kLeft) & ~F::kRest);
    return static_cast<T>(static_cast<T>((y & F::kSigns) << 8) | (y & F::kRest) | exponent);
  } else if constexpr (turn == Turn::kZigzag) {
    return static_cast<T>(static_cast<T>(y >> 1) ^ static_cast<T>(T{0} - static_cast<T>(y & 1)));
  } else {
    return y;
  }
}

// Splits n elements into planes, the least significant first, each at a distance of `stride` bytes from the last.
template <Turn turn, typename T>
void split(const uint8_t* raw, size_t n, uint8_t* planes, size_t stride) {
  for (size_t i = 0; i < n; ++i) {
    T x;
    std::memcpy(&x, raw + i * sizeof(T), sizeof(T));
    x = turned<turn>(x);
    for (size_t k = 0; k < sizeof(T); ++k) planes[k * stride + i] = static_cast<uint8_t>(x >> (8 * k));
  }
}

template <Turn turn, typename T>
void merge(const uint8_t* const* planes, size_t n, uint8_t* raw) {
  std::array<const uint8_t*, sizeof(T)> p;
  std::copy_n(planes, sizeof(T), p.begin());
  for (size_t i = 0; i < n; ++i) {
    T y = 0;
    for (size_t k = 0; k < sizeof(T); ++k) y = static_cast<T>(y | static_cast<T>(static_cast<T>(p[k][i]) << (8 * k)));
    y = turned_back<turn>(y);
    std::memcpy(raw + i * sizeof(T), &y, sizeof(T));
  }
}

// Calls what(turn, zero of the element's type) for the kind.
template <typename What>
auto with_kind(Kind kind, What&& what) {
  const auto turned_by = [&]<typename T>(T zero) {
    switch (kind.turn) {
      case Turn::kFloat:
        if constexpr (sizeof(T) > 1) return what(std::integral_constant<Turn, Turn::kFloat>(), zero);
        [[fallthrough]];
      case Turn::kZigzag:
        return what(std::integral_constant<Turn, Turn::kZigzag>(), zero);
      default:
        return what(std::integral_constant<Turn, Turn::kNone>(), zero);
    }
  };
  switch (kind.width) {
    case 2: return turned_by(uint16_t{0});
    case 4: return turned_by(uint32_t{0});
    case 8: return turned_by(uint64_t{0});
    default: return turned_by(uint8_t{0});
  }
}

inline void split(Kind kind, const uint8_t* raw, size_t n, uint8_t* planes, size_t stride) {
  with_kind(kind, [&](auto turn, auto zero) { split<turn(), decltype(zero)>(raw, n, planes, stride); });
}

inline void merge(Kind kind, const uint8_t* const* planes, size_t n, uint8_t* raw) {
  with_kind(kind, [&](auto turn, auto zero) { merge<turn(), decltype(zero)>(planes, n, raw); });
}

using Counts = std::array<uint32_t, 256>;

// Adds how often each byte occurs. Four tables, since an increment waits for the last one of the same place.
inline void count(const uint8_t* bytes, size_t n, Counts& counts) {
  std::array<Counts, 4> some{};
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t x;
    std::memcpy(&x, bytes + i, 8);
    for (int k = 0; k < 8; ++k) ++some[k % 4][static_cast<uint8_t>(x >> (8 * k))];
  }
  for (; i < n; ++i) ++some[0][bytes[i]];
  for (size_t k = 0; k < 256; ++k) counts[k] += some[0][k] + some[1][k] + some[2][k] + some[3][k];
}

// Whether the bytes are so evenly spread that no code can save one in kWorthCoding: by the collisions in a sixteenth
// of them. What they lack of 8 bits each is at most log2(256 times the chance of a collision) (Renyi, 1961), and has to
// be 1/8.
inline bool evenly_spread(const uint8_t* bytes, size_t n) {
  constexpr size_t kPiece = 64, kStride = 16 * kPiece, kLeast = 4096;
  if (n < kStride * kLeast / kPiece) return false;
  Counts counts{};
  uint64_t sampled = 0;
  for (size_t i = 0; i + kPiece <= n; i += kStride, sampled += kPiece)
    for (size_t k = 0; k < kPiece; ++k) ++counts[bytes[i + k]];
  uint64_t collisions = 0;
  for (const uint64_t c : counts) collisions += c * (c - (c != 0));
  return 256 * collisions * 16 < sampled * (sampled - 1) * 17;  // 2^(1/8) is 1.09; 17/16 leaves room for chance
}

// A canonical prefix code of bytes: lengths in bits, 0 for those that do not occur.
struct Code {
  std::array<uint8_t, 256> lengths{};

  // Bits of all the bytes counted; at least 2^40 if one of them has no code.
  uint64_t cost(const Counts& counts) const {
    uint64_t bits = 0;
    for (size_t s = 0; s < 256; ++s)
      bits += counts[s] * (lengths[s] || !counts[s] ? uint64_t{lengths[s]} : uint64_t{1} << 40);
    return bits;
  }

  // Which groups of 8 bytes have any code: bit i is for 8 i to 8 i + 7.
  uint32_t groups() const {
    uint32_t bits = 0;
    for (size_t s = 0; s < 256; ++s) bits |= uint32_t{lengths[s] != 0} << (s / 8);
    return bits;
  }

  // For each byte its code, the first bit lowest, above 8 bits of length.
  std::array<uint32_t, 256> codes() const {
    std::array<uint32_t, kCodeBits + 1> many{}, next{};
    for (const uint8_t length : lengths) many[length] += length != 0;
    for (int length = 1; length <= kCodeBits; ++length) next[length] = 2 * (next[length - 1] + many[length - 1]);
    std::array<uint32_t, 256> found{};
    for (size_t s = 0; s < 256; ++s)
      if (const uint32_t length = lengths[s]) found[s] = reversed(next[length]++, length) << 8 | length;
    return found;
  }

 private:
  static uint32_t reversed(uint32_t bits, uint32_t length) {
    bits = (bits & 0x5555) << 1 | (bits >> 1 & 0x5555);
    bits = (bits & 0x3333) << 2 | (bits >> 2 & 0x3333);
    bits = (bits & 0x0f0f) << 4 | (bits >> 4 & 0x0f0f);
    bits = (bits & 0x00ff) << 8 | bits >> 8;
    return bits >> (16 - length);
  }
};

// The best code there is (Huffman, 1952), found in place (Moffat and Katajainen, 1995), then no code longer than
// kCodeBits: what was longer gets that length, and the next shorter ones are lengthened until all fit. At least two
// bytes must occur.
inline Code make_code(const Counts& counts) {
  std::array<uint64_t, 256> order;  // by count, then by value
  size_t n = 0;
  for (size_t s = 0; s < 256; ++s)
    if (counts[s]) order[n++] = uint64_t{counts[s]} << 8 | s;
  std::sort(order.begin(), order.begin() + n);
  std::array<uint64_t, 256> a;
  for (size_t i = 0; i < n; ++i) a[i] = order[i] >> 8;
  // Parents of inner nodes...
  a[0] += a[1];
  for (size_t root = 0, leaf = 2, next = 1; next + 1 < n; ++next) {
    const auto lesser = [&]() -> uint64_t {
      if (leaf >= n || (root < next && a[root] < a[leaf])) {
        const uint64_t weight = a[root];
        a[root++] = next;
        return weight;
      }
      return a[leaf++];
    };
    const uint64_t first = lesser();
    a[next] = first + lesser();
  }
  // ...their depths, then how many leaves each depth has.
  a[n - 2] = 0;
  for (size_t next = n - 2; next-- > 0;) a[next] = a[a[next]] + 1;
  std::array<uint32_t, 257> leaves{};
  size_t inner = n - 1;  // those not yet looked at are a[0 .. inner)
  for (uint32_t depth = 0, available = 1; available; ++depth) {
    uint32_t used = 0;
    while (inner && a[inner - 1] == depth) ++used, --inner;
    leaves[depth] = available - used;
    available = 2 * used;
  }
  uint32_t share = 0;  // of 2^kCodeBits
  for (size_t depth = kCodeBits + 1; depth < leaves.size(); ++depth) leaves[kCodeBits] += leaves[depth];
  for (int depth = 1; depth <= kCodeBits; ++depth) share += leaves[depth] << (kCodeBits - depth);
  for (; share > 1u << kCodeBits; --share) {
    int depth = kCodeBits - 1;
    while (!leaves[depth]) --depth;
    --leaves[depth];
    leaves[depth + 1] += 2;
    --leaves[kCodeBits];
  }
  Code code;
  int depth = kCodeBits;
  for (size_t i = 0; i < n; ++i) {
    while (!leaves[depth]) --depth;
    --leaves[depth];
    code.lengths[order[i] & 0xff] = static_cast<uint8_t>(depth);
  }
  return code;
}

// The codes of some bytes, the first bit in the lowest place; returns the end. Writes up to 8 bytes past it.
inline uint8_t* write_stream(const uint8_t* bytes, size_t n, const std::array<uint32_t, 256>& codes, uint8_t* out) {
  uint64_t bits = 0;
  uint32_t have = 0;
  const auto put = [&](uint8_t byte) {
    const uint32_t code = codes[byte];
    bits |= uint64_t{code >> 8} << have;
    have += code & 0xff;
  };
  const auto flush = [&] {
    std::memcpy(out, &bits, 8);
    out += have / 8;
    bits >>= have & ~7u;
    have %= 8;
  };
  static_assert(std::endian::native == std::endian::little);
  size_t i = 0;
  for (; i + 5 <= n; i += 5) {  // 7 bits left and 5 codes fit in 64
    for (size_t k = 0; k < 5; ++k) put(bytes[i + k]);
    flush();
  }
  for (; i < n; ++i) put(bytes[i]);
  flush();
  if (have) ++out;
  return out;
}

inline size_t streams_part(size_t n) { return (n + kStreams - 1) / kStreams; }

// What the next kCodeBits bits say: in byte 0 how many of them are codes, in byte 1 how many codes, in byte 2 the
// length of the first, then the bytes that they stand for.
class Table {
 public:
  static constexpr size_t kMost = 5;  // bytes a look-up

  // False if the lengths are not those of a complete code.
  bool set(const std::array<uint8_t, 256>& lengths) {
    uint32_t share = 0;
    for (const uint8_t length : lengths) {
      if (length > kCodeBits) return false;
      if (length) share += 1u << (kCodeBits - length);
    }
    if (share != 1u << kCodeBits) return false;
    Code code;
    code.lengths = lengths;
    const auto codes = code.codes();
    // Tables of fewer bits first: what follows the first byte is in one of them.
    uint32_t least = kCodeBits;
    for (const uint8_t length : lengths)
      if (length) least = std::min<uint32_t>(least, length);
    std::array<uint64_t, kSize> smaller{};  // those of b bits begin at 2^b
    for (uint32_t bits = least; bits <= kCodeBits; ++bits) {
      if (bits > kCodeBits - least && bits < kCodeBits) continue;  // nothing is followed by so many
      uint64_t* const entries = bits == kCodeBits ? entries_.data() : &smaller[size_t{1} << bits];
      for (size_t s = 0; s < 256; ++s) {
        const uint32_t length = lengths[s], left = bits - length;
        if (length == 0 || length > bits) continue;
        const uint64_t* const rest = &smaller[size_t{1} << left];
        uint64_t* entry = entries + (codes[s] >> 8);
        for (size_t i = 0; i < size_t{1} << left; ++i, entry += size_t{1} << length) {
          uint64_t next = rest[i];
          if ((next >> 8 & 0xff) == kMost) next -= 1 << 8 | lengths[next >> 56];  // its last has no room
          *entry = (next >> 24) << 32 | uint64_t{s} << 24 | length << 16 | ((next & 0xffff) + (1 << 8 | length));
        }
      }
    }
    set_ = true;
    return true;
  }
  bool is_set() const { return set_; }
  uint64_t operator[](size_t i) const { return entries_[i]; }

 private:
  static constexpr size_t kSize = size_t{1} << kCodeBits;
  std::array<uint64_t, kSize> entries_;
  bool set_ = false;
};

// A stream that is being read. `have` bits of `bits` count; those above them are what the source has there, or 0.
struct Stream {
  const uint8_t* in;
  const uint8_t* end;
  uint8_t* out;
  uint8_t* out_end;
  uint64_t bits = 0;
  uint32_t have = 0;
};

// Reads four streams of codes, one behind the other, into n bytes; false unless each is used up by its part of them.
inline bool read_streams(const Table& table, const uint8_t* in, const std::array<uint32_t, kStreams>& sizes, size_t n,
                         uint8_t* out) {
  constexpr size_t kLookups = 5;  // 56 bits are there after a refill
  static_assert(kLookups * kCodeBits <= 56);
  constexpr uint64_t kMask = (uint64_t{1} << kCodeBits) - 1;
  std::array<Stream, kStreams> streams;
  const size_t part = streams_part(n);
  for (size_t k = 0; k < kStreams; ++k) {
    streams[k].in = in;
    streams[k].end = in += sizes[k];
    streams[k].out = out + std::min(n, k * part);
    streams[k].out_end = out + std::min(n, (k + 1) * part);
  }
  // All four together, while none can leave its bytes or its part: a round reads 8 bytes and moves on by fewer,
  // and writes at most kMost bytes a look-up, but the last time 8.
  Stream s0 = streams[0], s1 = streams[1], s2 = streams[2], s3 = streams[3];
  const auto rounds = [](const Stream& s) {
    const size_t readable = static_cast<size_t>(s.end - s.in), room = static_cast<size_t>(s.out_end - s.out);
    return std::min(readable / 8, room / (Table::kMost * kLookups + 8));
  };
  const auto refill = [](Stream& s) {
    uint64_t next;
    std::memcpy(&next, s.in, 8);
    s.bits |= next << s.have;
    s.in += (63 - s.have) >> 3;
    s.have |= 56;
  };
  const auto look_up = [&](Stream& s) {
    const uint64_t entry = table[s.bits & kMask];
    const uint64_t bytes = entry >> 24;
    std::memcpy(s.out, &bytes, 8);
    s.out += (entry >> 8) & 0xff;
    s.bits >>= entry & 63;
    s.have -= static_cast<uint32_t>(entry & 0xff);
  };
  for (size_t left; (left = std::min(std::min(rounds(s0), rounds(s1)), std::min(rounds(s2), rounds(s3)))) != 0;)
    for (; left; --left) {
      refill(s0), refill(s1), refill(s2), refill(s3);
      for (size_t i = 0; i < kLookups; ++i) look_up(s0), look_up(s1), look_up(s2), look_up(s3);
    }
  streams = {s0, s1, s2, s3};
  // The rest of each, code by code, with zeros past its end.
  for (Stream& s : streams) {
    s.bits &= (uint64_t{1} << s.have) - 1;  // what lies above is read again
    while (s.out < s.out_end) {
      while (s.have <= 56 && s.in < s.end) {
        s.bits |= uint64_t{*s.in++} << s.have;
        s.have += 8;
      }
      const uint64_t entry = table[s.bits & kMask];
      const uint32_t length = static_cast<uint32_t>(entry >> 16) & 0xff;
      if (length > s.have) return false;
      *s.out++ = static_cast<uint8_t>(entry >> 24);
      s.bits >>= length;
      s.have -= length;
    }
    if (s.in != s.end || s.have >= 8 || s.bits) return false;
  }
  return true;
}

// Sizes that all blocks share: bytes before the first element, elements, bytes after the last.
struct Shape {
  Shape(Kind kind, size_t lead, size_t raw_size)
      : lead(lead), elements((raw_size - lead) / kind.width), tail((raw_size - lead) % kind.width) {}
  size_t lead, elements, tail;
};

class Encoder {
 public:
  // `out` has room for `room` bytes. The block has `lead` bytes at least.
  Encoder(const uint8_t* raw, size_t size, uint8_t kind, size_t lead, uint8_t* out)
      : kind_(kKinds[kind]), shape_(kind_, lead, size), raw_(raw), in_(raw), end_(raw + size), start_(out), out_(out) {
    const size_t stride = std::min(kChunk, shape_.elements) + kSlack;
    stride_ = stride;
    planes_.reset(new uint8_t[kind_.width * stride]);
    *out_++ = kind;
    *out_++ = static_cast<uint8_t>(lead);
    copy(lead);
  }

  // Bytes that packing takes room for: stored planes, their modes, what a stream writes past its end.
  static size_t room(size_t size) { return size + 2 + kMostWidth * (size / kChunk + 1) + kSlack; }
  // Bytes beside the block and what it is packed to.
  static size_t memory() { return kMostWidth * (kChunk + kSlack); }

  // Codes `bytes` more or a little beyond; returns the bytes of the block done.
  size_t advance(size_t bytes) {
    for (const uint8_t* const stop = in_ + std::min(bytes, static_cast<size_t>(end_ - in_)); in_ < stop;) {
      const size_t n = std::min(kChunk, shape_.elements);
      if (n == 0) {
        copy(shape_.tail);
        break;
      }
      split(kind_, in_, n, planes_.get(), stride_);
      for (size_t k = kind_.width; k-- > 0;) pack_plane(k, planes_.get() + k * stride_, n);
      in_ += n * kind_.width;
      shape_.elements -= n;
      if (shape_.elements == 0) copy(shape_.tail);
    }
    return static_cast<size_t>(in_ - raw_);
  }
  size_t packed_size() const { return static_cast<size_t>(out_ - start_); }

 private:
  void copy(size_t n) {
    std::memcpy(out_, in_, n);
    in_ += n, out_ += n;
  }

  void pack_plane(size_t k, const uint8_t* plane, size_t n) {
    if (evenly_spread(plane, n)) return store(plane, n);
    Counts counts{};
    count(plane, n, counts);
    if (counts[plane[0]] == n) {
      *out_++ = kRun;
      *out_++ = plane[0];
      return;
    }
    const Code code = make_code(counts);
    const uint32_t groups = code.groups();
    const size_t described = 4 + 4 * static_cast<size_t>(std::popcount(groups));
    const uint64_t fresh = 8 * described + code.cost(counts), again = last_codes_[k].cost(counts);
    const uint64_t bits = std::min(fresh, again) + 8 * (1 + 2 * kStreams);
    if (bits / 8 + n / kWorthCoding >= n) return store(plane, n);
    const bool anew = fresh < again;
    if (anew) last_codes_[k] = code;
    *out_++ = anew ? kCoded : kCodedAgain;
    if (anew) {
      std::memcpy(out_, &groups, 4);
      out_ += 4;
      for (size_t s = 0; s < 256; s += 2)
        if (groups >> (s / 8) & 1) *out_++ = static_cast<uint8_t>(code.lengths[s] | code.lengths[s + 1] << 4);
    }
    uint8_t* const sizes = out_;
    out_ += 2 * kStreams;
    const auto codes = last_codes_[k].codes();
    const size_t part = streams_part(n);
    for (size_t i = 0; i < kStreams; ++i) {
      const size_t begin = std::min(n, i * part), end = std::min(n, begin + part);
      uint8_t* const from = out_;
      out_ = write_stream(plane + begin, end - begin, codes, out_);
      const auto size = static_cast<uint16_t>(out_ - from);
      std::memcpy(sizes + 2 * i, &size, 2);
    }
  }

  void store(const uint8_t* plane, size_t n) {
    *out_++ = kStored;
    std::memcpy(out_, plane, n);
    out_ += n;
  }

  Kind kind_;
  Shape shape_;  // what is left
  const uint8_t *raw_, *in_, *end_;
  uint8_t *start_, *out_;
  size_t stride_;
  std::unique_ptr<uint8_t[]> planes_;
  std::array<Code, kMostWidth> last_codes_{};
};

class Decoder {
 public:
  // Raises DamagedError, here and while it decodes.
  Decoder(const uint8_t* packed, size_t size, size_t raw_size)
      : kind_(known(packed, size, raw_size)),
        shape_(kind_, packed[1], raw_size),
        in_(packed + 2),
        end_(packed + size),
        size_(raw_size) {
    stride_ = std::min(kChunk, shape_.elements) + kSlack;
    planes_.reset(new uint8_t[kind_.width * stride_]);
  }

  static size_t memory() { return kMostWidth * (kChunk + kSlack + sizeof(Table)); }
  // Bytes that a step of `advance` may take room for.
  static size_t step() { return kMostWidth * (kChunk + 2); }

  // Decodes `bytes` more or a little beyond, as far as there is room for the next step in `raw`, where the block
  // begins; returns the bytes of the block done.
  size_t advance(uint8_t* raw, size_t room, size_t bytes) {
    const size_t stop = done_ + std::min(bytes, size_ - done_);
    while (done_ < stop && room - done_ >= std::min(step(), size_ - done_)) {
      copy(raw, std::exchange(shape_.lead, 0));
      if (const size_t n = std::min(kChunk, shape_.elements)) {
        std::array<const uint8_t*, kMostWidth> planes{};
        for (size_t k = kind_.width; k-- > 0;) planes[k] = unpack_plane(k, n);
        merge(kind_, planes.data(), n, raw + done_);
        done_ += n * kind_.width;
        shape_.elements -= n;
      }
      if (shape_.elements == 0) copy(raw, std::exchange(shape_.tail, 0));
    }
    if (done_ == size_ && in_ != end_) throw DamagedError();
    return done_;
  }

 private:
  static Kind known(const uint8_t* packed, size_t size, size_t raw_size) {
    if (size < 2 || packed[0] >= kKinds.size()) throw DamagedError();
    const Kind kind = kKinds[packed[0]];
    if (packed[1] >= kind.width || packed[1] > raw_size) throw DamagedError();
    return kind;
  }

  const uint8_t* take(size_t n) {
    if (static_cast<size_t>(end_ - in_) < n) throw DamagedError();
    in_ += n;
    return in_ - n;
  }

  void copy(uint8_t* raw, size_t n) {
    std::memcpy(raw + done_, take(n), n);
    done_ += n;
  }

  // Where the plane's n bytes are.
  const uint8_t* unpack_plane(size_t k, size_t n) {
    const uint8_t mode = *take(1);
    if (mode == kStored) return take(n);
    uint8_t* const plane = planes_.get() + k * stride_;
    if (mode == kRun) {
      std::memset(plane, *take(1), n);
      return plane;
    }
    if (mode > kCodedAgain) throw DamagedError();
    std::unique_ptr<Table>& table = tables_[k];
    if (mode == kCoded) {
      uint32_t groups;
      std::memcpy(&groups, take(4), 4);
      std::array<uint8_t, 256> lengths{};
      for (size_t s = 0; s < 256; s += 2)
        if (groups >> (s / 8) & 1) {
          const uint8_t two = *take(1);
          lengths[s] = two & 15, lengths[s + 1] = two >> 4;
        }
      if (!table) table.reset(new Table);
      if (!table->set(lengths)) throw DamagedError();
    } else if (!table) {
      throw DamagedError();
    }
    std::array<uint32_t, kStreams> sizes;
    size_t total = 0;
    const uint8_t* const described = take(2 * kStreams);
    for (size_t i = 0; i < kStreams; ++i)
      total += sizes[i] = described[2 * i] | static_cast<uint32_t>(described[2 * i + 1]) << 8;
    if (!read_streams(*table, take(total), sizes, n, plane)) throw DamagedError();
    return plane;
  }

  Kind kind_;
  Shape shape_;  // what is left
  const uint8_t *in_, *end_;
  size_t size_, done_ = 0, stride_;
  std::unique_ptr<uint8_t[]> planes_;
  std::array<std::unique_ptr<Table>, kMostWidth> tables_;
};

}  // namespace ncz::planes
