/// Stored state whose record types have changed since: rewritten part by part before it is restored.
///
/// Knows how each kind of state lays its records out; what may change within a record is said in
/// record/schema_change.hpp. Keys cannot change: where their state lies follows from their bytes.
/// Threading: immutable. Errors: between() throws incompatible_state naming the state, the field and what cannot become
/// what; convert() throws corrupt_state.
#pragma once

#include <dataflow/state/declared_state.hpp>

#include <memory>

namespace dataflow {

class state_change {
public:
  /// REQUIRES: the names are equal.
  static state_change between(const state_info& stored, const state_info& wanted);
  bool is_none() const noexcept { return !body_; }
  state_part convert(const state_part& part) const;

  struct body;

private:
  std::shared_ptr<const body> body_;
};

} // namespace dataflow
