/// What is due when, in a table of a database: ordered by time within each key group, the earliest of each in memory.
///
/// A key in the table is, and this must not change, for snapshots of database files contain it:
///
///   key group   2 bytes, big endian
///   time        8 bytes, big endian, with the sign flipped: ordered as bytes
///   rest        whatever the owner tells one thing due from another by
///
/// and the value is empty. Adding and removing only write; what is due first comes from the cache, which is filled
/// again from the table, from where the last one was, when it is used up. Threading: the task's own. Ownership: borrows
/// the database. Errors: those of the database. Source: Flink's RocksDBCachingPriorityQueueSet and
/// KeyGroupPartitionedPriorityQueue.
#pragma once

#include <dataflow/state/state_database.hpp>
#include <dataflow/time/timestamp.hpp>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

class state_registry;

class time_index {
public:
  /// Which of several with the same time comes first.
  enum class ties : std::uint8_t { by_group, by_rest };
  /// `cache_bytes`: what the cache may take, roughly; at least one element of each group is in it.
  time_index(state_database& database, const std::string& table, key_group_range groups, ties order,
             std::size_t cache_bytes);
  time_index(const time_index&) = delete;
  /// A share of what the operator's rows may take in memory.
  static std::size_t cache_for(const state_registry& states, const state_database& database) noexcept;

  bool empty() const noexcept { return heads_.empty(); }
  /// REQUIRES: not empty.
  timestamp first_time() const noexcept { return time_of(heads_.begin()->first); }
  struct due {
    std::uint32_t key_group;
    timestamp time;
    std::string_view rest;
  };
  /// Good until the next call. REQUIRES: not empty.
  due first() const noexcept {
    const auto& h = *heads_.begin();
    return {h.group, time_of(h.first), std::string_view{h.first}.substr(8)};
  }
  /// REQUIRES: not empty.
  void pop_first();
  /// Twice is once.
  void add(std::uint32_t key_group, timestamp t, std::string_view rest);
  /// One that is not there may be removed.
  void remove(std::uint32_t key_group, timestamp t, std::string_view rest);

  /// Reads all of the table.
  std::size_t count();
  state_database::table table() const noexcept { return table_; }
  std::size_t cached_bytes() const noexcept { return bytes_; }

  /// Of a key in the table: what stands behind the key group.
  static due read(std::string_view key) noexcept {
    return {database_key_group(key), time_of(key.substr(2)), key.substr(10)};
  }
  static void put_time(timestamp t, std::string& out);

private:
  using element = std::string; // time and rest
  struct group {
    std::set<element, std::less<>> cached; // the least ones
    bool complete = true;                  // all of them
  };
  struct head {
    element first;
    std::uint32_t group;
  };
  struct earlier {
    ties order;
    bool operator()(const head& a, const head& b) const noexcept;
  };
  static constexpr std::size_t node_bytes = 96;

  static timestamp time_of(std::string_view bytes) noexcept;
  group& at(std::uint32_t key_group) noexcept { return groups_[key_group - range_.first]; }
  std::string_view table_key(std::uint32_t key_group, std::string_view of);
  void cache(group& g, std::string_view of);
  void uncache_last(group& g);
  /// After the least of a group may have changed; `before`: what it was, empty for none.
  void refresh(std::uint32_t key_group, const element& before);
  /// `from`: none in the table is before this.
  void refill(std::uint32_t key_group, std::string_view from);
  void write_batch_if_large();

  state_database& database_;
  state_database::table table_;
  const key_group_range range_;
  const std::size_t most_; // elements in the cache of a group
  std::vector<group> groups_;
  std::set<head, earlier> heads_; // the least of each group that has any
  std::size_t bytes_ = 0;
  std::string key_, element_; // reused
};

} // namespace dataflow
