#include <dataflow/util/huge_pages.hpp>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <sys/mman.h>

namespace dataflow {

namespace {
constexpr std::size_t huge_page = 2 << 20;
constexpr std::size_t worthwhile = 1 << 20;
constexpr std::size_t largest_slab = 8 << 20;
} // namespace

void* allocate_pages(std::size_t bytes) {
  const bool huge = bytes >= worthwhile;
  const auto alignment = huge ? huge_page : std::size_t{64};
  const auto size = (bytes + alignment - 1) / alignment * alignment;
  auto* memory = std::aligned_alloc(alignment, size);
  if (!memory) throw std::bad_alloc{};
  if (huge) madvise(memory, size, MADV_HUGEPAGE); // advice: a refusal changes nothing but the speed
  return memory;
}

void free_pages(void* memory) noexcept { std::free(memory); }

void* map_zeroes(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  auto* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc{};
  return memory;
}

void unmap_zeroes(void* memory, std::size_t bytes) noexcept {
  if (memory) munmap(memory, bytes);
}

void* slab_memory::allocate(std::size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (bytes > left_) {
    // Each slab is as large as all before it together, up to a bound.
    std::size_t size = bytes;
    for (std::size_t i = 0; i < slabs_.size() && size < largest_slab; ++i)
      size *= 2;
    size = std::max(bytes, std::min(size, largest_slab));
    slabs_.push_back(allocate_pages(size));
    at_ = static_cast<char*>(slabs_.back());
    left_ = size;
  }
  auto* piece = at_;
  at_ += bytes;
  left_ -= bytes;
  return piece;
}

void slab_memory::clear() noexcept {
  for (auto* s : slabs_)
    free_pages(s);
  slabs_.clear();
  at_ = nullptr;
  left_ = 0;
}

} // namespace dataflow
