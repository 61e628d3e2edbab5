/// A hash table from keys to values for small entries that may be copied as bytes: the entries lie in the slots
/// themselves (open addressing), with one byte of the hash per slot in an array of its own.
///
/// A look-up over a batch is done in two steps, as in keyed_table. The first one looks only at the bytes, which mostly
/// stay in the cache, and starts loading the one entry that will be needed: one line of memory per record, where an
/// index in front of the entries takes two.
/// Growing moves the entries: a pointer to a value is good until the next insertion, a candidate for as many insertions
/// as make_room() made room for. The order of the slots depends on hashes; what walks them must not let it be seen.
/// The number of slots grows by half, so that at least half of them are taken: what does not fit a cache depends on
/// that. A hash is scaled to it by a multiplication (Lemire, "Fast random integer generation in an interval"). freeze()
/// holds the table as it is; while is_held(), save() comes before every look-up that may change something. Threading:
/// not shared, but for what freeze() gives. Ownership: owns keys and values. Source: the bytes are those of Abseil's
/// Swiss tables.
#pragma once

#include <dataflow/state/held_blocks.hpp>
#include <dataflow/state/keyed_table.hpp>

#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace dataflow {

/// Entries that flat_table takes: one line of memory at most.
template <class Entry>
inline constexpr bool flat_entry = std::is_trivially_copyable_v<Entry> && sizeof(Entry) <= 64 && alignof(Entry) <= 64;

/// Parameters and members as in keyed_table.
template <class K, class V, class Equal, class Hash, class KeyOf = detail::separate_keys>
class flat_table {
public:
  using entry = detail::keyed_entry<K, V, KeyOf>;
  static_assert(flat_entry<entry>);
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  explicit flat_table(KeyOf key_of = {}) : key_of_(key_of) {}
  flat_table(const flat_table&) = delete;
  flat_table& operator=(const flat_table&) = delete;

  std::size_t size() const noexcept { return size_; }

  /// Room for n insertions; true: entries have moved, and candidates with them.
  [[gnu::always_inline]] bool make_room(std::size_t n) {
    if (size_ + n <= most_) [[likely]]
      return false;
    reserve(size_ + n);
    return true;
  }
  /// Starts loading what candidate() looks at.
  void prefetch_home(std::uint64_t hash) const noexcept { __builtin_prefetch(tags_ + home_of(hash)); }
  /// Where a hash probably is, or none; starts loading that entry. REQUIRES: make_room() has been called.
  [[gnu::always_inline]] std::uint32_t candidate(std::uint64_t hash) const noexcept {
    const auto home = home_of(hash);
    const auto matches = tags_equal(tags_ + home, tag_of(hash));
    // No branch: where keys sit is what no branch predictor can know. Without a match, the home slot is loaded.
    auto position = home + (matches ? first_of(matches) : 0);
    position = position < slot_count_ ? position : position - slot_count_;
    const auto* e = slots_ + position;
    __builtin_prefetch(e, 1);
    if constexpr ((sizeof(entry) & (sizeof(entry) - 1)) != 0) // may straddle two lines
      __builtin_prefetch(reinterpret_cast<const char*>(e) + sizeof(entry) - 1, 1);
    return matches ? static_cast<std::uint32_t>(position) : none;
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
      auto& e = slots_[likely];
      if (Equal{}(key_of(e), key)) [[likely]]
        return {&e.value, false};
    }
    return probe_or_insert(key, hash, make);
  }

  /// Null when the key is not there.
  template <class Key>
  V* find(const Key& key, std::uint64_t hash) noexcept {
    if (size_ == 0) return nullptr;
    const auto [i, found] = probe(key, hash);
    return found ? &slots_[i].value : nullptr;
  }

  /// Calls f(entry&) for every entry, in the order of the slots.
  template <class F>
  void for_each(F&& f) {
    for (std::size_t i = 0; i < capacity(); ++i)
      if (tags_[i] != 0) f(slots_[i]);
  }

  void clear() noexcept {
    size_ = 0;
    if (is_held()) {
      use({}, 0);
    } else if (memory_) {
      std::fill(memory_->tags.begin(), memory_->tags.end(), std::uint8_t{0});
    }
  }

  /// All entries as they are now, until the result has been read.
  std::shared_ptr<detail::held_blocks> freeze() {
    auto held = std::make_shared<detail::held_blocks>(memory_, tags_, slots_, sizeof(entry), capacity());
    held_.add(held);
    return held;
  }
  bool is_held() noexcept { return held_.any(); }
  /// Before find_or_insert(), with the same arguments.
  template <class Key>
  [[gnu::noinline]] void save(const Key& key, std::uint64_t hash, std::uint32_t likely) {
    if (capacity() == 0) return;
    const bool known = likely != none && Equal{}(key_of(slots_[likely]), key);
    held_.save(known ? likely : probe(key, hash).first);
  }
  /// See held_memory.
  bool holds_more_than(std::size_t bytes, const std::function<void()>& wake) {
    return held_.hold_more_than(bytes, wake);
  }

private:
  static constexpr std::size_t smallest = detail::held_blocks::block; // slots; their number is a multiple of it

  /// Never 0, which marks a free slot. The hash's high bits: its lower half chooses the slot.
  static std::uint8_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint8_t>((hash >> 57) | 0x80); }
  static std::size_t home_among(std::size_t slots, std::uint64_t hash) noexcept {
    return (std::uint64_t{static_cast<std::uint32_t>(hash)} * slots) >> 32;
  }
  std::size_t home_of(std::uint64_t hash) const noexcept { return home_among(slot_count_, hash); }

  // Tags that are looked at together: which of them equal `tag`, as bits, of which only the lowest one is exact.
#if defined(__SSE2__)
  static constexpr std::size_t window = 16;
  static unsigned tags_equal(const std::uint8_t* at, std::uint8_t tag) noexcept {
    const auto tags = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)))));
  }
  static std::size_t first_of(unsigned matches) noexcept { return static_cast<std::size_t>(std::countr_zero(matches)); }
#else
  static constexpr std::size_t window = 8;
  static std::uint64_t tags_equal(const std::uint8_t* at, std::uint8_t tag) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101ull, highs = 0x8080808080808080ull;
    std::uint64_t word = 0;
    std::memcpy(&word, at, window);
    const auto differing = word ^ (ones * tag);
    return (differing - ones) & ~differing & highs; // false alarms only behind the first one
  }
  static std::size_t first_of(std::uint64_t matches) noexcept {
    if constexpr (std::endian::native == std::endian::little)
      return static_cast<std::size_t>(std::countr_zero(matches)) / 8;
    else
      return static_cast<std::size_t>(std::countl_zero(matches)) / 8;
  }
#endif

  /// What a snapshot may keep longer than the table does.
  struct memory {
    explicit memory(std::size_t slots)
        : tags(slots + window - 1), at(static_cast<entry*>(allocate_pages(slots * sizeof(entry)))) {}
    memory(const memory&) = delete;
    ~memory() { free_pages(at); }
    huge_vector<std::uint8_t> tags; // one per slot, and window - 1 more
    entry* at;
  };
  void use(std::shared_ptr<memory> m, std::size_t slots) noexcept {
    memory_ = std::move(m);
    tags_ = memory_ ? memory_->tags.data() : nullptr;
    slots_ = memory_ ? memory_->at : nullptr;
    slot_count_ = slots;
    most_ = slots / 4 * 3;
    held_.clear();
  }
  std::size_t capacity() const noexcept { return slot_count_; }
  static std::size_t next(std::size_t slot, std::size_t slots) noexcept { return slot + 1 == slots ? 0 : slot + 1; }
  decltype(auto) key_of(const entry& e) const noexcept {
    if constexpr (std::is_same_v<KeyOf, detail::separate_keys>)
      return (e.key);
    else
      return std::invoke(key_of_, e.value);
  }
  /// The key's slot, or the free one where it would go. REQUIRES: there are slots.
  template <class Key>
  std::pair<std::size_t, bool> probe(const Key& key, std::uint64_t hash) const noexcept {
    const auto tag = tag_of(hash);
    for (auto i = home_of(hash);; i = next(i, slot_count_)) {
      if (tags_[i] == 0) return {i, false};
      if (tags_[i] == tag && Equal{}(key_of(slots_[i]), key)) return {i, true};
    }
  }
  template <class Key, class Make>
  [[gnu::noinline]] std::pair<V*, bool> probe_or_insert(const Key& key, std::uint64_t hash, Make make) {
    if (size_ == most_) reserve(size_ + 1);
    const auto [i, found] = probe(key, hash);
    auto* e = slots_ + i;
    if (found) return {&e->value, false};
    if constexpr (std::is_same_v<KeyOf, detail::separate_keys>)
      ::new (static_cast<void*>(e)) entry{K(key), make()};
    else
      ::new (static_cast<void*>(e)) entry{make()};
    put(memory_->tags, i, tag_of(hash));
    ++size_;
    return {&e->value, true};
  }
  /// The bytes behind the last one repeat the first ones: a window needs no wrap-around.
  static void put(huge_vector<std::uint8_t>& tags, std::size_t i, std::uint8_t tag) noexcept {
    tags[i] = tag;
    if (i < window - 1) tags[tags.size() - (window - 1) + i] = tag;
  }
  /// Room for `wanted` entries, at most three of four slots taken. Nothing has changed when it throws.
  [[gnu::noinline]] void reserve(std::size_t wanted) {
    auto slots = std::max(smallest, capacity());
    while (wanted > slots / 4 * 3)
      slots = (slots + slots / 2 + smallest - 1) / smallest * smallest;
    if (slots > none) throw std::bad_alloc{}; // candidates could not name them
    auto fresh = std::make_shared<memory>(slots);
    for (std::size_t from = 0; from < capacity(); ++from) {
      if (tags_[from] == 0) continue;
      const std::uint64_t hash = Hash{}(key_of(slots_[from]));
      auto i = home_among(slots, hash);
      while (fresh->tags[i] != 0)
        i = next(i, slots);
      std::memcpy(static_cast<void*>(fresh->at + i), slots_ + from, sizeof(entry));
      put(fresh->tags, i, tag_of(hash));
    }
    use(std::move(fresh), slots);
  }

  [[no_unique_address]] KeyOf key_of_;
  std::shared_ptr<memory> memory_;
  detail::snapshots_in_progress<detail::held_blocks> held_; // which share the memory
  const std::uint8_t* tags_ = nullptr;                      // in memory_
  entry* slots_ = nullptr;
  std::size_t slot_count_ = 0;
  std::size_t size_ = 0;
  std::size_t most_ = 0; // entries before it grows
};

/// The faster of the two tables that takes such entries, for operators that keep no pointers and never walk.
template <class K, class V, class Equal, class Hash, class KeyOf = detail::separate_keys>
using lookup_table = std::conditional_t<flat_entry<detail::keyed_entry<K, V, KeyOf>>,
                                        flat_table<K, V, Equal, Hash, KeyOf>, keyed_table<K, V, Equal, Hash, KeyOf>>;

} // namespace dataflow
