/// Segments of rows: where a keyed store keeps its keys and their values.
///
/// A row is a mark of which cells hold a value, the key, and the cells side by side, so that a record touches one place
/// in memory whatever the number of its states. A segment has the rows of one key group, up to 64 of them.
/// Threading: a segment is written by the task that owns it; what snapshots may read meanwhile is up to held_rows.hpp.
/// It may be given up on any thread. Ownership: counted: the store's, or that of the snapshots it was left to.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace dataflow::detail {

/// How to handle a value of a type that is not known here.
struct cell_type {
  std::size_t size = 0, alignment = 1;
  bool trivial = true;
  void (*copy)(void* to, const void* from) = nullptr; ///< constructs
  void (*destroy)(void* at) noexcept = nullptr;

  template <class T>
  static cell_type of() {
    return {sizeof(T), alignof(T), std::is_trivially_copyable_v<T>,
            [](void* to, const void* from) { ::new (to) T(*static_cast<const T*>(from)); },
            [](void* at) noexcept { std::destroy_at(static_cast<T*>(at)); }};
  }
};

/// Where things lie in a row: the mark (8 bytes: a bit per cell that holds a value, and in the upper half the version
/// of the store's state that the row was last changed in), the key, the cells. A stamped cell has 8 bytes in front: the
/// time of its last access.
struct row_layout {
  explicit row_layout(cell_type key);
  /// The layout with one cell more.
  row_layout with(const cell_type& cell, bool stamped) const;

  struct cell {
    cell_type type;
    std::size_t offset;
    bool stamped;
  };
  cell_type key;
  std::size_t key_offset, stride, alignment;
  bool trivial;
  std::vector<cell> cells;
};

/// Constructs a copy of a row, in a layout that begins with the other's cells. Nothing is left when it throws.
void copy_row(const row_layout& from, const std::byte* source, const row_layout& to, std::byte* target);
/// Destroys key and values; the mark is 0 then.
void destroy_row(const row_layout& layout, std::byte* row) noexcept;

class row_segment {
public:
  static constexpr unsigned rows = 64;
  static constexpr unsigned least_capacity = 4; // what a store begins a segment with

  static row_segment* make(std::shared_ptr<const row_layout> layout, std::uint32_t key_group, unsigned capacity);
  /// A copy with room for `capacity` rows, in a layout that begins with this one's cells.
  row_segment* clone(unsigned capacity, std::shared_ptr<const row_layout> layout) const;
  row_segment(const row_segment&) = delete;

  std::byte* row(std::size_t i) noexcept { return memory() + i * stride_; }
  const std::byte* row(std::size_t i) const noexcept { return memory() + i * stride_; }
  /// The same for who knows the stride, without a look at the segment's own memory.
  std::byte* row(std::size_t i, std::size_t stride) noexcept { return memory() + i * stride; }
  static std::uint64_t& mark(std::byte* row) noexcept { return *reinterpret_cast<std::uint64_t*>(row); }
  static std::uint64_t mark(const std::byte* row) noexcept { return *reinterpret_cast<const std::uint64_t*>(row); }
  static constexpr std::uint64_t cells = 0xffffffff; ///< of a mark: a bit per cell
  static bool is_empty(const std::byte* row) noexcept { return (mark(row) & cells) == 0; }
  static std::uint32_t version(const std::byte* row) noexcept { return static_cast<std::uint32_t>(mark(row) >> 32); }
  static void set_version(std::byte* row, std::uint32_t version) noexcept {
    mark(row) = (mark(row) & cells) | std::uint64_t{version} << 32;
  }
  static std::int64_t& stamp(std::byte* cell) noexcept { return reinterpret_cast<std::int64_t*>(cell)[-1]; }
  static std::int64_t stamp(const std::byte* cell) noexcept { return reinterpret_cast<const std::int64_t*>(cell)[-1]; }

  const row_layout& layout() const noexcept { return *layout_; }
  unsigned capacity() const noexcept { return capacity_; }
  void hold() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;
  /// Destroys key and values of a row. REQUIRES: bit `i` of `used` is set.
  void destroy_row(unsigned i) noexcept;
  std::size_t bytes() const noexcept { return header_bytes + capacity_ * stride_; }

  const std::uint32_t key_group;
  std::uint64_t used = 0; ///< a bit per row that has a key

private:
  static constexpr std::size_t header_bytes = 64;
  row_segment(std::shared_ptr<const row_layout> layout, std::uint32_t key_group, unsigned capacity) noexcept;
  ~row_segment();
  std::byte* memory() noexcept { return reinterpret_cast<std::byte*>(this) + header_bytes; }
  const std::byte* memory() const noexcept { return reinterpret_cast<const std::byte*>(this) + header_bytes; }

  std::atomic<std::uint32_t> references_{1};
  unsigned capacity_;
  std::size_t stride_;
  std::shared_ptr<const row_layout> layout_;
};

} // namespace dataflow::detail
