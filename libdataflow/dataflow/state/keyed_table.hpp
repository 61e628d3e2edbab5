/// A hash table from keys to values for one keyed operator: an index of (hash, position) pairs over entries that lie
/// densely in segments, in the order of insertion.
///
/// Entries never move, so pointers to values stay valid; walking visits entries in the order of their positions, so no
/// hash decides an order that anybody sees. A look-up over a batch is done in two steps (candidate, then
/// find_or_insert), so that the memory accesses of many records overlap: look_ahead.hpp. freeze() holds the table as it
/// is; while is_held(), save() comes before every look-up that may change something.
/// Threading: not shared, but for what freeze() gives. Ownership: owns keys and values.
#pragma once

#include <dataflow/state/held_entries.hpp>
#include <dataflow/util/huge_pages.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace dataflow {

namespace detail {
/// Keys are kept beside the values.
struct separate_keys {};

template <class K, class V, class KeyOf>
struct keyed_entry { // KeyOf: finds the key in the value
  V value;
};
template <class K, class V>
struct keyed_entry<K, V, separate_keys> {
  K key;
  V value;
};
} // namespace detail

/// Hash: of a key, the 64-bit hash that travels with the records; needed when the table grows.
/// KeyOf: separate_keys, or a selector that finds the key in a value, for values that always contain their key: the
/// table is smaller then, and a look-up touches less memory.
template <class K, class V, class Equal, class Hash, class KeyOf = detail::separate_keys>
class keyed_table {
public:
  using entry = detail::keyed_entry<K, V, KeyOf>;
  static constexpr std::size_t block = 128; ///< records that are worth a batched look-up
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  explicit keyed_table(KeyOf key_of = {}) : key_of_(key_of), index_(64 + 1), mask_(63) {}
  keyed_table(const keyed_table&) = delete;
  keyed_table& operator=(const keyed_table&) = delete;
  ~keyed_table() { leave(); }

  std::size_t size() const noexcept { return size_; }

  /// As in flat_table; entries never move.
  [[gnu::always_inline]] bool make_room(std::size_t) const noexcept { return false; }
  /// Starts loading what candidate() looks at.
  void prefetch_home(std::uint64_t hash) const noexcept { __builtin_prefetch(&index_[hash & mask_]); }
  /// Where a hash probably is, or none; starts loading that entry. No branch: where keys sit is what no branch
  /// predictor can know.
  [[gnu::always_inline]] std::uint32_t candidate(std::uint64_t hash) const noexcept {
    if (segment_count_ == 0) return none;
    const auto position = probable(hash);
    prefetch_entry(position == none ? 0 : position);
    return position;
  }
  /// The same for n <= block hashes, in two passes.
  void find_candidates(const std::uint64_t* hashes, std::size_t n, std::uint32_t* candidates) const noexcept {
    constexpr std::size_t ahead = 24;
    for (std::size_t i = 0; i < n && i < ahead; ++i)
      prefetch_home(hashes[i]);
    for (std::size_t i = 0; i < n; ++i) {
      if (i + ahead < n) prefetch_home(hashes[i + ahead]);
      candidates[i] = probable(hashes[i]);
    }
    if (segment_count_ == 0) return;
    for (std::size_t i = 0; i < n; ++i)
      prefetch_entry(candidates[i] == none ? 0 : candidates[i]);
  }

  /// The value of a key, and whether it is new (then value-initialised). `likely` from candidate(), or none.
  template <class Key>
  std::pair<V*, bool> find_or_insert(const Key& key, std::uint64_t hash, std::uint32_t likely = none) {
    return find_or_insert_value(key, hash, likely, [] { return V{}; });
  }
  /// The same, with make() as a new key's value.
  template <class Key, class Make>
  [[gnu::always_inline]] std::pair<V*, bool> find_or_insert_value(const Key& key, std::uint64_t hash,
                                                                  std::uint32_t likely, Make&& make) {
    if (likely != none) [[likely]] {
      auto* e = at(likely);
      if (Equal{}(key_of(*e), key)) [[likely]]
        return {&e->value, false};
    }
    return probe_or_insert(key, hash, make);
  }

  /// Null when the key is not there.
  template <class Key>
  V* find(const Key& key, std::uint64_t hash) noexcept {
    for (auto i = hash & mask_; index_[i].position_plus_one != 0; i = (i + 1) & mask_)
      if (auto* e = match(index_[i], key, hash)) return &e->value;
    return nullptr;
  }

  /// The entry that was inserted as number `position`, from 0. REQUIRES: position < size().
  entry& entry_at(std::size_t position) noexcept { return *at(static_cast<std::uint32_t>(position)); }

  /// Calls f(entry&) for every entry, in the order of insertion.
  template <class F>
  void for_each(F&& f) {
    for (std::size_t p = 0; p < size_; ++p)
      f(*at(static_cast<std::uint32_t>(p)));
  }

  /// Keeps the memory for what comes next, unless a snapshot holds it.
  void clear() noexcept {
    if (is_held())
      leave();
    else if (memory_)
      memory_->clear();
    size_ = 0;
    std::fill(index_.begin(), index_.end(), cell{});
  }

  /// All entries as they are now, until the result has been read. write(const entry&, byte_writer&) is called on any
  /// thread, also when the table is gone; `of_snapshot` counts what is held.
  template <class Write>
  std::shared_ptr<detail::held_entries> freeze(const state_registry& states,
                                               std::shared_ptr<detail::held_memory> of_snapshot, Write write) {
    auto held = std::make_shared<detail::held_entries>(
        std::make_unique<entries_now<Write>>(memory_, states.max_parallelism(), key_of_, std::move(write)), size_,
        states.key_groups(), std::move(of_snapshot));
    held_.add(held);
    return held;
  }
  bool is_held() noexcept { return held_.any(); }
  /// Before find_or_insert(), with the same arguments.
  template <class Key>
  [[gnu::noinline]] void save(const Key& key, std::uint64_t hash, std::uint32_t likely) {
    if (likely != none && Equal{}(key_of(*at(likely)), key)) return held_.save(likely);
    for (auto i = hash & mask_; index_[i].position_plus_one != 0; i = (i + 1) & mask_)
      if (match(index_[i], key, hash)) return held_.save(index_[i].position_plus_one - 1);
  }
  /// See held_memory.
  bool holds_more_than(std::size_t bytes, const std::function<void()>& wake) {
    return held_.hold_more_than(bytes, wake);
  }

private:
  struct cell {
    std::uint32_t position_plus_one = 0; // 0: empty
    std::uint32_t tag = 0;               // bits 16..47 of the hash
  };
  static constexpr std::size_t segment_bytes = 64 * 1024;
  static constexpr unsigned segment_bits = [] {
    unsigned bits = 0;
    while ((sizeof(entry) << (bits + 1)) <= segment_bytes)
      ++bits;
    return bits;
  }();
  static constexpr std::uint32_t segment_mask = (1u << segment_bits) - 1;

  /// What a snapshot may keep longer than the table does.
  struct memory {
    memory() = default;
    memory(const memory&) = delete;
    ~memory() { clear(); }
    void clear() noexcept {
      for (std::size_t p = 0; p < size; ++p)
        std::destroy_at(segments[p >> segment_bits] + (p & segment_mask));
      size = 0;
    }
    slab_memory slabs;
    std::vector<entry*> segments; // in slabs
    std::size_t size = 0;
  };
  template <class Write>
  class entries_now final : public detail::held_entries::source {
  public:
    entries_now(std::shared_ptr<const memory> m, std::uint32_t max_parallelism, KeyOf key_of, Write write)
        : memory_(std::move(m)), max_parallelism_(max_parallelism), key_of_(key_of), write_(std::move(write)) {
      if (memory_) segments_ = memory_->segments;
    }
    std::optional<std::uint32_t> key_group_at(std::size_t position) const override {
      return key_group_of(Hash{}(key_in(key_of_, at(position))), max_parallelism_);
    }
    void encode(std::size_t position, byte_writer& out) const override { write_(at(position), out); }

  private:
    const entry& at(std::size_t position) const noexcept {
      return segments_[position >> segment_bits][position & segment_mask];
    }
    std::shared_ptr<const memory> memory_;
    std::vector<entry*> segments_; // as many as there were
    std::uint32_t max_parallelism_;
    [[no_unique_address]] KeyOf key_of_;
    [[no_unique_address]] Write write_;
  };
  /// All entries go, as far as the table is concerned.
  void leave() noexcept {
    held_.count(segment_count_ * (sizeof(entry) << segment_bits)); // snapshots keep it
    held_.clear();
    memory_.reset();
    segments_ = nullptr;
    segment_count_ = 0;
  }

  static std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 16); }
  /// Looks at the home cell and its neighbour; none when neither fits.
  [[gnu::always_inline]] std::uint32_t probable(std::uint64_t hash) const noexcept {
    const auto home = hash & mask_;
    const auto tag = tag_of(hash);
    const auto first = index_[home], second = index_[home + 1];
    auto position = second.tag == tag ? second.position_plus_one : 0;
    position = first.tag == tag ? first.position_plus_one : position;
    return position - 1;
  }
  [[gnu::always_inline]] void prefetch_entry(std::uint32_t position) const noexcept {
    const auto* e = at(position);
    __builtin_prefetch(e);
    if constexpr (sizeof(entry) > 32) __builtin_prefetch(reinterpret_cast<const char*>(e) + sizeof(entry) - 1);
  }
  entry* at(std::uint32_t position) const noexcept {
    return segments_[position >> segment_bits] + (position & segment_mask);
  }
  static decltype(auto) key_in([[maybe_unused]] const KeyOf& key_of, const entry& e) noexcept {
    if constexpr (std::is_same_v<KeyOf, detail::separate_keys>)
      return (e.key);
    else
      return std::invoke(key_of, e.value);
  }
  decltype(auto) key_of(const entry& e) const noexcept { return key_in(key_of_, e); }
  template <class Key>
  entry* match(const cell& c, const Key& key, std::uint64_t hash) const noexcept {
    if (c.tag != tag_of(hash)) return nullptr;
    auto* e = at(c.position_plus_one - 1);
    return Equal{}(key_of(*e), key) ? e : nullptr;
  }
  template <class Key, class Make>
  [[gnu::noinline]] std::pair<V*, bool> probe_or_insert(const Key& key, std::uint64_t hash, Make make) {
    auto i = hash & mask_;
    for (; index_[i].position_plus_one != 0; i = (i + 1) & mask_)
      if (auto* e = match(index_[i], key, hash)) return {&e->value, false};
    if ((size_ + 1) * 2 > mask_ + 1) {
      grow();
      for (i = hash & mask_; index_[i].position_plus_one != 0;)
        i = (i + 1) & mask_;
    }
    const auto position = static_cast<std::uint32_t>(size_);
    if ((position >> segment_bits) == segment_count_) add_segment();
    auto* e = at(position);
    if constexpr (std::is_same_v<KeyOf, detail::separate_keys>)
      ::new (static_cast<void*>(e)) entry{K(key), make()};
    else
      ::new (static_cast<void*>(e)) entry{make()};
    put(index_, i, {position + 1, tag_of(hash)});
    memory_->size = ++size_;
    return {&e->value, true};
  }
  void add_segment() {
    if (!memory_) memory_ = std::make_shared<memory>();
    auto& all = memory_->segments;
    auto* const fresh = static_cast<entry*>(memory_->slabs.allocate(sizeof(entry) << segment_bits));
    all.push_back(fresh); // what is cut from the slabs goes with them, also when this throws
    segments_ = all.data();
    segment_count_ = all.size();
  }
  /// The cell behind the last one repeats the first one: a cell's neighbour needs no wrap-around.
  static void put(huge_vector<cell>& index, std::size_t i, cell c) noexcept {
    index[i] = c;
    if (i == 0) index[index.size() - 1] = c;
  }
  void grow() {
    const auto mask = (mask_ + 1) * 2 - 1;
    huge_vector<cell> fresh(mask + 2);
    for (std::size_t p = 0; p < size_; ++p) {
      const std::uint64_t hash = Hash{}(key_of(*at(static_cast<std::uint32_t>(p))));
      auto i = hash & mask;
      while (fresh[i].position_plus_one != 0)
        i = (i + 1) & mask;
      put(fresh, i, {static_cast<std::uint32_t>(p + 1), tag_of(hash)});
    }
    index_.swap(fresh);
    mask_ = mask;
  }

  [[no_unique_address]] KeyOf key_of_;
  huge_vector<cell> index_; // a power of two, at most half full, and one cell more
  std::size_t mask_;
  std::shared_ptr<memory> memory_;
  entry* const* segments_ = nullptr; // in memory_
  std::size_t segment_count_ = 0;
  std::size_t size_ = 0;
  detail::snapshots_in_progress<detail::held_entries> held_;
};

} // namespace dataflow
