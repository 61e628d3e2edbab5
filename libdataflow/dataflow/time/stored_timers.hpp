/// Timers of one time domain in the database of a keyed store: as timer_store, but they need not fit into memory.
///
/// Behind the time a key in the table has the hash of the timer's key (8 bytes, big endian), the key and the namespace;
/// timers fire in the same order as those in memory. In parts of snapshots both are the same, too.
/// Threading: the task's own. Ownership: borrows the store, which must outlive it. Errors: those of the database.
/// Source: Flink's RocksDBCachingPriorityQueueSet.
#pragma once

#include <dataflow/record/codec.hpp>
#include <dataflow/state/keyed_store.hpp>
#include <dataflow/state/time_index.hpp>
#include <dataflow/time/timer_store.hpp>
#include <dataflow/util/bytes.hpp>

#include <memory>
#include <string>
#include <utility>

namespace dataflow::detail {

template <class K, class N>
class stored_timers {
public:
  using value = timer<K, N>;

  stored_timers(keyed_store& store, const std::string& name)
      : store_(store), index_(store.share_database(), name, store.states().key_groups(), time_index::ties::by_group,
                              time_index::cache_for(store.states(), store.share_database())) {}

  bool empty() const noexcept { return index_.empty(); }
  /// Reads all of them.
  std::size_t size() { return index_.count(); }
  /// REQUIRES: not empty.
  timestamp first_time() const noexcept { return index_.first_time(); }
  void insert(const value& t) { index_.add(group_of(t), t.time, encoded(t)); }
  void erase(const value& t) { index_.remove(group_of(t), t.time, encoded(t)); }
  /// REQUIRES: not empty.
  value pop_first() {
    auto t = decoded(index_.first());
    index_.pop_first();
    return t;
  }
  static value decoded(const time_index::due& due) {
    byte_reader in{due.rest};
    const auto hash = __builtin_bswap64(in.fixed<std::uint64_t>());
    K key{};
    codec<K>::decode(key, in);
    N space{};
    if constexpr (!std::is_same_v<N, no_namespace>) codec<N>::decode(space, in);
    return {due.time, {std::move(key), hash}, std::move(space)};
  }
  void snapshot(state_writer& out) const { store_.write_table(index_.table(), to_part, out); }
  std::shared_ptr<const frozen_state> freeze() const { return store_.freeze_table(index_.table(), to_part); }

private:
  static void to_part(std::string_view key, std::string_view, byte_writer& part) {
    const auto d = time_index::read(key);
    part.template fixed<std::int64_t>(d.time.time_since_epoch().count());
    part.raw(d.rest.data() + 8, d.rest.size() - 8);
  }
  std::uint32_t group_of(const value& t) const noexcept { return store_.states().key_group_of_hash(t.key.hash()); }
  std::string_view encoded(const value& t) {
    rest_.clear();
    rest_.template fixed<std::uint64_t>(__builtin_bswap64(t.key.hash()));
    codec<K>::encode(t.key.key, rest_);
    if constexpr (!std::is_same_v<N, no_namespace>) codec<N>::encode(t.space, rest_);
    return rest_.buffer();
  }

  keyed_store& store_;
  time_index index_;
  byte_writer rest_; // reused
};

} // namespace dataflow::detail
