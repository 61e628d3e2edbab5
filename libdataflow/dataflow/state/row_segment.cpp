#include <dataflow/state/row_segment.hpp>

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
      trivial(k.trivial) {}

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
  next.trivial = trivial && type.trivial;
  return next;
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
      const auto* source = row(i);
      auto* target = copy->row(i);
      from.key.copy(target + from.key_offset, source + from.key_offset);
      mark(target) = 0;
      copy->used |= std::uint64_t{1} << i;
      for_each_bit(mark(source), [&](unsigned c) {
        auto& cell = from.cells[c];
        cell.type.copy(target + copy->layout().cells[c].offset, source + cell.offset);
        if (cell.stamped) stamp(target + copy->layout().cells[c].offset) = stamp(source + cell.offset);
        mark(target) |= std::uint64_t{1} << c;
      });
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
  auto* at = row(i);
  if (!layout_->trivial) {
    for_each_bit(mark(at), [&](unsigned c) { layout_->cells[c].type.destroy(at + layout_->cells[c].offset); });
    layout_->key.destroy(at + layout_->key_offset);
  }
  mark(at) = 0;
  used &= ~(std::uint64_t{1} << i);
}

void row_segment::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~row_segment();
  ::operator delete (static_cast<void*>(this), std::align_val_t{64});
}

} // namespace dataflow::detail
