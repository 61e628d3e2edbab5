/// A keyed_table or flat_table as declared state: written by key group, within each in the table's own order.
/// What it holds at a barrier is encoded later, by who writes the snapshot.
///
/// Threading: the task's own. Ownership: borrows the table; both belong to the operator.
#pragma once

#include <dataflow/record/hash.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/held_blocks.hpp>
#include <dataflow/state/keyed_table.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

/// Key groups are those of key_hash(key). KeyOf: const K& (or K) of an entry's value, for tables that keep no keys of
/// their own; else separate_keys.
template <class K, class V, class Equal, class Hash, class KeyOf, class Table = keyed_table<K, V, Equal, Hash, KeyOf>>
class keyed_table_state final : public declared_state {
public:
  using table = Table;
  keyed_table_state(std::string name, table& kept, KeyOf key_of = {})
      : name_(std::move(name)), table_(kept), key_of_(key_of) {}

  state_info info() const override {
    return {name_, state_kind::keyed,
            to_string(codec<K>::describe()) + (keeps_keys ? " -> " : " in ") + to_string(codec<V>::describe())};
  }
  void snapshot(state_writer& out) const override {
    if (!registry_) return;
    parts all{*registry_, key_of_, registry_->key_groups()};
    table_.for_each([&](const entry& e) { all.add(e); });
    all.write(out);
  }
  std::shared_ptr<const frozen_state> freeze() const override {
    if (!registry_) return nullptr;
    if constexpr (requires { table_.freeze(); })
      return std::make_shared<frozen>(table_.freeze(), parts{*registry_, key_of_, {}}, table_.size());
    else
      return std::make_shared<detail::frozen_entries>(
          table_.freeze(*registry_, std::make_shared<detail::held_memory>(), write));
  }
  void restore(const state_part& part) override {
    byte_reader in{part.bytes};
    while (!in.at_end()) {
      K key{};
      V value{};
      if constexpr (keeps_keys) codec<K>::decode(key, in);
      codec<V>::decode(value, in);
      if constexpr (!keeps_keys) key = std::invoke(key_of_, std::as_const(value));
      table_.find_or_insert_value(key, key_hash(key), table::none, [&] { return std::move(value); });
    }
  }
  /// Declares, and restores. In the operator's open().
  void open(state_registry& states) {
    registry_ = &states;
    states.declare(*this);
  }

private:
  static constexpr bool keeps_keys = std::is_same_v<KeyOf, detail::separate_keys>;
  using entry = typename table::entry;

  static void write(const entry& e, byte_writer& out) {
    if constexpr (keeps_keys) codec<K>::encode(e.key, out);
    codec<V>::encode(e.value, out);
  }
  /// The entries of some key groups, encoded.
  struct parts {
    parts(const state_registry& registry, KeyOf k, key_group_range some)
        : all_groups(registry.key_groups()), max_parallelism(registry.max_parallelism()), key_of(k), groups(some) {}
    void add(const entry& e) {
      const auto group = key_group_of(key_hash(key_in(e)), max_parallelism);
      if (!groups.contains(group)) return;
      encoded.resize(groups.size());
      keyed_table_state::write(e, encoded[group - groups.first]);
    }
    void write(state_writer& out) {
      for (std::size_t g = 0; g < encoded.size(); ++g)
        if (encoded[g].size() > 0)
          out.part(groups.first + static_cast<std::uint32_t>(g)).raw(encoded[g].buffer().data(), encoded[g].size());
      encoded.clear();
    }
    decltype(auto) key_in(const entry& e) const {
      if constexpr (keeps_keys)
        return (e.key);
      else
        return std::invoke(key_of, e.value);
    }

    key_group_range all_groups;
    std::uint32_t max_parallelism;
    KeyOf key_of;
    key_group_range groups;
    std::vector<byte_writer> encoded;
  };

  class frozen final : public frozen_state {
  public:
    frozen(std::shared_ptr<detail::held_blocks> held, parts groups, std::size_t entries)
        : held_(std::move(held)), parts_(std::move(groups)), entries_(entries) {}
    ~frozen() override { held_->give_up(); }
    void write(state_writer& out) const override { write(out, false); }
    void write_last(state_writer& out) const override { write(out, true); }

  private:
    /// The order of the slots is not that of the key groups: the table is walked once for every so many bytes.
    void write(state_writer& out, bool last) const {
      constexpr std::size_t pass_bytes = std::size_t{64} << 20;
      const std::size_t groups = parts_.all_groups.size();
      const auto passes = std::clamp<std::size_t>(entries_ * sizeof(entry) / pass_bytes + 1, 1, groups);
      for (std::size_t pass = 0; pass < passes; ++pass) {
        auto some = parts_;
        some.groups = {parts_.all_groups.first + static_cast<std::uint32_t>(groups * pass / passes),
                       parts_.all_groups.first + static_cast<std::uint32_t>(groups * (pass + 1) / passes - 1)};
        held_->read(last && pass + 1 == passes, [&](const std::uint8_t* tags, const std::byte* slots) {
          for (std::size_t i = 0; i < detail::held_blocks::block; ++i)
            if (tags[i] != 0) some.add(reinterpret_cast<const entry*>(slots)[i]);
        });
        some.write(out);
      }
    }
    std::shared_ptr<detail::held_blocks> held_;
    parts parts_;
    std::size_t entries_;
  };

  std::string name_;
  table& table_;
  KeyOf key_of_;
  const state_registry* registry_ = nullptr;
};

} // namespace dataflow
