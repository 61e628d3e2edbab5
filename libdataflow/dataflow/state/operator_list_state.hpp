/// Operator state: items that belong to a subtask, not to keys, such as what a buffering function holds.
///
///   class batcher : public process_function<order, batch_of_orders> {
///     operator_list_state<order> waiting_ = operator_state("waiting");
///   };
/// When the parallelism changes, split state is dealt out anew item by item; of union state every subtask gets all.
/// Threading: the task's own. Ownership: a member of a function; a copy is not bound.
/// Source: Flink's OperatorStateStore: getListState, getUnionListState.
#pragma once

#include <dataflow/record/codecs.hpp>
#include <dataflow/state/declared_state.hpp>
#include <dataflow/state/state_handle.hpp>

#include <vector>

namespace dataflow {

template <class T>
class operator_list_state final : public state_member {
  static_assert(has_codec<T>, "operator state of this type has no codec: name its fields with DATAFLOW_RECORD(type, "
                              "fields...), include <dataflow/record/codecs.hpp>, or specialise dataflow::codec<T>");

public:
  operator_list_state(operator_state_declaration d) : state_member(d.name), items_(d.name, d.kind) {
    if (d.owner) join(*d.owner);
  }
  operator_list_state(const operator_list_state& other)
      : state_member(other.name()), items_(other.items_.name, other.items_.kind) {}
  void open(state_registry& states) override { states.declare(items_); }

  const std::vector<T>& get() const noexcept { return items_.values; }
  bool empty() const noexcept { return items_.values.empty(); }
  void add(T item) { items_.values.push_back(std::move(item)); }
  /// Replaces all.
  void update(std::vector<T> items) { items_.values = std::move(items); }
  void clear() noexcept { items_.values.clear(); }

private:
  struct items final : declared_state {
    items(std::string n, state_kind k) : name(std::move(n)), kind(k) {}
    state_info info() const override { return {name, kind, to_string(codec<T>::describe())}; }
    void snapshot(state_writer& out) const override {
      for (auto& v : values)
        codec<T>::encode(v, out.part());
    }
    void restore(const state_part& part) override {
      byte_reader in{part.bytes};
      T value{};
      codec<T>::decode(value, in);
      values.push_back(std::move(value));
    }
    std::string name;
    state_kind kind;
    std::vector<T> values;
  };
  items items_;
};

} // namespace dataflow
