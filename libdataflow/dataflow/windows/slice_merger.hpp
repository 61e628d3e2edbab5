/// What sliding windows are made of: the slices that a window consists of, and per key the merged contents of the
/// present window, at a constant number of merges per key and slice however many slices a window has.
///
/// Two stacks, as for a queue with aggregates: the older slices form the front, the newer ones the back. Per key,
/// `back` is the merged contents of the back, and `front` that of the front slices still in the window. When a slice of
/// the front leaves, `front` becomes what each of the slice's entries says it was without it; when the front is used
/// up, the back becomes the new front. Only keys that a slice has seen cost anything. Threading: not shared. Ownership:
/// owns contents and keys.
#pragma once

#include <dataflow/record/hash.hpp>
#include <dataflow/windows/linked_table.hpp>
#include <dataflow/windows/window.hpp>

#include <deque>
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
    bool emitted = false; ///< after a restore: the window being fired has this key's result behind it
  };
  using keys = linked_table<K, per_key, key_equal<K>>;
  using node = typename keys::node;

  explicit slice_merger(Contents& contents) noexcept : contents_(contents) {}

  bool empty() const noexcept { return slices_.empty() && keys_.size() == 0; }
  keys& all_keys() noexcept { return keys_; }

  /// A slice is complete: for_each(f) calls f(const K&, std::uint64_t hash, const stored&) for each key.
  /// REQUIRES: slices come in the order of time.
  template <class Table>
  void seal(const time_window& bounds, Table& table) {
    auto& s = slices_.emplace_back(slice{bounds, {}});
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
        append(s, keys_.find_or_insert(e.key, hashes[i]), e.value);
      }
    }
  }
  /// More of a complete slice: a record behind the watermark.
  void add(const time_window& bounds, node* n, stored value) {
    auto at = std::lower_bound(slices_.begin(), slices_.end(), bounds.start,
                               [](const slice& s, timestamp start) { return s.bounds.start < start; });
    if (at - slices_.begin() < static_cast<std::ptrdiff_t>(fronts_)) {
      auto& list = n->value.stragglers;
      if (!list) list = std::make_unique<std::vector<straggler>>();
      list->push_back({bounds.start, bounds.end, std::move(value)});
      return;
    }
    if (at == slices_.end() || at->bounds.start != bounds.start) at = slices_.insert(at, slice{bounds, {}});
    append(*at, n, value);
  }
  /// Slices that begin before `start` leave. False: paused() said so, call again.
  template <class Paused>
  bool evict_before(timestamp start, Paused&& paused) {
    while (!slices_.empty() && slices_.front().bounds.start < start) {
      if (fronts_ == 0) {
        while (flipped_ < slices_.size()) {
          flip(slices_[slices_.size() - 1 - flipped_]);
          ++flipped_;
          if (flipped_ < slices_.size() && paused()) return false;
        }
        fronts_ = std::exchange(flipped_, 0);
      }
      for (auto& e : slices_.front().entries) {
        auto& front = e.key()->value.front;
        if (e.has_rest())
          front = std::move(e.rest);
        else
          front.reset();
      }
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
      if (list.empty()) k.stragglers.reset();
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
  /// Calls f(const time_window& slice, node&, const stored&) for everything that slices hold.
  template <class F>
  void for_each(F&& f) {
    for (auto& s : slices_)
      for (auto& e : s.entries)
        f(s.bounds, *e.key(), std::as_const(e.own));
    for (auto* n = keys_.first(); n; n = n->after)
      if (n->value.stragglers)
        for (auto& s : *n->value.stragglers)
          f(time_window{s.slice_start, s.slice_end}, *n, std::as_const(s.value));
  }

private:
  struct entry {
    std::uintptr_t tagged; // the key's node; lowest bit: has_rest
    stored own;
    stored rest; // of the front: what the front is without this slice
    node* key() const noexcept { return reinterpret_cast<node*>(tagged & ~std::uintptr_t{1}); }
    bool has_rest() const noexcept { return (tagged & 1) != 0; }
  };
  struct slice {
    time_window bounds;
    std::vector<entry> entries;
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
        e.tagged |= 1;
        e.rest = *k.front;
        stored joined = e.own;
        contents_.merge(joined, std::move(*k.front));
        k.front = std::move(joined);
      } else {
        k.front = e.own;
      }
    }
  }

  Contents& contents_;
  keys keys_;
  std::deque<slice> slices_; // in the order of time
  std::size_t fronts_ = 0;   // so many of them form the front
  std::size_t flipped_ = 0;  // of a flip that was interrupted
};

} // namespace dataflow::detail
