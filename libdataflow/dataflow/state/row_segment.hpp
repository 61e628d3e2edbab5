/// Segments of rows: where a keyed store keeps its keys and their values.
///
/// A row is a mark of which cells hold a value, the key, and the cells side by side, so that a record touches one place
/// in memory whatever the number of its states. A segment has the rows of one key group, up to 64 of them. Segments are
/// counted: a snapshot holds them while the task goes on; the task copies a shared segment before it writes to it.
/// Threading: a segment is written by the task that owns it, and only while nobody else holds it; a held one may be
/// read and given up on any thread. Ownership: counted.
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

/// Where things lie in a row: the mark of the cells that hold a value (8 bytes, a bit per cell), the key, the cells.
/// A stamped cell has 8 bytes in front: the time of its last access.
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
  std::size_t key_offset, stride;
  bool trivial;
  std::vector<cell> cells;
};

class row_segment {
public:
  static constexpr unsigned rows = 64;

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
  static std::int64_t& stamp(std::byte* cell) noexcept { return reinterpret_cast<std::int64_t*>(cell)[-1]; }
  static std::int64_t stamp(const std::byte* cell) noexcept { return reinterpret_cast<const std::int64_t*>(cell)[-1]; }

  const row_layout& layout() const noexcept { return *layout_; }
  unsigned capacity() const noexcept { return capacity_; }
  bool shared() const noexcept { return references_.load(std::memory_order_acquire) > 1; }
  void hold() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;
  /// Destroys key and values of a row. REQUIRES: not shared; bit `i` of `used` is set.
  void destroy_row(unsigned i) noexcept;
  std::size_t bytes() const noexcept { return header_bytes + capacity_ * stride_; }

  const std::uint32_t key_group;
  std::uint64_t used = 0;    ///< a bit per row that has a key
  mutable bool dirty = true; ///< changed since the last snapshot; the task's alone

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
