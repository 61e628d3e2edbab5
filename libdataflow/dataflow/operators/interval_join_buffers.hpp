/// What an interval join remembers: per key the records of both sides that still wait for partners.
///
/// There is no timer per record. A key's expired records go when the key is touched after the watermark has advanced;
/// keys that nobody touches are visited once per interval of the join, and forgotten when nothing of them is left.
/// Threading: the task's own. Ownership: owns copies of keys and records.
/// Source: the buffers of Flink's IntervalJoinOperator; cleaning up is ours.
#pragma once

#include <dataflow/operators/interval_bounds.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/key_slot_index.hpp>
#include <dataflow/state/timed_run.hpp>

#include <map>
#include <memory>
#include <vector>

namespace dataflow {

template <class K, class L, class R>
class interval_join_buffers final : public declared_state {
public:
  using left_run = timed_run<L>;
  using right_run = timed_run<R>;
  /// One key's records.
  struct slot {
    K key{};
    std::uint64_t hash = 0;
    std::uint64_t cleaned = 0; // the advance of the watermark up to which it was cleaned up
    bool used = false;
    left_run left;
    right_run right;
  };

  interval_join_buffers(const interval_bounds& bounds, std::uint32_t max_parallelism)
      : bounds_(bounds), max_parallelism_(max_parallelism),
        step_(std::max<std::int64_t>(1, bounds.longest_wait() / 16)) {}
  interval_join_buffers(const interval_join_buffers&) = delete;
  ~interval_join_buffers() override {
    for (std::uint32_t i = 0; i < slots_; ++i) {
      at(i).left.release(left_store_);
      at(i).right.release(right_store_);
    }
  }

  std::size_t keys() const noexcept { return index_.size(); }

  /// For look-ups of many keys: load what find_or_insert will touch, in two passes.
  void prefetch(std::uint64_t hash) const noexcept { index_.prefetch(hash); }
  void prefetch_slot(std::uint64_t hash) const noexcept {
    if (const auto s = index_.candidate(hash); s != key_slot_index::none) __builtin_prefetch(&at(s));
  }
  /// The key's records, without the expired ones, for a record of `side` that is about to be added. Good until the next
  /// call of a member that is not const.
  template <class Key>
  slot& find_or_insert(const Key& key, std::uint64_t hash, unsigned side, timestamp t) {
    auto i = index_.find(hash, [&](std::uint32_t s) { return key_equal<K>{}(at(s).key, key); });
    if (i == key_slot_index::none) i = insert(key, hash, bounds_.expiry(side, t));
    auto& s = at(i);
    clean(s);
    return s;
  }
  template <unsigned Side, class T>
  void add(slot& s, timestamp t, T record) {
    if constexpr (Side == 0)
      s.left.insert(t, std::move(record), left_store_);
    else
      s.right.insert(t, std::move(record), right_store_);
  }

  /// The watermark from now on. Call visit_expired() until it is done.
  void set_watermark(timestamp t) noexcept {
    watermark_ = t;
    ++advances_;
    expired_[0] = bounds_.expired_until(0, t);
    expired_[1] = bounds_.expired_until(1, t);
  }
  /// Cleans up to `most` keys whose time has come; whether that was all of them.
  bool visit_expired(std::size_t most) {
    while (!due_.empty() && due_.begin()->first <= watermark_) {
      auto& keys = due_.begin()->second;
      for (; !keys.empty(); --most) {
        if (most == 0) return false;
        const auto i = keys.back();
        keys.pop_back();
        visit(i);
      }
      due_.erase(due_.begin());
    }
    return true;
  }
  // declared_state
  state_info info() const override {
    return {"join buffers", state_kind::keyed,
            "join buffers of " + to_string(codec<K>::describe()) + " -> " + to_string(codec<L>::describe()) + ", " +
                to_string(codec<R>::describe())};
  }
  void snapshot(state_writer& out) const override {
    std::map<std::uint32_t, std::vector<std::uint32_t>> groups;
    for (std::uint32_t i = 0; i < slots_; ++i)
      if (at(i).used) groups[key_group_of(at(i).hash, max_parallelism_)].push_back(i);
    for (auto& [group, members] : groups) {
      auto& bytes = out.part(group);
      for (auto i : members) {
        const auto& s = at(i);
        const bool clean = s.cleaned == advances_;
        const auto* left = clean ? s.left.begin() : s.left.after(expired_[0]);
        const auto* right = clean ? s.right.begin() : s.right.after(expired_[1]);
        if (left == s.left.end() && right == s.right.end()) continue;
        codec<K>::encode(s.key, bytes);
        write(left, s.left.end(), bytes);
        write(right, s.right.end(), bytes);
      }
    }
  }
  void restore(const state_part& part) override {
    for (byte_reader in{part.bytes}; !in.at_end();) {
      K key{};
      codec<K>::decode(key, in);
      const auto hash = key_hash(key);
      auto& s = at(insert(key, hash, min_timestamp)); // the first visit finds out when its time comes
      read(s.left, in, left_store_);
      read(s.right, in, right_store_);
    }
  }

private:
  static constexpr unsigned segment_bits = 8;
  slot& at(std::uint32_t i) const noexcept { return segments_[i >> segment_bits][i & ((1u << segment_bits) - 1)]; }

  template <class Key>
  std::uint32_t insert(const Key& key, std::uint64_t hash, timestamp expiry) {
    if (free_.empty()) {
      if ((slots_ >> segment_bits) == segments_.size())
        segments_.push_back(std::make_unique<slot[]>(std::size_t{1} << segment_bits));
      free_.push_back(slots_++);
    }
    const auto i = free_.back();
    auto& s = at(i);
    s.key = K(key);
    s.hash = hash;
    s.cleaned = advances_;
    visit_at(expiry, i);
    index_.insert(hash, i);
    free_.pop_back();
    s.used = true;
    return i;
  }
  /// Every used slot waits for exactly one visit.
  void visit_at(timestamp t, std::uint32_t i) {
    const auto ms = t.time_since_epoch().count();
    const auto into = ((ms % step_) + step_) % step_; // rounded up, so that many keys share a visit
    due_[into == 0 ? t : later(t, step_ - into)].push_back(i);
  }
  static timestamp later(timestamp t, std::int64_t by) noexcept {
    return t > max_timestamp - std::chrono::milliseconds{by} ? max_timestamp : t + std::chrono::milliseconds{by};
  }
  void visit(std::uint32_t i) {
    auto& s = at(i);
    clean(s);
    if (!s.left.empty() || !s.right.empty())
      return visit_at(std::max(s.left.empty() ? min_timestamp : bounds_.expiry(0, s.left.last()),
                               s.right.empty() ? min_timestamp : bounds_.expiry(1, s.right.last())),
                      i);
    index_.erase(s.hash, i);
    s.key = K{};
    s.used = false;
    free_.push_back(i);
  }
  void clean(slot& s) {
    if (s.cleaned == advances_) [[likely]]
      return;
    s.cleaned = advances_;
    s.left.drop_until(expired_[0], left_store_);
    s.right.drop_until(expired_[1], right_store_);
  }
  template <class T>
  static void write(const timed_record<T>* from, const timed_record<T>* to, byte_writer& out) {
    out.varint(static_cast<std::uint64_t>(to - from));
    for (; from != to; ++from) {
      out.fixed<std::int64_t>(from->at.time_since_epoch().count());
      codec<T>::encode(from->record, out);
    }
  }
  template <class T>
  static void read(timed_run<T>& into, byte_reader& in, run_store<T>& memory) {
    for (auto n = in.length(sizeof(std::int64_t)); n > 0; --n) {
      const timestamp at{std::chrono::milliseconds{in.fixed<std::int64_t>()}};
      T record{};
      codec<T>::decode(record, in);
      into.insert(at, std::move(record), memory);
    }
  }

  interval_bounds bounds_;
  std::uint32_t max_parallelism_;
  std::int64_t step_; // visits are due at multiples of it
  key_slot_index index_;
  std::vector<std::unique_ptr<slot[]>> segments_;
  std::vector<std::uint32_t> free_;
  std::uint32_t slots_ = 0;
  run_store<L> left_store_;
  run_store<R> right_store_;
  std::map<timestamp, std::vector<std::uint32_t>> due_;
  timestamp watermark_ = min_timestamp;
  std::uint64_t advances_ = 0;
  timestamp expired_[2] = {min_timestamp, min_timestamp};
};

} // namespace dataflow
