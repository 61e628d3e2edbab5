/// Timers of one time domain: (time, key, namespace), each at most once, in the order of time.
///
/// Laid out by key group: a sorted sequence in blocks per group (sorted_blocks.hpp) and a heap of groups by their first
/// timers. Timers of equal time come by key group, then by the hash of their key, then as they were registered: the
/// same in every run and after every restart. A timer on a 64-bit key takes 16 bytes and its share of the blocks.
/// Threading: the task's own. Ownership: owns keys and namespaces.
/// Source: Flink's KeyGroupPartitionedPriorityQueue.
#pragma once

#include <dataflow/record/hash.hpp>
#include <dataflow/record/key_groups.hpp>
#include <dataflow/time/sorted_blocks.hpp>
#include <dataflow/time/timestamp.hpp>

#include <compare>
#include <utility>
#include <vector>

namespace dataflow {

/// The namespace of timers that need none.
struct no_namespace {
  friend bool operator==(no_namespace, no_namespace) = default;
};

namespace detail {
/// A key and its hash; of integers the hash is computed again, which is cheaper than memory.
template <class K>
struct hashed_key {
  std::uint64_t stored;
  K key;
  hashed_key(K k, std::uint64_t h) : stored(h), key(std::move(k)) {}
  std::uint64_t hash() const noexcept { return stored; }
};
template <class K>
requires(std::is_integral_v<K> || std::is_enum_v<K>) struct hashed_key<K> {
  K key;
  hashed_key(K k, std::uint64_t) noexcept : key(k) {}
  std::uint64_t hash() const noexcept { return key_traits<K>::hash(key); }
};
} // namespace detail

template <class K, class N = no_namespace>
struct timer {
  timestamp time;
  detail::hashed_key<K> key;
  [[no_unique_address]] N space;

  std::pair<std::int64_t, std::uint64_t> order() const noexcept {
    return {time.time_since_epoch().count(), key.hash()};
  }
  friend bool operator==(const timer& a, const timer& b) {
    return a.time == b.time && key_equal<K>{}(a.key.key, b.key.key) && a.space == b.space;
  }
};

template <class K, class N = no_namespace>
class timer_store {
public:
  using value = timer<K, N>;

  timer_store() = default;
  void open(key_group_range groups, std::uint32_t max_parallelism) {
    range_ = groups;
    max_parallelism_ = max_parallelism;
    groups_.resize(groups.size());
    place_.assign(groups.size(), not_in_heap);
  }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  /// REQUIRES: not empty.
  timestamp first_time() const noexcept { return heap_.front().time; }

  /// False when it is there already.
  bool insert(value t) {
    const auto g = group_of(t.key.hash());
    const auto time = t.time;
    if (!groups_[g].insert(std::move(t))) return false;
    ++size_;
    if (place_[g] == not_in_heap) {
      place_[g] = static_cast<std::uint32_t>(heap_.size());
      heap_.push_back({time, g});
      sift_up(place_[g]);
    } else if (time < heap_[place_[g]].time) {
      heap_[place_[g]].time = time;
      sift_up(place_[g]);
    }
    return true;
  }
  /// Whether it was there.
  bool erase(const value& t) {
    const auto g = group_of(t.key.hash());
    if (!groups_[g].erase(t)) return false;
    --size_;
    refresh(g);
    return true;
  }
  /// REQUIRES: not empty.
  value pop_first() {
    const auto g = heap_.front().group;
    value t = groups_[g].pop_front();
    --size_;
    refresh(g);
    return t;
  }

  /// Calls f(key group, its timers in order) for each group that has some, in ascending order.
  template <class F>
  void for_each_group(F&& f) const {
    for (std::size_t g = 0; g < groups_.size(); ++g)
      if (!groups_[g].empty()) f(range_.first + static_cast<std::uint32_t>(g), groups_[g]);
  }
  /// The timers of for_each_group() as they are now; shares their memory.
  std::vector<std::pair<std::uint32_t, sorted_blocks<value>>> copy() const {
    std::vector<std::pair<std::uint32_t, sorted_blocks<value>>> all;
    for_each_group([&](std::uint32_t group, const sorted_blocks<value>& timers) { all.emplace_back(group, timers); });
    return all;
  }
  std::size_t memory_bytes() const noexcept {
    auto bytes =
        groups_.size() * sizeof groups_[0] + heap_.capacity() * sizeof(first) + place_.size() * sizeof place_[0];
    for (auto& g : groups_)
      bytes += g.memory_bytes();
    return bytes;
  }

private:
  static constexpr std::uint32_t not_in_heap = ~std::uint32_t{0};
  struct first {
    timestamp time;
    std::uint32_t group;
    bool operator<(const first& o) const noexcept { return time != o.time ? time < o.time : group < o.group; }
  };

  std::uint32_t group_of(std::uint64_t hash) const noexcept {
    return key_group_of(hash, max_parallelism_) - range_.first;
  }
  /// After the first timer of a group may have gone.
  void refresh(std::uint32_t g) {
    const auto at = place_[g];
    if (groups_[g].empty()) {
      place_[g] = not_in_heap;
      const auto last = heap_.back();
      heap_.pop_back();
      if (at == heap_.size()) return;
      heap_[at] = last;
      place_[last.group] = at;
      sift_up(at);
      sift_down(place_[last.group]);
    } else if (const auto time = groups_[g].front().time; time != heap_[at].time) {
      heap_[at].time = time;
      sift_down(at); // it can only have become later
    }
  }
  void put(std::uint32_t at, const first& f) noexcept {
    heap_[at] = f;
    place_[f.group] = at;
  }
  void sift_up(std::uint32_t at) noexcept {
    const auto f = heap_[at];
    for (; at > 0; at = (at - 1) / 2) {
      const auto parent = (at - 1) / 2;
      if (!(f < heap_[parent])) break;
      put(at, heap_[parent]);
    }
    put(at, f);
  }
  void sift_down(std::uint32_t at) noexcept {
    const auto f = heap_[at];
    const auto n = static_cast<std::uint32_t>(heap_.size());
    for (;;) {
      auto child = at * 2 + 1;
      if (child >= n) break;
      if (child + 1 < n && heap_[child + 1] < heap_[child]) ++child;
      if (!(heap_[child] < f)) break;
      put(at, heap_[child]);
      at = child;
    }
    put(at, f);
  }

  key_group_range range_;
  std::uint32_t max_parallelism_ = 1;
  std::vector<sorted_blocks<value>> groups_; // from range_.first on
  std::vector<first> heap_;                  // groups that have timers
  std::vector<std::uint32_t> place_;         // of each group in the heap
  std::size_t size_ = 0;
};

} // namespace dataflow
