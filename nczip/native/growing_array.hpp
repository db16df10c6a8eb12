// A run of plain values on the heap that grows at its end.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace ncz::inline NCZ_ISA {

// As Array; what it has no values in yet takes no memory.
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
