// CRC-32 as in gzip, PNG and zlib: by carry-less multiplication where the CPU has it, else by tables, eight bytes a
// step.
//
// zlib's own takes longer than unpacking planes does. 64 bytes are a polynomial that four multiplications move along
// by 512 bits at a time, congruent modulo the CRC's (Gopal et al., Intel, 2009); the last 16 bytes of it go through
// the tables.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ncz {

class Crc32 {
 public:
  // Continues a CRC, 0 for none, with more bytes.
  static uint32_t by_tables(uint32_t crc, const uint8_t* bytes, size_t size) { return ~tables(~crc, bytes, size); }

  static uint32_t of(uint32_t crc, const uint8_t* bytes, size_t size) {
#if defined(__x86_64__)
    static const bool multiplies = __builtin_cpu_supports("pclmul");
    if (multiplies && size >= 64) return ~folded(~crc, bytes, size);
#endif
    return by_tables(crc, bytes, size);
  }

 private:
  static constexpr uint32_t kPolynomial = 0xedb88320;  // the highest power in the lowest bit
  using Tables = std::array<std::array<uint32_t, 256>, 8>;

  // [k][b]: of byte b with k bytes of 0 behind it.
  static constexpr Tables make_tables() {
    Tables tables{};
    for (uint32_t b = 0; b < 256; ++b) {
      uint32_t crc = b;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
      tables[0][b] = crc;
    }
    for (size_t k = 1; k < 8; ++k)
      for (size_t b = 0; b < 256; ++b) tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 0xff];
    return tables;
  }

  static uint32_t tables(uint32_t crc, const uint8_t* bytes, size_t size) {
    static constexpr Tables kTables = make_tables();
    for (; size >= 8; bytes += 8, size -= 8) {
      const uint32_t low = crc ^ (bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24);
      crc = kTables[7][low & 0xff] ^ kTables[6][low >> 8 & 0xff] ^ kTables[5][low >> 16 & 0xff] ^
            kTables[4][low >> 24] ^ kTables[3][bytes[4]] ^ kTables[2][bytes[5]] ^ kTables[1][bytes[6]] ^
            kTables[0][bytes[7]];
    }
    for (; size; ++bytes, --size) crc = crc >> 8 ^ kTables[0][(crc ^ *bytes) & 0xff];
    return crc;
  }

#if defined(__x86_64__)
  // x^n modulo the polynomial, shifted as the product of two reversed polynomials needs it.
  static constexpr uint64_t power(int n) {
    uint32_t x = 0x80000000;
    for (; n; --n) x = x >> 1 ^ (x & 1 ? kPolynomial : 0);
    return uint64_t{x} << 1;
  }

  [[gnu::target("pclmul,sse2")]] static __m128i moved(__m128i x, __m128i by, __m128i next) {
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), next);
  }

  [[gnu::target("pclmul,sse2")]] static __m128i load(const uint8_t* bytes) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  }

  // At least 64 bytes.
  [[gnu::target("pclmul,sse2")]] static uint32_t folded(uint32_t crc, const uint8_t* bytes, size_t size) {
    constexpr uint64_t k512[] = {power(512 + 32), power(512 - 32)}, k128[] = {power(128 + 32), power(128 - 32)};
    const __m128i far = _mm_set_epi64x(static_cast<long long>(k512[1]), static_cast<long long>(k512[0]));
    const __m128i near = _mm_set_epi64x(static_cast<long long>(k128[1]), static_cast<long long>(k128[0]));
    __m128i a = _mm_xor_si128(load(bytes), _mm_cvtsi32_si128(static_cast<int>(crc)));
    __m128i b = load(bytes + 16), c = load(bytes + 32), d = load(bytes + 48);
    for (bytes += 64, size -= 64; size >= 64; bytes += 64, size -= 64) {
      a = moved(a, far, load(bytes)), b = moved(b, far, load(bytes + 16));
      c = moved(c, far, load(bytes + 32)), d = moved(d, far, load(bytes + 48));
    }
    a = moved(a, near, b), a = moved(a, near, c), a = moved(a, near, d);
    for (; size >= 16; bytes += 16, size -= 16) a = moved(a, near, load(bytes));
    uint8_t rest[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), a);
    return tables(tables(0, rest, sizeof rest), bytes, size);
  }
#endif
};

}  // namespace ncz
