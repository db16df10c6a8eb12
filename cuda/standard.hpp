// What the core's headers use of C++'s library, for NVRTC, which has none of it: they find this under the names of the
// library's own headers.
#pragma once

using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;
using uintptr_t = unsigned long long;

#define __builtin_prefetch(...) static_cast<void>(0)

namespace std {

using ::memcpy;
using ::memset;

template <typename T>
constexpr const T& min(const T& a, const T& b) {
  return b < a ? b : a;
}
template <typename T>
constexpr const T& max(const T& a, const T& b) {
  return a < b ? b : a;
}
template <typename T>
constexpr const T& clamp(const T& x, const T& low, const T& high) {
  return x < low ? low : high < x ? high : x;
}
constexpr int popcount(unsigned x) {
  int count = 0;
  for (; x; x &= x - 1) ++count;
  return count;
}
constexpr int countr_zero(unsigned x) { return x ? popcount((x & (0u - x)) - 1) : 32; }
constexpr int bit_width(unsigned long long x) {
  int width = 0;
  for (; x; x >>= 1) ++width;
  return width;
}

template <bool kFirst, typename First, typename Second>
struct conditional {
  using type = First;
};
template <typename First, typename Second>
struct conditional<false, First, Second> {
  using type = Second;
};
template <bool kFirst, typename First, typename Second>
using conditional_t = typename conditional<kFirst, First, Second>::type;

template <typename T>
struct bare {
  using type = T;
};
template <typename T>
struct bare<T&> : bare<T> {};
template <typename T>
struct bare<T&&> : bare<T> {};
template <typename T>
struct bare<const T> : bare<T> {};
template <typename T>
using remove_cvref_t = typename bare<T>::type;
template <typename T>
T&& declval();
template <typename T>
inline constexpr bool is_trivially_copyable_v = __is_trivially_copyable(T);

template <typename T, size_t kSize>
struct array {
  T value[kSize ? kSize : 1];
  constexpr T& operator[](size_t i) { return value[i]; }
  constexpr const T& operator[](size_t i) const { return value[i]; }
  constexpr T* begin() { return value; }
  constexpr T* end() { return value + kSize; }
};

// Named by what no kernel has.
template <typename T>
class optional;
struct nullopt_t {};
inline constexpr nullopt_t nullopt;
template <typename T>
class unique_ptr;
template <typename T, typename... Arguments>
unique_ptr<T> make_unique(Arguments&&...);

}  // namespace std
