#include <dataflow/state/held_blocks.hpp>
#include <dataflow/util/error.hpp>

#include <atomic>
#include <cstring>
#include <thread>

namespace dataflow::detail {

held_blocks::held_blocks(std::shared_ptr<const void> memory, const std::uint8_t* tags, const void* at,
                         std::size_t slot_bytes, std::size_t slots)
    : memory_(std::move(memory)), tags_(tags), slots_(static_cast<const std::byte*>(at)), slot_bytes_(slot_bytes),
      blocks_(slots / block), states_(blocks_), saved_((blocks_ + 63) / 64) {}

/// Slots, then tags.
void held_blocks::copy(std::size_t b, std::byte* to) const noexcept {
  std::memcpy(to, slots_ + b * block * slot_bytes_, block * slot_bytes_);
  std::memcpy(to + block * slot_bytes_, tags_ + b * block, block);
}

void held_blocks::save_block(std::size_t b) {
  const std::atomic_ref<state> s{states_[b]};
  for (state none = 0; !s.compare_exchange_weak(none, being_copied, std::memory_order_acquire); none = 0) {
    if (none & done) {
      saved_[b / 64] |= std::uint64_t{1} << b % 64;
      return;
    }
    if (none != 0) std::this_thread::yield(); // for as long as it takes to copy a block
  }
  std::byte* kept = nullptr;
  try {
    kept = static_cast<std::byte*>(::operator new (copy_bytes(), std::align_val_t{most_slot_bytes}));
  } catch (...) {
    s.store(0, std::memory_order_release);
    throw;
  }
  copy(b, kept);
  held_.add(copy_bytes());
  s.store(reinterpret_cast<state>(kept), std::memory_order_release);
  saved_[b / 64] |= std::uint64_t{1} << b % 64;
}

void held_blocks::read(bool last, const std::function<void(const std::uint8_t*, const std::byte*)>& visit) {
  if (given_up_ || held_.over()) throw error{errc::internal, "a table's snapshot is read after it was given up"};
  given_up_ = last;
  alignas(most_slot_bytes) std::byte own[block * (1 + most_slot_bytes)];
  for (std::size_t b = 0; b < blocks_; ++b) {
    const std::atomic_ref<state> s{states_[b]};
    state was = 0;
    while (!s.compare_exchange_weak(was, being_copied, std::memory_order_acq_rel) &&
           (was == 0 || was == being_copied)) {
      if (was != 0) std::this_thread::yield();
      was = 0;
    }
    auto* const kept = reinterpret_cast<std::byte*>(was);
    if (!kept) {
      copy(b, own);
      s.store(last ? done : 0, std::memory_order_release);
    }
    const auto* const from = kept ? kept : own;
    visit(reinterpret_cast<const std::uint8_t*>(from + block * slot_bytes_), from);
    if (!last || !kept) continue;
    s.store(done, std::memory_order_release);
    ::operator delete (static_cast<void*>(kept), std::align_val_t{most_slot_bytes});
    held_.remove(copy_bytes());
  }
  if (last) give_up();
}

void held_blocks::give_up() noexcept {
  if (held_.over()) return;
  for (std::size_t b = 0; b < blocks_; ++b) {
    const std::atomic_ref<state> s{states_[b]};
    state was = s.load(std::memory_order_acquire);
    while (was == being_copied || !s.compare_exchange_weak(was, done, std::memory_order_acq_rel)) {
      if (was == being_copied) std::this_thread::yield();
      was = s.load(std::memory_order_acquire);
    }
    if (was == 0 || was == done) continue;
    ::operator delete (reinterpret_cast<void*>(was), std::align_val_t{most_slot_bytes});
    held_.remove(copy_bytes());
  }
  held_.end();
}

} // namespace dataflow::detail
