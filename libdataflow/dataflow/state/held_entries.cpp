#include <dataflow/state/held_entries.hpp>
#include <dataflow/util/error.hpp>

#include <cstring>
#include <new>
#include <thread>
#include <utility>

namespace dataflow::detail {

void key_group_order::build(std::size_t positions, key_group_range groups,
                            const std::function<std::optional<std::uint32_t>(std::size_t)>& group_at) {
  constexpr auto none = ~std::uint32_t{0};
  std::vector<std::uint32_t> of(positions, none);
  first_ = groups.first;
  std::vector<std::size_t> begins(groups.size() + 1);
  for (std::size_t i = 0; i < positions; ++i)
    if (const auto group = group_at(i)) {
      if (!groups.contains(*group)) throw error{errc::internal, "a table has a key of another subtask"};
      of[i] = *group - first_;
      ++begins[of[i] + 1];
    }
  for (std::size_t g = 1; g < begins.size(); ++g)
    begins[g] += begins[g - 1];
  positions_.resize(begins.back());
  auto next = begins;
  for (std::size_t i = 0; i < positions; ++i)
    if (of[i] != none) positions_[next[of[i]]++] = static_cast<std::uint32_t>(i);
  begins_ = std::move(begins);
}

void key_group_order::clear() noexcept {
  begins_ = {};
  positions_ = {};
}

/// In front of the bytes.
struct held_entries::aside {
  std::uint32_t key_group;
  std::size_t bytes;
  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
};

held_entries::held_entries(std::unique_ptr<const source> from, std::size_t positions, key_group_range groups,
                           std::shared_ptr<held_memory> memory)
    : source_(std::move(from)), positions_(positions), groups_(groups), memory_(std::move(memory)), states_(positions),
      shelves_(groups, alignof(aside), *memory_) {}

// ---- the task's side

void held_entries::save_first(std::size_t position) {
  const auto s = at(position);
  for (state was = untouched; !s.compare_exchange_weak(was, busy, std::memory_order_acquire); was = untouched) {
    if (was == busy)
      std::this_thread::yield(); // for as long as it takes to encode the entry
    else if (was != untouched)
      return;
  }
  try {
    const auto group = source_->key_group_at(position);
    if (!group) return s.store(done, std::memory_order_release);
    scratch_.clear();
    source_->encode(position, scratch_);
    if (!groups_.contains(*group)) throw error{errc::internal, "a table has a key of another subtask"};
    void* const memory = shelves_.take(*group, sizeof(aside) + scratch_.size());
    auto* const kept = ::new (memory) aside{*group, scratch_.size()};
    std::memcpy(kept->data(), scratch_.buffer().data(), kept->bytes);
    ++saved_;
    s.store(reinterpret_cast<state>(kept), std::memory_order_release);
  } catch (...) {
    s.store(untouched, std::memory_order_release);
    throw;
  }
}

// ---- the reader's side

void held_entries::begin(bool last) {
  if (given_up_ || over()) throw error{errc::internal, "a table's snapshot is read after it was given up"};
  if (!order_.is_built()) order_.build(positions_, groups_, [this](std::size_t i) { return group_then(i); });
  given_up_ = last;
}

std::optional<std::uint32_t> held_entries::group_then(std::size_t position) {
  const auto s = at(position);
  for (state was = s.load(std::memory_order_acquire);;) {
    if (was == done) return {}; // there was nothing
    if (was == busy) {
      std::this_thread::yield();
      was = s.load(std::memory_order_acquire);
    } else if (was != untouched) {
      return reinterpret_cast<aside*>(was)->key_group;
    } else if (s.compare_exchange_weak(was, busy, std::memory_order_acquire)) {
      try {
        const auto group = source_->key_group_at(position);
        s.store(untouched, std::memory_order_release);
        return group;
      } catch (...) {
        s.store(untouched, std::memory_order_release);
        throw;
      }
    }
  }
}

void held_entries::write_one(std::size_t position, byte_writer& out) {
  const auto s = at(position);
  for (state was = s.load(std::memory_order_acquire);;) {
    if (was == busy) {
      std::this_thread::yield();
      was = s.load(std::memory_order_acquire);
    } else if (was != untouched) {
      auto* const kept = reinterpret_cast<aside*>(was);
      out.raw(kept->data(), kept->bytes);
      if (given_up_) s.store(done, std::memory_order_release);
      return;
    } else if (s.compare_exchange_weak(was, busy, std::memory_order_acquire)) {
      break;
    }
  }
  try {
    source_->encode(position, out);
  } catch (...) {
    s.store(untouched, std::memory_order_release);
    throw;
  }
  s.store(given_up_ ? done : untouched, std::memory_order_release);
}

void held_entries::write(std::uint32_t key_group, const std::function<byte_writer&(std::size_t position)>& into) {
  order_.for_each(key_group, [&](std::size_t position) {
    auto& out = into(position); // not while the task may have to wait for the entry
    write_one(position, out);
  });
  if (given_up_) shelves_.written(key_group, key_group < groups_.last ? std::optional{key_group + 1} : std::nullopt);
}

void held_entries::give_up() noexcept {
  if (over()) return;
  for (std::size_t i = 0; i < positions_; ++i) {
    const auto s = at(i);
    state was = s.load(std::memory_order_acquire);
    while (was != done) {
      if (was == busy) {
        std::this_thread::yield();
        was = s.load(std::memory_order_acquire);
      } else if (s.compare_exchange_weak(was, done, std::memory_order_acq_rel, std::memory_order_acquire)) {
        break;
      }
    }
  }
  shelves_.clear();
  order_.clear();
  over_.store(true, std::memory_order_release);
}

// ----

void frozen_entries::write(state_writer& out, bool last) const {
  held_->begin(last);
  const auto& groups = held_->key_groups();
  for (auto g = groups.first; g <= groups.last; ++g)
    held_->write(g, [&](std::size_t) -> byte_writer& { return out.part_of(g); });
  if (last) give_up();
}

} // namespace dataflow::detail
