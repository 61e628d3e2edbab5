/// How a function declares state: the declaration, what all state handles share, and the list of a function's handles.
///
///   class visits : public keyed_process_function<...> {
///     value_state<std::int64_t> count_ = state("count");       // bound before open()
///   };
///   struct counter {                                           // any other function object: bound in its open()
///     value_state<std::int64_t> count = state("count");
///     void open(runtime_context& context) { count.open(context.states()); }
///   };
/// Threading: the task's own. Ownership: a handle owns its state; the store borrows it. Both live as long as the
/// operator. A copy of a handle is a handle that is not bound yet.
/// Errors: errc::no_current_key where a handle is bound without keys, or used while there is no current key.
#pragma once

#include <dataflow/state/keyed_store.hpp>
#include <dataflow/state/ttl.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

class stateful_function;

/// What state("name") gives.
struct state_declaration {
  std::string name;
  std::optional<ttl> time_to_live = {};
  stateful_function* owner = nullptr;
};
inline state_declaration state(std::string name) { return {std::move(name)}; }
inline state_declaration state(std::string name, ttl time_to_live) { return {std::move(name), time_to_live}; }

/// What every handle of keyed state is.
class state_handle {
public:
  /// Binds the state to the operator's keys. For members of stateful functions the engine does it.
  void open(state_registry& states);
  const std::string& name() const noexcept { return declaration_.name; }

protected:
  explicit state_handle(state_declaration declaration);
  state_handle(const state_handle& other);
  state_handle& operator=(const state_handle&) = delete;
  virtual ~state_handle() = default;
  virtual std::unique_ptr<keyed_column> make_column() const = 0;
  const std::optional<ttl>& time_to_live() const noexcept { return declaration_.time_to_live; }
  /// The bound column.
  keyed_column& column() {
    if (!column_) [[unlikely]]
      fail_unbound();
    return *column_;
  }
  [[noreturn]] void fail_empty() const;

private:
  friend class stateful_function;
  [[noreturn]] void fail_unbound() const;
  state_declaration declaration_;
  std::unique_ptr<keyed_column> column_;
};

/// The base of function classes that declare state as members.
class stateful_function {
public:
  stateful_function() = default;
  stateful_function(const stateful_function&) = delete;
  stateful_function& operator=(const stateful_function&) = delete;
  /// The engine's: binds all members.
  void bind_states(state_registry& states);

protected:
  ~stateful_function() = default;
  state_declaration state(std::string name) { return {std::move(name), {}, this}; }
  state_declaration state(std::string name, ttl time_to_live) { return {std::move(name), time_to_live, this}; }

private:
  friend class state_handle;
  std::vector<state_handle*> handles_;
};

} // namespace dataflow
