/// The two stages of a salted reduction: parts of a key's records are reduced on several subtasks, then put together.
///
/// Stage 1 keeps one record per (key, salt) and puts out, per slice of input, each that has changed. Stage 2 keeps the
/// last part of every salt of a key and puts out their merge. So the last result of a key is that of a plain reduction,
/// if merging is associative and commutative; fields that a merge does not touch are those of one of the first records.
/// Threading: the task's own.
#pragma once

#include <dataflow/operators/collecting_loop.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/state/kept_rows.hpp>
#include <dataflow/state/keyed_table.hpp>

namespace dataflow {

template <class T>
struct salted {
  std::uint32_t salt = 0;
  T value{};
};
template <class T>
struct record_fields<salted<T>, void> {
  static constexpr bool named = true;
  static constexpr const char* type = "salted";
  static constexpr const char* names[] = {"salt", "value"};
  template <class Value, class Function>
  static constexpr decltype(auto) apply(Value& v, Function&& f) {
    return f(v.salt, v.value);
  }
};

/// What reduce_parts_operator keeps for a key and salt.
template <class T>
struct salted_part {
  salted<T> record{};
  timestamp time = no_timestamp;
};
template <class T>
struct record_fields<salted_part<T>, void> {
  static constexpr bool named = true;
  static constexpr const char* type = "salted_part";
  static constexpr const char* names[] = {"record", "time"};
  template <class Value, class Function>
  static constexpr decltype(auto) apply(Value& v, Function&& f) {
    return f(v.record, v.time);
  }
};

/// Deals the records out over the salts in turn.
template <class T>
struct salt_function {
  std::uint32_t salts;
  std::uint32_t next = 0;
  void open(runtime_context& context) { next = context.subtask_index() % salts; }
  salted<T> operator()(const T& record) {
    const auto salt = next;
    next = next + 1 == salts ? 0 : next + 1;
    return {salt, record};
  }
};

namespace detail {
/// Throws error{errc::invalid_argument} for 0 and for more than there can be key groups.
void check_salts(std::uint32_t salts);
} // namespace detail

template <class T, class Key, class Merge>
class reduce_parts_operator final : public stream_operator {
public:
  reduce_parts_operator(Key key, Merge merge) : key_(std::move(key)), merge_(std::move(merge)) {}
  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    kept_.open(context.states(), context.clock());
    kept_.set_wake_up(context.wake_up());
    open_function(merge_, context);
  }
  void close() noexcept override { close_function(merge_); }

  void process(unsigned, batch_slice& slice) override {
    const auto& in = slice.data.as<salted<T>>();
    const bool stamped = in.has_timestamps();
    changed_.clear();
    auto body = [&](std::size_t i) {
      const auto& record = in.records[i];
      const part_key key{K(std::invoke(key_, record.value)), record.salt}; // hashes as the key of the edge does
      const auto hash = key_hash(key);
      auto [part, fresh] = part_of(key, hash);
      if (fresh)
        part->record = record;
      else
        merge_(part->record.value, record.value);
      if (stamped) part->time = in.timestamps[i];
      changed_.find_or_insert(key, hash);
    };
    auto failed = [&](std::size_t i) {
      handle_record_error(
          context(), [&] { body(i); }, [&](std::uint64_t tag) { divert_record(context(), tag, in, i); });
    };
    slice.cursor = run_records(context(), slice.cursor, slice.limit, body, failed);
    changed_.for_each([&](const auto& e) {
      const auto* part = part_of(e.key, key_hash(e.key)).first;
      if (stamped)
        out_->set_timestamp(part->time);
      else
        out_->clear_timestamp();
      out_->collect(part->record);
    });
    kept_.done();
    if (kept_.must_wait()) context().wait_for_wake_up();
    out_->flush();
  }

private:
  using K = selected_key<Key, T>;
  using part_key = std::pair<K, std::uint32_t>;
  using part_state = salted_part<T>;
  auto part_of(const part_key& key, std::uint64_t hash) {
    return kept_.find_or_insert(part_key(key), hash, kept_rows<part_key, part_state>::none,
                                [] { return part_state{}; });
  }
  Key key_;
  Merge merge_;
  kept_rows<part_key, part_state> kept_{"_parts"};
  keyed_table<part_key, bool, key_equal<part_key>, key_hasher> changed_; // in this slice, in the order of their records
  std::optional<collector<salted<T>>> out_;
};

template <class T, class Key, class Merge>
class merge_parts_operator final : public stream_operator {
public:
  merge_parts_operator(Key key, Merge merge, std::uint32_t salts)
      : key_(std::move(key)), merge_(std::move(merge)), salts_(salts) {}
  void open(operator_context& context) override {
    stream_operator::open(context);
    out_.emplace(context, context.output());
    kept_.open(context.states(), context.clock());
    kept_.set_wake_up(context.wake_up());
    open_function(merge_, context);
  }
  void close() noexcept override { close_function(merge_); }

  void process(unsigned, batch_slice& slice) override {
    const auto& in = slice.data.as<salted<T>>();
    collect_records<salted<T>>(context(), slice, *out_, [&](std::size_t i) {
      const auto& record = in.records[i];
      const K key(std::invoke(key_, record.value));
      const auto hash = key_hash(key);
      using rows = kept_rows<K, kept_parts>;
      auto& parts = *kept_.find_or_insert(K(key), hash, rows::none, [] { return kept_parts{}; }).first;
      if (parts.empty()) parts.resize(salts_);
      parts[record.salt] = record.value;
      std::optional<T> whole;
      for (const auto& part : parts) {
        if (!part) continue;
        if (whole)
          merge_(*whole, *part);
        else
          whole = part;
      }
      out_->collect(std::move(*whole));
    });
    kept_.done();
    if (kept_.must_wait()) context().wait_for_wake_up();
    out_->flush();
  }

private:
  using K = selected_key<Key, T>;
  Key key_;
  Merge merge_;
  std::uint32_t salts_;
  using kept_parts = std::vector<std::optional<T>>; // by salt
  kept_rows<K, kept_parts> kept_{"_keys"};
  std::optional<collector<T>> out_;
};

} // namespace dataflow
