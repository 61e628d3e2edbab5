/// Memory for large tables that are read at random: in huge pages where the system offers them, so that a look-up does
/// not also miss the translation cache.
///
/// Threading: not shared. Ownership: each owns its memory.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace dataflow {

/// `bytes` of memory aligned to 64 bytes (to 2 MiB, and advised to be huge, from 1 MiB on). Throws std::bad_alloc.
void* allocate_pages(std::size_t bytes);
void free_pages(void* memory) noexcept;

/// Pages of their own, all 0; null for 0 bytes. Throws std::bad_alloc. To be given back with the same number of bytes.
void* map_zeroes(std::size_t bytes);
void unmap_zeroes(void* memory, std::size_t bytes) noexcept;
/// Numbers that are 0, in pages of their own: making them takes no time, whatever their number; touching a page for the
/// first time does. Throws std::bad_alloc.
template <class T>
class zero_pages {
  static_assert(std::is_integral_v<T>);

public:
  explicit zero_pages(std::size_t n) : bytes_(n * sizeof(T)), at_(static_cast<T*>(map_zeroes(bytes_))) {}
  zero_pages(const zero_pages&) = delete;
  ~zero_pages() { unmap_zeroes(at_, bytes_); }
  T& operator[](std::size_t i) noexcept { return at_[i]; }

private:
  std::size_t bytes_;
  T* at_;
};

/// std::allocator over allocate_pages.
template <class T>
struct huge_allocator {
  using value_type = T;
  huge_allocator() = default;
  template <class U>
  huge_allocator(const huge_allocator<U>&) noexcept {}
  T* allocate(std::size_t n) { return static_cast<T*>(allocate_pages(n * sizeof(T))); }
  void deallocate(T* p, std::size_t) noexcept { free_pages(p); }
  bool operator==(const huge_allocator&) const noexcept { return true; }
};
template <class T>
using huge_vector = std::vector<T, huge_allocator<T>>;

/// Pieces that are never given back one by one, cut from slabs that grow with use: small tables stay small, large ones
/// lie in huge pages.
class slab_memory {
public:
  slab_memory() = default;
  slab_memory(const slab_memory&) = delete;
  slab_memory& operator=(const slab_memory&) = delete;
  ~slab_memory() { clear(); }
  /// Aligned to 64 bytes.
  void* allocate(std::size_t bytes);
  void clear() noexcept;

private:
  std::vector<void*> slabs_;
  char* at_ = nullptr;
  std::size_t left_ = 0;
};

} // namespace dataflow
