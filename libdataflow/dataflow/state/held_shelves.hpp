/// Memory for what a snapshot in progress puts aside, on shelves for neighbouring key groups: it goes when these have
/// been written.
///
/// Threading: take() is the task's, written() and clear() are those of who writes the snapshot: of key groups that have
/// been written, and in the end of all, the task takes no more. Ownership: owns the memory, not what is made in it;
/// borrows what counts it.
#pragma once

#include <dataflow/record/key_groups.hpp>
#include <dataflow/state/held_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace dataflow::detail {

class held_shelves {
public:
  /// `alignment`: of what is taken, in bytes, a power of two that pointers fit in.
  held_shelves(key_group_range groups, std::size_t alignment, held_memory& counted);
  held_shelves(const held_shelves&) = delete;
  ~held_shelves() { clear(); }

  /// REQUIRES: the key group is one of them. Throws std::bad_alloc.
  void* take(std::uint32_t key_group, std::size_t bytes);
  /// `next`: the key group that is written next, if there is one. They come in ascending order.
  void written(std::uint32_t key_group, std::optional<std::uint32_t> next) noexcept {
    const auto i = shelf_of(key_group);
    if (!next || shelf_of(*next) != i) clear(shelves_[i]);
  }
  void clear() noexcept;

private:
  struct slab;
  struct shelf {
    slab* slabs = nullptr;
    std::byte* at = nullptr;
    std::size_t left = 0, next = 512;
  };
  std::size_t shelf_of(std::uint32_t key_group) const noexcept {
    return std::size_t{key_group - groups_.first} * shelves_.size() / groups_.size();
  }
  void clear(shelf& s) noexcept;

  const key_group_range groups_;
  const std::size_t alignment_;
  held_memory& counted_;
  std::vector<shelf> shelves_;
};

} // namespace dataflow::detail
