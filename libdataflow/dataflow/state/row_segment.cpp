#include <dataflow/state/row_segment.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace dataflow::detail {

namespace {
std::size_t aligned(std::size_t offset, std::size_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

/// Calls f(i) for every bit that is set.
template <class F>
void for_each_bit(std::uint64_t bits, F&& f) {
  for (; bits != 0; bits &= bits - 1)
    f(static_cast<unsigned>(std::countr_zero(bits)));
}
} // namespace

row_layout::row_layout(cell_type k)
    : key(k), key_offset(aligned(sizeof(std::uint64_t), k.alignment)), stride(aligned(key_offset + k.size, 8)),
      alignment(std::max(alignof(std::uint64_t), k.alignment)), trivial(k.trivial) {}

row_layout row_layout::with(const cell_type& type, bool stamped) const {
  auto next = *this;
  auto offset = cells.empty() ? key_offset + key.size : cells.back().offset + cells.back().type.size;
  if (stamped) offset = aligned(offset, alignof(std::int64_t)) + sizeof(std::int64_t);
  offset = aligned(offset, stamped ? std::max(type.alignment, alignof(std::int64_t)) : type.alignment);
  next.cells.push_back({type, offset, stamped});
  std::size_t widest = std::max(alignof(std::uint64_t), key.alignment);
  for (auto& c : next.cells)
    widest = std::max(widest, c.type.alignment);
  next.stride = aligned(offset + type.size, widest);
  next.alignment = widest;
  next.trivial = trivial && type.trivial;
  return next;
}

void copy_row(const row_layout& from, const std::byte* source, const row_layout& to, std::byte* target) {
  using segment = row_segment;
  if (from.trivial && from.stride == to.stride) {
    std::memcpy(target, source, from.stride);
    return;
  }
  from.key.copy(target + to.key_offset, source + from.key_offset);
  segment::mark(target) = 0;
  try {
    for_each_bit(segment::mark(source) & segment::cells, [&](unsigned c) {
      auto& cell = from.cells[c];
      cell.type.copy(target + to.cells[c].offset, source + cell.offset);
      if (cell.stamped) segment::stamp(target + to.cells[c].offset) = segment::stamp(source + cell.offset);
      segment::mark(target) |= std::uint64_t{1} << c;
    });
  } catch (...) {
    destroy_row(to, target);
    throw;
  }
}

void destroy_row(const row_layout& layout, std::byte* row) noexcept {
  auto& mark = row_segment::mark(row);
  if (!layout.trivial) {
    for_each_bit(mark & row_segment::cells,
                 [&](unsigned c) { layout.cells[c].type.destroy(row + layout.cells[c].offset); });
    layout.key.destroy(row + layout.key_offset);
  }
  mark = 0;
}

row_segment::row_segment(std::shared_ptr<const row_layout> layout, std::uint32_t group, unsigned capacity) noexcept
    : key_group(group), capacity_(capacity), stride_(layout->stride), layout_(std::move(layout)) {}

row_segment* row_segment::make(std::shared_ptr<const row_layout> layout, std::uint32_t key_group, unsigned capacity) {
  static_assert(sizeof(row_segment) <= header_bytes);
  auto* memory = ::operator new (header_bytes + capacity * layout->stride, std::align_val_t{64});
  return ::new (memory) row_segment(std::move(layout), key_group, capacity);
}

row_segment* row_segment::clone(unsigned capacity, std::shared_ptr<const row_layout> layout) const {
  auto* copy = make(std::move(layout), key_group, capacity);
  const auto& from = *layout_;
  const bool as_it_is = from.trivial && copy->layout().trivial && copy->stride_ == stride_;
  if (as_it_is) {
    std::memcpy(copy->memory(), memory(), std::min(capacity, capacity_) * stride_);
    copy->used = used;
    return copy;
  }
  try {
    for_each_bit(used, [&](unsigned i) {
      copy_row(from, row(i), copy->layout(), copy->row(i));
      copy->used |= std::uint64_t{1} << i;
    });
  } catch (...) {
    copy->release();
    throw;
  }
  return copy;
}

row_segment::~row_segment() {
  if (!layout_->trivial) for_each_bit(used, [&](unsigned i) { destroy_row(i); });
}

void row_segment::destroy_row(unsigned i) noexcept {
  detail::destroy_row(*layout_, row(i));
  used &= ~(std::uint64_t{1} << i);
}

void row_segment::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~row_segment();
  ::operator delete (static_cast<void*>(this), std::align_val_t{64});
}

} // namespace dataflow::detail
