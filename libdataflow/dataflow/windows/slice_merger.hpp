/// What sliding windows are made of: the slices that a window consists of, and per key the merged contents of the
/// present window, at a constant number of merges per key and slice however many slices a window has.
///
/// Two stacks, as for a queue with aggregates: the older slices form the front, the newer ones the back. Per key,
/// `back` is the merged contents of the back, and `front` that of the front slices still in the window. When a slice of
/// the front leaves, `front` becomes what each of the slice's entries says it was without it; when the front is used
/// up, the back becomes the new front. Only keys that a slice has seen cost anything. What slices hold never changes,
/// so freeze() only shares them: while a snapshot is in progress, slices and keys that leave stay in memory, and what
/// comes into a slice behind the watermark gets a slice beside it. Threading: not shared, but for what freeze() gives.
/// Ownership: owns contents and keys.
#pragma once

#include <dataflow/record/hash.hpp>
#include <dataflow/windows/linked_table.hpp>
#include <dataflow/windows/slice_items.hpp>
#include <dataflow/windows/window.hpp>

#include <deque>
#include <map>
#include <optional>

namespace dataflow::detail {

/// Contents: see window_functions.hpp; its merge() must not depend on the order.
template <class K, class Contents>
class slice_merger {
public:
  using stored = typename Contents::stored;
  struct straggler { ///< came into a slice of the front
    timestamp slice_start, slice_end;
    stored value;
  };
  struct per_key {
    std::optional<stored> front, back;
    std::unique_ptr<std::vector<straggler>> stragglers;
    std::uint64_t number = 0; ///< in the order in which the keys came, from 1
  };
  using keys = linked_table<K, per_key, key_equal<K>>;
  using node = typename keys::node;

  explicit slice_merger(Contents& contents) noexcept : contents_(contents) {}

  bool empty() const noexcept { return slices_.empty() && keys_.size() == 0; }
  /// The first key in their order, or null; node::after leads to the others.
  node* first_key() const noexcept { return keys_.first(); }
  template <class Key>
  node* find_or_insert(const Key& key, std::uint64_t hash) {
    auto* n = keys_.find_or_insert(key, hash);
    if (n->value.number == 0) n->value.number = ++last_number_;
    return n;
  }
  /// Keys that come from now on have larger numbers.
  std::uint64_t last_number() const noexcept { return last_number_; }
  /// REQUIRES: visit() said that the key has nothing.
  void erase(node* n) {
    if (!held_.any()) {
      drop_unlinked();
      return keys_.erase(n);
    }
    unlinked_.push_back(n);
    keys_.unlink(n);
    held_.count(sizeof(node));
  }

  /// A slice is complete: for_each(f) calls f(const K&, std::uint64_t hash, const stored&) for each key.
  /// REQUIRES: slices come in the order of time.
  template <class Table>
  void seal(const time_window& bounds, Table& table) {
    auto& s = *slices_.emplace_back(std::make_shared<slice>(bounds));
    s.entries.reserve(table.size());
    constexpr std::size_t block = 32;
    std::uint64_t hashes[block];
    for (std::size_t from = 0; from < table.size(); from += block) {
      const auto n = std::min(block, table.size() - from);
      for (std::size_t i = 0; i < n; ++i) {
        hashes[i] = key_hash(table.entry_at(from + i).key);
        keys_.prefetch_cell(hashes[i]);
      }
      for (std::size_t i = 0; i < n; ++i)
        keys_.prefetch_node(hashes[i]);
      for (std::size_t i = 0; i < n; ++i) {
        auto& e = table.entry_at(from + i);
        append(s, find_or_insert(e.key, hashes[i]), e.value);
      }
    }
  }
  /// More of a complete slice: a record behind the watermark.
  void add(const time_window& bounds, node* n, stored value) {
    auto at = std::upper_bound(slices_.begin(), slices_.end(), bounds.start,
                               [](timestamp start, const auto& s) { return start < s->bounds.start; });
    const bool there = at != slices_.begin() && (*std::prev(at))->bounds.start == bounds.start;
    if (at - slices_.begin() - there < static_cast<std::ptrdiff_t>(fronts_)) {
      auto& list = n->value.stragglers;
      if (!list) {
        with_stragglers_.emplace(n->value.number, n);
        list = std::make_unique<std::vector<straggler>>();
      }
      list->push_back({bounds.start, bounds.end, std::move(value)});
      return;
    }
    if (there && !((*std::prev(at))->frozen && held_.any()))
      --at;
    else
      at = slices_.insert(at, std::make_shared<slice>(bounds));
    append(**at, n, value);
  }
  /// Slices that begin before `start` leave. False: paused() said so, call again.
  template <class Paused>
  bool evict_before(timestamp start, Paused&& paused) {
    while (!slices_.empty() && slices_.front()->bounds.start < start) {
      if (fronts_ == 0) {
        while (flipped_ < slices_.size()) {
          flip(*slices_[slices_.size() - 1 - flipped_]);
          ++flipped_;
          if (flipped_ < slices_.size() && paused()) return false;
        }
        fronts_ = std::exchange(flipped_, 0);
      }
      auto& leaving = slices_.front();
      for (auto& e : leaving->entries) {
        auto& front = e.key()->value.front;
        if (e.has_rest())
          front = std::move(e.rest);
        else
          front.reset();
      }
      if (leaving->frozen && held_.any()) held_.count(leaving->entries.capacity() * sizeof(entry));
      slices_.pop_front();
      --fronts_;
    }
    return true;
  }
  /// Calls f(const stored&) with the contents of the window that begins at `start`, if the key has any. False: the key
  /// has nothing in this or any later window.
  template <class F>
  bool visit(node& n, timestamp start, F&& f) {
    auto& k = n.value;
    if (k.stragglers) [[unlikely]] {
      auto& list = *k.stragglers;
      std::erase_if(list, [&](const straggler& s) { return s.slice_start < start; });
      if (list.empty()) {
        k.stragglers.reset();
        with_stragglers_.erase(k.number);
      }
    }
    if (!k.front && !k.back && !k.stragglers) return false;
    if (!k.stragglers && !(k.front && k.back)) [[likely]] {
      f(k.front ? *k.front : *k.back);
      return true;
    }
    std::optional<stored> all = k.front;
    auto take = [&](const stored& more) {
      if (all)
        contents_.merge(*all, stored(more));
      else
        all = more;
    };
    if (k.back) take(*k.back);
    if (k.stragglers)
      for (auto& s : *k.stragglers)
        take(s.value);
    f(*all);
    return true;
  }

  class frozen;
  /// What slices hold now, until `of_snapshot` is over. Of keys with numbers up to `emitted` the result of the window
  /// that is being fired is out.
  std::unique_ptr<frozen> freeze(const state_registry& states, std::uint64_t emitted,
                                 std::shared_ptr<held_memory> of_snapshot) {
    auto all = std::make_unique<frozen>(states, emitted, keys_.memory_of_nodes());
    for (auto& s : slices_) {
      s->frozen = true;
      all->slices_.push_back({s, {}});
    }
    for (auto& [number, n] : with_stragglers_)
      for (auto& s : *n->value.stragglers) {
        byte_writer item;
        all->write_item({s.slice_start, s.slice_end}, *n, s.value, item);
        all->stragglers_.emplace(states.key_group_of_hash(n->hash), item.take());
      }
    held_.add(std::move(of_snapshot));
    return all;
  }

private:
  struct entry {
    std::uintptr_t tagged; // the key's node; lowest bit: has_rest. The task sets that while snapshots look at the node
    stored own;
    stored rest; // of the front: what the front is without this slice
    std::uintptr_t now() const noexcept {
      return std::atomic_ref<std::uintptr_t>{const_cast<std::uintptr_t&>(tagged)}.load(std::memory_order_relaxed);
    }
    node* key() const noexcept { return reinterpret_cast<node*>(now() & ~std::uintptr_t{1}); }
    bool has_rest() const noexcept { return (now() & 1) != 0; }
    void set_has_rest() noexcept {
      std::atomic_ref<std::uintptr_t>{tagged}.store(now() | 1, std::memory_order_relaxed);
    }
  };
  struct slice {
    explicit slice(const time_window& b) : bounds(b) {}
    const time_window bounds;
    std::vector<entry> entries;
    bool frozen = false; // the task's: snapshots may have it; entries do not come any more while they do
  };

  void append(slice& s, node* n, const stored& value) {
    s.entries.push_back({reinterpret_cast<std::uintptr_t>(n), value, stored{}});
    auto& back = n->value.back;
    if (back)
      contents_.merge(*back, stored(value));
    else
      back = value;
  }
  void flip(slice& s) {
    for (auto i = s.entries.size(); i-- > 0;) {
      auto& e = s.entries[i];
      auto& k = e.key()->value;
      k.back.reset();
      if (k.front) {
        e.set_has_rest();
        e.rest = *k.front;
        stored joined = e.own;
        contents_.merge(joined, std::move(*k.front));
        k.front = std::move(joined);
      } else {
        k.front = e.own;
      }
    }
  }

  /// REQUIRES: no snapshot is in progress.
  void drop_unlinked() {
    for (; !unlinked_.empty(); unlinked_.pop_back())
      keys_.drop_unlinked(unlinked_.back());
  }

  Contents& contents_;
  keys keys_;
  std::uint64_t last_number_ = 0;
  std::deque<std::shared_ptr<slice>> slices_;      // in the order of time; several of the same bounds are possible
  std::size_t fronts_ = 0;                         // so many of them form the front
  std::size_t flipped_ = 0;                        // of a flip that was interrupted
  std::map<std::uint64_t, node*> with_stragglers_; // by number
  snapshots_in_progress<held_memory> held_;        // by snapshots in progress
  std::vector<node*> unlinked_;                    // which snapshots may read
};

/// Threading: written and destroyed on any one thread at a time. Ownership: shares slices and keys.
template <class K, class Contents>
class slice_merger<K, Contents>::frozen {
public:
  frozen(const state_registry& states, std::uint64_t emitted, std::shared_ptr<const void> memory_of_nodes)
      : max_parallelism_(states.max_parallelism()), groups_(states.key_groups()), emitted_(emitted),
        memory_of_nodes_(std::move(memory_of_nodes)) {}

  /// Then write() for each key group.
  void begin() {
    for (auto& [s, order] : slices_)
      if (!order.is_built())
        order.build(s->entries.size(), groups_, [&, &entries = s->entries](std::size_t i) {
          return key_group_of(entries[i].key()->hash, max_parallelism_);
        });
  }
  void write(std::uint32_t key_group, state_writer& out) const {
    for (auto& [s, order] : slices_)
      order.for_each(key_group, [&, &what = *s](std::size_t i) {
        auto& e = what.entries[i];
        write_item(what.bounds, *e.key(), e.own, out.part_of(key_group));
      });
    const auto [first, last] = stragglers_.equal_range(key_group);
    for (auto i = first; i != last; ++i)
      out.part_of(key_group).raw(i->second.data(), i->second.size());
  }

private:
  friend class slice_merger;
  struct frozen_slice {
    std::shared_ptr<const slice> what;
    key_group_order order;
  };
  void write_item(const time_window& bounds, const node& n, const stored& contents, byte_writer& out) const {
    const auto number = n.value.number;
    begin_slice_item(is_merged | (number <= emitted_ ? is_emitted : 0), bounds, number, out);
    codec<K>::encode(n.key, out);
    codec<stored>::encode(contents, out);
  }

  std::uint32_t max_parallelism_;
  key_group_range groups_;
  std::uint64_t emitted_;
  std::shared_ptr<const void> memory_of_nodes_;
  std::vector<frozen_slice> slices_;
  std::multimap<std::uint32_t, std::string> stragglers_; // items by key group
};

} // namespace dataflow::detail
