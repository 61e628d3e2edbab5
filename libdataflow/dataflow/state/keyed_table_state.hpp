/// A keyed_table or flat_table as declared state: written by key group, within each in the table's own order.
///
/// Threading: the task's own. Ownership: borrows the table; both belong to the operator.
#pragma once

#include <dataflow/record/hash.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/keyed_table.hpp>

#include <string>
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
    std::vector<byte_writer> groups(registry_->key_groups().size());
    const auto first = registry_->key_groups().first;
    table_.for_each([&](const typename table::entry& e) {
      if constexpr (keeps_keys) {
        auto& to = groups[registry_->key_group_of_hash(key_hash(e.key)) - first];
        codec<K>::encode(e.key, to);
        codec<V>::encode(e.value, to);
      } else {
        const K& key = std::invoke(key_of_, e.value);
        codec<V>::encode(e.value, groups[registry_->key_group_of_hash(key_hash(key)) - first]);
      }
    });
    for (std::size_t g = 0; g < groups.size(); ++g)
      if (groups[g].size() > 0)
        out.part(first + static_cast<std::uint32_t>(g)).raw(groups[g].buffer().data(), groups[g].size());
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
  std::string name_;
  table& table_;
  KeyOf key_of_;
  const state_registry* registry_ = nullptr;
};

} // namespace dataflow
