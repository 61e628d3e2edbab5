/// Rolling reductions on keyed streams: reduce, sum, min, max, min_by, max_by. One result per record.
///
/// Per key one record is kept: the first one passes through, each later one is merged into it, and the merged record
/// goes on in the place of the one that came, with that one's timestamp. In memory they are kept in a fast table; where
/// keyed state may be larger than memory, in the rows of a keyed store.
/// Threading: the task's own. Source: Flink's StreamGroupedReduceOperator, SumAggregator, ComparableAggregator.
#pragma once

#include <dataflow/operators/key_selector.hpp>
#include <dataflow/operators/record_loop.hpp>
#include <dataflow/operators/record_size.hpp>
#include <dataflow/state/counted_rows.hpp>
#include <dataflow/state/flat_table.hpp>
#include <dataflow/state/kept_rows.hpp>
#include <dataflow/state/keyed_table_state.hpp>
#include <dataflow/state/look_ahead.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>

namespace dataflow {

/// Merges that are nothing but a few bytes that never change.
template <class Merge>
concept merges_fields = requires {
  requires Merge::by_field;
};

/// Key: selector, callable with const T&. Merge: merge(T& kept, const T& next), may throw.
/// KeyInValue: what is kept always contains its key, where the selector (a member pointer) finds it.
template <class T, class Key, class Merge, bool KeyInValue = false>
class keyed_reduce_operator final : public stream_operator {
public:
  using key_type = selected_key<Key, T>;

  keyed_reduce_operator(Key key, Merge merge)
      : key_(std::move(key)), merge_(std::move(merge)), kept_(make_table(key_)), state_(make_state(kept_, key_)) {}

  void open(operator_context& context) override {
    stream_operator::open(context);
    pool_ = context.pool(record_type_of<T>());
    wake_up_ = context.wake_up();
    if (context.states().has_databases()) {
      rows_ = make_rows(key_);
      rows_->open(context.states(), context.clock());
    } else {
      state_.open(context.states());
      in_files_.read(
          context.states(), context.clock(), state_.info().name, [this](const state_part& p) { state_.restore(p); },
          !KeyInValue);
    }
    open_function(merge_, context);
  }
  void close() noexcept override { close_function(merge_); }

  void process(unsigned, batch_slice& slice) override {
    if (!slice.data.unique()) { // others hold it: results go into a copy of the slice
      auto own = pool_->get();
      slice.data->type().append(*own, *slice.data, slice.cursor, slice.limit, false);
      batch_slice part{std::move(own), 0, slice.limit - slice.cursor};
      const auto size = part.limit;
      reduce_any(part);
      slice.cursor += part.data ? part.cursor : size;
      return;
    }
    reduce_any(slice);
  }

private:
  using key_of = std::conditional_t<KeyInValue, Key, detail::separate_keys>;
  using table = lookup_table<key_type, T, key_equal<key_type>, key_hasher, key_of>;
  using declared = keyed_table_state<key_type, T, key_equal<key_type>, key_hasher, key_of, table>;
  static table make_table([[maybe_unused]] const Key& key) {
    if constexpr (KeyInValue)
      return table{key};
    else
      return table{};
  }
  static declared make_state(table& kept, [[maybe_unused]] const Key& key) {
    if constexpr (KeyInValue)
      return declared{"_kept", kept, key};
    else
      return declared{"_kept", kept};
  }

  using stored = kept_rows<key_type, T, key_of>;
  static std::unique_ptr<stored> make_rows([[maybe_unused]] const Key& key) {
    if constexpr (KeyInValue)
      return std::make_unique<stored>("_kept", key);
    else
      return std::make_unique<stored>("_kept");
  }

  void reduce_any(batch_slice& slice) {
    if (rows_) [[unlikely]] {
      reduce_carefully(slice, rows_->rows(), [this](T& record, std::uint64_t hash, std::uint32_t likely) {
        merge_stored(record, hash, likely);
      });
      return;
    }
    if (kept_.is_held()) [[unlikely]] {
      reduce_carefully(slice, kept_, [this](T& record, std::uint64_t hash, std::uint32_t likely) {
        merge_held(record, hash, likely);
      });
      if (kept_.holds_more_than(context().states().place().snapshot_bytes, wake_up_)) context().wait_for_wake_up();
      return;
    }
    reduce(slice);
  }

  /// reduce() in the rows of a keyed store, or while a snapshot of the table is written.
  template <class Table, class MergeOne>
  [[gnu::noinline]] void reduce_carefully(batch_slice& slice, Table& in, MergeOne merge_it) {
    auto& b = slice.data.as<T>();
    if (!b.has_hashes()) hash_all(b);
    look_ahead<Table> ahead{in, b.hashes.data(), slice.cursor, slice.limit};
    auto from = slice.cursor; // of what is to be emitted
    auto at = slice.cursor;
    do {
      const auto end = ahead.advance(at, [](std::size_t) {});
      try {
        for (; at < end; ++at)
          merge_it(b.records[at], b.hashes[at], ahead[at]);
      } catch (...) {
        if (!recovered(b, at)) {
          emit_part(slice, from, at);
          from = at + 1;
        }
        ++at;
      }
    } while (at < slice.limit && !context().pause_requested());
    if (rows_) rows_->done();
    slice.cursor = at;
    emit_records(context().output(), *pool_, slice, from, at);
  }
  void merge_held(T& record, std::uint64_t hash, std::uint32_t likely) {
    if (kept_.is_held()) kept_.save(std::invoke(key_, std::as_const(record)), hash, likely);
    merge_one(key_, merge_, record, hash, likely);
  }
  void merge_stored(T& record, std::uint64_t hash, std::uint32_t likely) {
    const auto [kept, fresh] = rows_->find_or_insert(std::invoke(key_, std::as_const(record)), hash, likely,
                                                     [&record] { return std::as_const(record); });
    if (!fresh) roll(merge_, *kept, record);
  }

  /// Results replace the records; what stands before a record that is dropped goes on as a part of its own.
  void reduce(batch_slice& slice) {
    auto& b = slice.data.as<T>();
    if (!b.has_hashes()) hash_all(b);
    auto* const records = b.records.data();
    const auto* const hashes = b.hashes.data();
    // Copies, where that changes nothing: the compiler need not load the members again for every record. For the same
    // reason nothing outside of this loop gets hold of what it uses.
    std::conditional_t<std::is_member_object_pointer_v<Key>, const Key, Key&> key = key_;
    std::conditional_t<merges_fields<Merge>, const Merge, Merge&> merge = merge_;
    look_ahead<table> ahead{kept_, hashes, slice.cursor, slice.limit};
    auto from = slice.cursor; // of what is to be emitted
    auto at = slice.cursor;
    auto touch = [&](std::size_t i) __attribute__((always_inline)) { __builtin_prefetch(records + i, 1); };
    do {
      const auto end = ahead.advance(at, touch);
      try {
        for (; at < end; ++at)
          merge_one(key, merge, records[at], hashes[at], ahead[at]);
      } catch (...) {
        if (!recovered(b, at)) {
          emit_part(slice, from, at);
          from = at + 1;
        }
        ++at;
      }
    } while (at < slice.limit && !context().pause_requested());
    slice.cursor = at;
    emit_records(context().output(), *pool_, slice, from, at);
  }

  [[gnu::always_inline]] void merge_one(auto& key, auto& merge, T& record, std::uint64_t hash, std::uint32_t likely) {
    const auto [kept, fresh] = kept_.find_or_insert_value(std::invoke(key, std::as_const(record)), hash, likely,
                                                          [&record] { return std::as_const(record); });
    if (!fresh) [[likely]]
      roll(merge, *kept, record);
  }
  /// Deals with the exception of record i, which is in flight; false: the record is dropped.
  [[gnu::noinline]] bool recovered(batch<T>& b, std::size_t i) {
    auto again = [&] {
      if (rows_)
        merge_stored(b.records[i], b.hashes[i], stored::none);
      else
        merge_held(b.records[i], b.hashes[i], table::none);
    };
    auto divert = [&](std::uint64_t tag) { divert_record(context(), tag, b, i); };
    return handle_record_error(context(), again, divert) == record_outcome::recovered;
  }

  /// Merges record into what is kept; record becomes the result.
  [[gnu::always_inline]] void roll(auto& merge, T& kept, T& record) {
    if constexpr (requires { merge.roll(kept, record); }) {
      merge.roll(kept, record);
    } else {
      merge(kept, std::as_const(record));
      check_record_size(kept, context().limits().record_bytes);
      record = kept;
    }
  }

  void emit_part(batch_slice& slice, std::size_t begin, std::size_t end) {
    if (begin >= end) return;
    auto part = pool_->get();
    slice.data->type().append(*part, *slice.data, begin, end, true);
    part->hashes.clear();
    emit(std::move(part));
  }

  /// Where the batch comes from an edge that does not hash.
  void hash_all(batch<T>& b) {
    b.hashes.resize_for_overwrite(b.size());
    for (std::size_t i = 0; i < b.size(); ++i)
      b.hashes[i] = key_hash(std::invoke(key_, std::as_const(b.records[i])));
  }

  Key key_;
  Merge merge_;
  table kept_;
  declared state_;
  rows_in_files<key_type> in_files_;
  std::unique_ptr<stored> rows_; // in the place of the table, where there are databases
  batch_pool::handle pool_;
  std::function<void()> wake_up_;
};

// The merges behind the operators.

/// reduce(f): f(const T& so far, const T& next) -> T.
template <class F>
struct reduce_merge {
  F f;
  void open(runtime_context& context) { open_function(f, context); }
  void close() noexcept { close_function(f); }
  template <class T>
  void operator()(T& kept, const T& next) {
    kept = f(std::as_const(kept), next);
  }
};
/// sum: only the field changes; the other fields stay those of the first record. Integers wrap around, as in Flink.
template <class Field>
struct sum_merge {
  static constexpr bool by_field = std::is_member_object_pointer_v<Field>;
  Field field;
  /// Whether a kept record's key cannot change: the key is another member than the one that is summed.
  template <class Key>
  bool keeps_key(const Key& key) const {
    if constexpr (!std::is_member_object_pointer_v<Key> || !std::is_member_object_pointer_v<Field>)
      return false;
    else if constexpr (std::is_same_v<Key, Field>)
      return key != field;
    else
      return true;
  }
  void operator()(auto& kept, const auto& next) const {
    auto& sum = std::invoke(field, kept);
    sum = added(sum, std::invoke(field, next));
  }
  /// The same with the result in the place of the record that came. The field is written last on both sides: copying
  /// the whole record right after a store into one of its fields would stall.
  void roll(auto& kept, auto& record) const {
    using value = std::remove_cvref_t<decltype(std::invoke(field, record))>;
    const value sum = added<value>(std::invoke(field, kept), std::invoke(field, record));
    record = kept;
    std::invoke(field, record) = sum;
    std::invoke(field, kept) = sum;
  }

private:
  template <class T>
  static T added(const T& a, const T& b) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    else
      return static_cast<T>(a + b);
  }
};
/// min, max: only the field changes. min_by, max_by: the whole record that has it; of equal ones the first, or the
/// last.
enum class extreme : std::uint8_t { least, greatest };
template <class Field, extreme Which>
struct extreme_merge {
  static constexpr bool by_field = std::is_member_object_pointer_v<Field>;
  Field field;
  /// All records of a key have the same value in the key's member, also where that is the field.
  template <class Key>
  bool keeps_key(const Key&) const {
    return std::is_member_object_pointer_v<Key> && std::is_member_object_pointer_v<Field>;
  }
  void operator()(auto& kept, const auto& next) const {
    if (beats(std::invoke(field, next), std::invoke(field, kept))) std::invoke(field, kept) = std::invoke(field, next);
  }
  static bool beats(const auto& a, const auto& b) {
    if constexpr (Which == extreme::least)
      return a < b;
    else
      return b < a;
  }
};
template <class Field, extreme Which>
struct extreme_by_merge {
  static constexpr bool by_field = std::is_member_object_pointer_v<Field>;
  Field field;
  bool first_of_equal = true;
  template <class Key>
  bool keeps_key(const Key&) const {
    return std::is_member_object_pointer_v<Key>;
  }
  void operator()(auto& kept, const auto& next) const {
    const auto &a = std::invoke(field, next), &b = std::invoke(field, kept);
    using base = extreme_merge<Field, Which>;
    if (base::beats(a, b) || (!first_of_equal && !base::beats(b, a))) kept = next;
  }
};

} // namespace dataflow
