// A fixed run of plain values on the heap, zeroed or filled, aligned to cache lines.
//
// Files compiled once for each instruction set must not instantiate standard containers of plain types: the linker
// keeps one copy of such a function, and it may be the one that this CPU cannot run. These live in the set's namespace.
#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "memory.hpp"

namespace ncz::inline NCZ_ISA {

template <typename T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Array() = default;
  explicit Array(size_t size) : data_(static_cast<T*>(take_lines(size * sizeof(T)))), size_(size) {
    clear(data_, whole_lines(size * sizeof(T)));  // with what fills the last line
  }
  Array(const Array& other) : data_(static_cast<T*>(take_lines(other.size_ * sizeof(T)))), size_(other.size_) {
    if (size_) std::memcpy(static_cast<void*>(data_), other.data_, size_ * sizeof(T));
  }
  Array(size_t size, T value) : Array(size) {
    for (T& element : *this) element = value;
  }
  ~Array() { free_lines(data_); }
  Array(Array&& other) noexcept : data_(other.data_), size_(other.size_) { other.data_ = nullptr, other.size_ = 0; }
  Array& operator=(Array&& other) noexcept {
    T* const data = data_;
    const size_t size = size_;
    data_ = other.data_, size_ = other.size_;
    other.data_ = data, other.size_ = size;
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
