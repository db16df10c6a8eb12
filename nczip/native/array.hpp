// A fixed run of plain values on the heap, zeroed or filled, aligned to cache lines.
//
// Files compiled once for each instruction set must not instantiate standard containers of plain types: the linker
// keeps one copy of such a function, and it may be the one that this CPU cannot run. These live in the set's namespace.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace ncz::inline NCZ_ISA {

template <typename T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>);
  static constexpr size_t kAlignment = 64;

 public:
  Array() = default;
  explicit Array(size_t size) : size_(size) {
    const size_t bytes = allocate();
    std::memset(static_cast<void*>(data_), 0, bytes);
  }
  Array(const Array& other) : size_(other.size_) {
    allocate();
    if (size_) std::memcpy(static_cast<void*>(data_), other.data_, size_ * sizeof(T));
  }
  Array(size_t size, T value) : Array(size) {
    for (T& element : *this) element = value;
  }
  ~Array() { std::free(data_); }
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
  // Takes memory for size_ values; its bytes, with those that fill the last line.
  size_t allocate() {
    const size_t bytes = (size_ * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    data_ = static_cast<T*>(std::aligned_alloc(kAlignment, bytes ? bytes : kAlignment));
    if (!data_) throw std::bad_alloc();
    return bytes;
  }

  T* data_ = nullptr;
  size_t size_ = 0;
};

// The same, growing at its end; what it has no values in yet takes no memory.
template <typename T>
class GrowingArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  GrowingArray() = default;
  ~GrowingArray() { std::free(data_); }
  GrowingArray(const GrowingArray&) = delete;
  GrowingArray& operator=(const GrowingArray&) = delete;

  void push_back(T value) {
    if (size_ == room_) {
      room_ = room_ ? room_ * 2 : 1024;
      void* const larger = std::realloc(data_, room_ * sizeof(T));
      if (!larger) throw std::bad_alloc();
      data_ = static_cast<T*>(larger);
    }
    data_[size_++] = value;
  }
  T* data() { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0, room_ = 0;
};

}  // namespace ncz::inline NCZ_ISA
