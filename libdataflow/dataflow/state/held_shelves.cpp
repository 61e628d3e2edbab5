#include <dataflow/state/held_shelves.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace dataflow::detail {

struct held_shelves::slab {
  slab* next;
  std::size_t bytes;
};

namespace {
constexpr std::size_t most_shelves = 128, largest_slab = 64 * 1024;
std::size_t rounded(std::size_t bytes, std::size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}
} // namespace

held_shelves::held_shelves(key_group_range groups, std::size_t alignment, held_memory& counted)
    : groups_(groups), alignment_(alignment), counted_(counted),
      shelves_(std::min<std::size_t>(most_shelves, groups.size())) {}

void* held_shelves::take(std::uint32_t key_group, std::size_t bytes) {
  auto& from = shelves_[shelf_of(key_group)];
  bytes = rounded(bytes, alignment_);
  if (from.left < bytes) {
    const auto head = rounded(sizeof(slab), alignment_);
    const auto size = std::max(from.next, head + bytes);
    auto* const memory = ::operator new (size, std::align_val_t{alignment_});
    from.slabs = ::new (memory) slab{from.slabs, size};
    from.at = static_cast<std::byte*>(memory) + head;
    from.left = size - head;
    from.next = std::min(from.next * 2, largest_slab);
    counted_.add(size);
  }
  from.left -= bytes;
  return std::exchange(from.at, from.at + bytes);
}

void held_shelves::clear(shelf& s) noexcept {
  std::size_t freed = 0;
  while (s.slabs) {
    auto* const gone = std::exchange(s.slabs, s.slabs->next);
    freed += gone->bytes;
    ::operator delete (static_cast<void*>(gone), std::align_val_t{alignment_});
  }
  s = {};
  counted_.remove(freed);
}

void held_shelves::clear() noexcept {
  for (auto& s : shelves_)
    clear(s);
}

} // namespace dataflow::detail
