/// What an interval join remembers, in the database of a keyed store: a row per key, and when the first of it expires.
///
/// Whenever the watermark advances, the keys are visited of which something has expired.
/// Stored are, behind the key, the records of the first and of the second input: how many (varint), then of each the
/// timestamp (8) and the record.
/// Threading: the task's own. Ownership: owns the rows. Errors: those of the database.
#pragma once

#include <dataflow/operators/interval_bounds.hpp>
#include <dataflow/record/codecs.hpp>
#include <dataflow/state/due_rows.hpp>
#include <dataflow/state/timed_run.hpp>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace dataflow::detail {

/// Records in the order of their timestamps, of equal ones in the order of arrival: a timed_run that owns its memory.
template <class T>
class stored_run {
public:
  using entry = timed_record<T>;
  bool empty() const noexcept { return all_.empty(); }
  const entry* begin() const noexcept { return all_.data(); }
  const entry* end() const noexcept { return all_.data() + all_.size(); }
  /// REQUIRES: not empty.
  timestamp first() const noexcept { return all_.front().at; }
  const entry* from(timestamp t) const noexcept {
    return std::partition_point(begin(), end(), [t](const entry& e) { return e.at < t; });
  }
  const entry* after(timestamp t) const noexcept {
    return std::partition_point(begin(), end(), [t](const entry& e) { return e.at <= t; });
  }
  void insert(timestamp at, T record) {
    bytes_ += codec<T>::size_of(record) - sizeof(T);
    all_.insert(all_.begin() + (after(at) - begin()), entry{at, std::move(record)});
  }
  void drop_until(timestamp t) {
    const auto last = all_.begin() + (after(t) - begin());
    for (auto i = all_.begin(); i != last; ++i)
      bytes_ -= codec<T>::size_of(i->record) - sizeof(T);
    all_.erase(all_.begin(), last);
  }
  /// In memory, outside of this.
  std::size_t bytes() const noexcept { return bytes_ + all_.capacity() * sizeof(entry); }

  void encode(byte_writer& out) const {
    out.varint(all_.size());
    for (auto& e : all_) {
      out.template fixed<std::int64_t>(e.at.time_since_epoch().count());
      codec<T>::encode(e.record, out);
    }
  }
  void decode(byte_reader& in) {
    for (auto n = in.length(sizeof(std::int64_t)); n > 0; --n) {
      const timestamp at{std::chrono::milliseconds{in.template fixed<std::int64_t>()}};
      T record{};
      codec<T>::decode(record, in);
      insert(at, std::move(record));
    }
  }

private:
  std::vector<entry> all_;
  std::size_t bytes_ = 0; // of records, outside of them
};

template <class K, class L, class R>
class stored_join_buffers {
public:
  struct slot {
    stored_run<L> left;
    stored_run<R> right;
  };

  stored_join_buffers(const interval_bounds& bounds, state_info info)
      : bounds_(bounds), rows_(std::move(info), [this](const slot& s) { return due_time(s); }) {}

  void open(state_registry& states, const clock& clock) {
    rows_.open(states, clock, "join buffers/due", [this](const state_part& part) {
      for (byte_reader in{part.bytes}; !in.at_end();) {
        K key{};
        codec<K>::decode(key, in);
        traits::decode(rows_.enter(key, key_hash(key)), in);
        rows_.leave();
      }
    });
  }
  /// The key's records, until another key is entered, or make_room().
  template <class Key>
  slot& enter(const Key& key, std::uint64_t hash) {
    return rows_.enter(key, hash);
  }
  /// At the end of a batch.
  void make_room() { rows_.make_room(); }
  /// The watermark from now on. Call visit_expired() until it is done.
  void set_watermark(timestamp t) noexcept {
    watermark_ = t;
    expired_[0] = bounds_.expired_until(0, t);
    expired_[1] = bounds_.expired_until(1, t);
  }
  /// Cleans up to `most` keys; whether that was all of them.
  bool visit_expired(std::size_t most) {
    for (auto due = rows_.first_due(); due && *due <= watermark_; due = rows_.first_due(), --most) {
      if (most == 0) return false;
      auto& s = rows_.enter_first_due();
      s.left.drop_until(expired_[0]);
      s.right.drop_until(expired_[1]);
      rows_.leave();
    }
    return true;
  }
  /// Reads the index.
  std::size_t keys() { return rows_.count_due(); }
  std::size_t counted_bytes() const noexcept { return rows_.counted_bytes(); }

private:
  struct traits {
    static void encode(const slot& s, byte_writer& out) {
      s.left.encode(out);
      s.right.encode(out);
    }
    static void decode(slot& s, byte_reader& in) {
      s.left.decode(in);
      s.right.decode(in);
    }
    static bool empty(const slot& s) noexcept { return s.left.empty() && s.right.empty(); }
    static std::size_t bytes(const slot& s) noexcept { return s.left.bytes() + s.right.bytes(); }
  };
  std::optional<timestamp> due_time(const slot& s) const {
    if (traits::empty(s)) return {};
    return std::min(s.left.empty() ? max_timestamp : bounds_.expiry(0, s.left.first()),
                    s.right.empty() ? max_timestamp : bounds_.expiry(1, s.right.first()));
  }

  const interval_bounds bounds_;
  due_rows<K, slot, traits> rows_;
  timestamp watermark_ = min_timestamp;
  timestamp expired_[2] = {min_timestamp, min_timestamp};
};

} // namespace dataflow::detail
