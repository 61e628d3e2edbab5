/// The current key of an operator, and the keyed store behind it.
///
/// The operator sets the key before it handles a record or a timer; keyed states and timers belong to that key. The row
/// of the key is looked up once, whatever the number of states; operators without keyed states look nothing up.
/// Threading: the task's own. Ownership: owns the store; borrows the current key unless it is given a temporary one.
/// Source: Flink's AbstractKeyedStateBackend.setCurrentKey.
#pragma once

#include <dataflow/record/hash.hpp>
#include <dataflow/state/keyed_store.hpp>

#include <functional>
#include <optional>

namespace dataflow {

/// The key group of a key is that of its own hash. Where K is (key, namespace), GroupHash gives the hash of the key in
/// it: std::uint64_t operator()(const K&, std::uint64_t hash of K).
struct own_group_hash {
  template <class K>
  std::uint64_t operator()(const K&, std::uint64_t hash) const noexcept {
    return hash;
  }
};

template <class K, class GroupHash = own_group_hash>
class keyed_context final : public keyed_store {
public:
  using key_type = K;
  keyed_context() : keyed_store(detail::cell_type::of<K>()) {}

  /// A key that lives as long as it is current. `candidate` from look_ahead, or none.
  [[gnu::always_inline]] void set_key(const K& key, std::uint64_t hash, std::uint32_t candidate = none) {
    leave();
    key_ = &key;
    enter_key(hash, candidate);
  }
  /// A key to keep.
  void set_key(K&& key, std::uint64_t hash, std::uint32_t candidate = none) {
    leave();
    key_ = &kept_.emplace(std::move(key));
    enter_key(hash, candidate);
  }
  void set_key(std::string_view key, std::uint64_t hash,
               std::uint32_t candidate = none) requires std::is_same_v<K, std::string> {
    leave();
    if (kept_)
      kept_->assign(key);
    else
      kept_.emplace(key);
    key_ = &*kept_;
    enter_key(hash, candidate);
  }
  /// Throws error{errc::no_current_key}.
  const K& key() const {
    if (!has_key()) [[unlikely]]
      fail_no_key("the current key");
    return *key_;
  }
  std::uint64_t hash() const noexcept { return hash_; }

  /// Makes each key that has values the current one, group by group, and calls f(key). f may change and clear states of
  /// this key. The key that was current before is no longer.
  template <class F>
  void for_each_key(F&& f) {
    clear_key();
    if (auto* rows = stored()) {
      for_each_stored_key(*rows, [&] { f(key()); });
      return;
    }
    for (const auto position : positions()) {
      set_key(K(key_of(position)), hash_of(key_at(position)));
      f(key());
    }
    clear_key();
  }

  std::string key_schema() const override {
    if constexpr (has_codec<K>)
      return to_string(codec<K>::describe());
    else
      return "key";
  }
  void encode_key(const std::byte* key, byte_writer& out) const override {
    static_assert(has_codec<K>, "keys of keyed state need a codec");
    codec<K>::encode(*reinterpret_cast<const K*>(key), out);
  }
  key_writer writer_of_keys() const override {
    return [](const std::byte* key, byte_writer& out) { codec<K>::encode(*reinterpret_cast<const K*>(key), out); };
  }

private:
  void encode_current_key(byte_writer& out) const override {
    encode_key(reinterpret_cast<const std::byte*>(&key()), out);
  }
  std::uint32_t current_key_group() const override { return states().key_group_of_hash(GroupHash{}(*key_, hash_)); }
  const K& key_of(std::uint32_t position) const noexcept { return *reinterpret_cast<const K*>(key_at(position)); }
  [[gnu::always_inline]] void enter_key(std::uint64_t hash, std::uint32_t candidate) {
    if (candidate != none && candidates_good_) [[likely]] {
      auto* row = row_at(candidate);
      if (key_equal<K>{}(*reinterpret_cast<const K*>(row + key_offset_), *key_)) [[likely]]
        return enter(hash, candidate, row);
    }
    enter(hash, has_columns() ? find(hash) : none);
  }
  [[gnu::noinline]] std::uint32_t find(std::uint64_t hash) const {
    const auto tag = tag_of(hash);
    for (auto i = tag & mask_; index_[i].position_plus_one != 0; i = (i + 1) & mask_)
      if (index_[i].tag == tag && key_equal<K>{}(key_of(index_[i].position_plus_one - 1), *key_))
        return index_[i].position_plus_one - 1;
    return none;
  }
  void enter_stored_key(byte_reader& in) override {
    K key{};
    codec<K>::decode(key, in);
    const auto hash = key_hash(key);
    set_key(std::move(key), hash);
  }
  std::uint32_t insert_current_key() override {
    const auto position = allocate(current_key_group());
    ::new (static_cast<void*>(row_at(position) + key_offset_)) K(*key_);
    occupy(position);
    index_insert(hash_, position);
    return position;
  }
  std::uint64_t hash_of(const std::byte* key) const override { return key_hash(*reinterpret_cast<const K*>(key)); }

  const K* key_ = nullptr;
  std::optional<K> kept_;
};

} // namespace dataflow
