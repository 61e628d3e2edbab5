/// counted_rows of which each may be due at some time: an index in the same database finds the key that is due first.
///
/// When a value is due is asked for when its key is entered and when it is left; the index is written only where the
/// answers differ. Times in the index that others have computed (the job was changed, and goes on from database files)
/// hold until their keys are left, at the latest when they have come.
/// Traits, threading, ownership, errors: as counted_rows.
#pragma once

#include <dataflow/state/counted_rows.hpp>
#include <dataflow/state/time_index.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace dataflow {

template <class K, class V, class Traits>
class due_rows {
public:
  /// When something is to be done with a value; nothing for an empty one.
  using due_function = std::function<std::optional<timestamp>(const V& value)>;

  /// `info`: of the state.
  due_rows(state_info info, due_function due_of) : rows_(std::move(info)), due_of_(std::move(due_of)) {}
  due_rows(const due_rows&) = delete;

  /// In the operator's open(). `index`: the name of its table. `restore`: see counted_rows::declare().
  /// REQUIRES: states.has_databases().
  void open(state_registry& states, const clock& clock, const std::string& index,
            std::function<void(const state_part& part)> restore) {
    rows_.open(states, clock);
    auto& database = rows_.store().share_database();
    index_.emplace(database, index, states.key_groups(), time_index::ties::by_rest,
                   time_index::cache_for(states, database));
    rows_.declare(std::move(restore));
  }
  /// The key's value, until another key is entered, or leave(); an empty one goes then.
  template <class Key>
  V& enter(const Key& key, std::uint64_t hash) {
    if (current_) {
      if (rows_.hash() == hash && key_equal<K>{}(rows_.key(), key)) return *current_;
      leave();
    }
    current_ = &rows_.enter(key, hash);
    due_ = due_of_(*current_);
    return *current_;
  }
  void leave() {
    if (!current_) return;
    const auto due = due_of_(*std::exchange(current_, nullptr));
    if (due != due_) {
      rest_.clear();
      codec<K>::encode(rows_.key(), rest_);
      if (due_) index_->remove(rows_.key_group(), *due_, rest_.buffer());
      if (due) index_->add(rows_.key_group(), *due, rest_.buffer());
    }
    rows_.leave();
  }
  /// At the end of a batch.
  void make_room() {
    leave();
    rows_.make_room();
  }
  /// REQUIRES: a key was entered, and not left.
  const K& key() const { return rows_.key(); }

  /// Of the keys that were left.
  std::optional<timestamp> first_due() const {
    if (index_->empty()) return {};
    return index_->first_time();
  }
  /// The value of the key that is due first; what was entered is left. REQUIRES: then there is one.
  V& enter_first_due() {
    leave();
    const auto first = index_->first();
    const auto time = first.time;
    K key{};
    byte_reader in{first.rest};
    codec<K>::decode(key, in);
    auto& value = enter(key, key_hash(key));
    due_ = time; // what stands in the index goes, whoever has computed it
    return value;
  }
  /// Keys that are due at some time. Reads all of the index.
  std::size_t count_due() { return index_->count(); }
  /// What is in memory of all of it.
  std::size_t counted_bytes() const noexcept { return rows_.store().counted_bytes() + index_->cached_bytes(); }

private:
  counted_rows<K, V, Traits> rows_;
  const due_function due_of_;
  std::optional<time_index> index_;
  V* current_ = nullptr;
  std::optional<timestamp> due_; // of the current key, in the index
  byte_writer rest_;             // reused
};

} // namespace dataflow
