// Large zeroed memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "memory.hpp"
#ifndef NCZ_DEVICE
#include <sys/mman.h>
#endif

namespace ncz::inline NCZ_ISA {

#ifdef NCZ_DEVICE

class Pages {
 public:
  explicit Pages(size_t bytes) : data_(static_cast<uint8_t*>(take_lines(bytes))) {}
  uint8_t* data() const { return data_; }

 private:
  uint8_t* data_;
};

#else

// Zeroed memory, taken from the system page by page as it is touched, in pages of 2 MiB where there are such: large
// tables are read at random, a page walk each time.
class Pages {
 public:
  explicit Pages(size_t bytes) : bytes_((bytes + kPage - 1) / kPage * kPage) {
    void* p = mmap(nullptr, bytes_ + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    base_ = p;
    const auto address = reinterpret_cast<uintptr_t>(p);
    data_ = reinterpret_cast<uint8_t*>((address + kPage - 1) / kPage * kPage);
#ifdef MADV_HUGEPAGE
    if (bytes >= kPage) madvise(data_, bytes_, MADV_HUGEPAGE);
#endif
  }
  ~Pages() { munmap(base_, bytes_ + kPage); }
  Pages(const Pages& other) : Pages(other.bytes_) { std::memcpy(data_, other.data_, bytes_); }
  Pages& operator=(const Pages&) = delete;
  uint8_t* data() const { return data_; }

 private:
  static constexpr size_t kPage = size_t{2} << 20;
  void* base_;
  uint8_t* data_;
  size_t bytes_;
};

#endif

}  // namespace ncz::inline NCZ_ISA
