/// What an interval join remembers: per key the records of both sides that still wait for partners.
///
/// There is no timer per record. A key's expired records go when the key is touched after the watermark has advanced;
/// keys that nobody touches are visited once per interval of the join, and forgotten when nothing of them is left.
/// Snapshots in progress hold what was there (held_entries.hpp).
/// Threading: the task's own, but for what freeze() gives. Ownership: owns copies of keys and records.
/// Source: the buffers of Flink's IntervalJoinOperator; cleaning up is ours.
#pragma once

#include <dataflow/operators/interval_bounds.hpp>
#include <dataflow/record/hash.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/held_entries.hpp>
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
    if (held_.any()) [[unlikely]]
      held_.save(i);
    auto& s = at(i);
    clean(s);
    return s;
  }
  template <unsigned Side, class T>
  void add(slot& s, timestamp t, T record) {
    if constexpr (Side == 0)
      s.left.insert(t, std::move(record), memory_->left);
    else
      s.right.insert(t, std::move(record), memory_->right);
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
  void snapshot(state_writer& out) const override { freeze()->write_last(out); }
  std::shared_ptr<const frozen_state> freeze() const override {
    auto held = std::make_shared<detail::held_entries>(std::make_unique<slots_now>(*this), memory_->slots,
                                                       key_group_range{0, max_parallelism_ - 1},
                                                       std::make_shared<detail::held_memory>());
    held_.add(held);
    return std::make_shared<detail::frozen_entries>(std::move(held));
  }
  bool is_held() noexcept { return held_.any(); }
  /// See held_memory.
  bool holds_more_than(std::size_t bytes, const std::function<void()>& wake) {
    return held_.hold_more_than(bytes, wake);
  }
  void restore(const state_part& part) override {
    for (byte_reader in{part.bytes}; !in.at_end();) {
      K key{};
      codec<K>::decode(key, in);
      const auto hash = key_hash(key);
      auto& s = at(insert(key, hash, min_timestamp)); // the first visit finds out when its time comes
      read(s.left, in, memory_->left);
      read(s.right, in, memory_->right);
    }
  }

private:
  static constexpr unsigned segment_bits = 8;
  static constexpr std::uint32_t segment_mask = (1u << segment_bits) - 1;
  /// What a snapshot may keep longer than the operator does.
  struct memory {
    memory() = default;
    memory(const memory&) = delete;
    ~memory() {
      for (std::uint32_t i = 0; i < slots; ++i) {
        auto& s = segments[i >> segment_bits][i & segment_mask];
        s.left.release(left);
        s.right.release(right);
      }
    }
    run_store<L> left;
    run_store<R> right;
    std::vector<std::unique_ptr<slot[]>> segments;
    std::uint32_t slots = 0;
  };
  /// Without what had expired when it was made.
  class slots_now final : public detail::held_entries::source {
  public:
    explicit slots_now(const interval_join_buffers& of)
        : memory_(of.memory_), max_parallelism_(of.max_parallelism_),
          advances_(of.advances_), expired_{of.expired_[0], of.expired_[1]} {
      for (auto& segment : memory_->segments)
        segments_.push_back(segment.get());
    }
    std::optional<std::uint32_t> key_group_at(std::size_t position) const override {
      const auto& s = at(position);
      if (!s.used || (begin_of(s, s.left, 0) == s.left.end() && begin_of(s, s.right, 1) == s.right.end())) return {};
      return key_group_of(s.hash, max_parallelism_);
    }
    void encode(std::size_t position, byte_writer& out) const override {
      const auto& s = at(position);
      codec<K>::encode(s.key, out);
      write(begin_of(s, s.left, 0), s.left.end(), out);
      write(begin_of(s, s.right, 1), s.right.end(), out);
    }

  private:
    const slot& at(std::size_t position) const noexcept {
      return segments_[position >> segment_bits][position & segment_mask];
    }
    template <class Run>
    auto begin_of(const slot& s, const Run& run, unsigned side) const noexcept {
      return s.cleaned == advances_ ? run.begin() : run.after(expired_[side]);
    }
    std::shared_ptr<const memory> memory_;
    std::vector<const slot*> segments_; // as many as there were
    std::uint32_t max_parallelism_;
    std::uint64_t advances_;
    timestamp expired_[2];
  };
  slot& at(std::uint32_t i) const noexcept { return segments_[i >> segment_bits][i & segment_mask]; }

  template <class Key>
  std::uint32_t insert(const Key& key, std::uint64_t hash, timestamp expiry) {
    if (free_.empty()) {
      auto& m = *memory_;
      if ((m.slots >> segment_bits) == m.segments.size()) {
        m.segments.push_back(std::make_unique<slot[]>(std::size_t{1} << segment_bits));
        segments_ = m.segments.data();
      }
      free_.push_back(m.slots);
      ++m.slots;
    }
    const auto i = free_.back();
    if (held_.any()) held_.save(i);
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
    if (held_.any()) held_.save(i);
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
    s.left.drop_until(expired_[0], memory_->left);
    s.right.drop_until(expired_[1], memory_->right);
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
  std::shared_ptr<memory> memory_ = std::make_shared<memory>();
  const std::unique_ptr<slot[]>* segments_ = nullptr; // in memory_
  std::vector<std::uint32_t> free_;
  mutable detail::snapshots_in_progress<detail::held_entries> held_; // who takes a snapshot does not change the buffers
  std::map<timestamp, std::vector<std::uint32_t>> due_;
  timestamp watermark_ = min_timestamp;
  std::uint64_t advances_ = 0;
  timestamp expired_[2] = {min_timestamp, min_timestamp};
};

} // namespace dataflow
