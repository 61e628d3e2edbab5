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
  state_scope scope = state_scope::key;
};
inline state_declaration state(std::string name) { return {std::move(name)}; }
inline state_declaration state(std::string name, ttl time_to_live) { return {std::move(name), time_to_live}; }

/// What operator_state("name") and union_state("name") give; see operator_list_state.hpp.
struct operator_state_declaration {
  std::string name;
  state_kind kind = state_kind::list;
  stateful_function* owner = nullptr;
};
inline operator_state_declaration operator_state(std::string name) { return {std::move(name)}; }
inline operator_state_declaration union_state(std::string name) { return {std::move(name), state_kind::union_list}; }

/// Anything that a function can declare as a member.
class state_member {
public:
  const std::string& name() const noexcept { return name_; }
  /// Binds and restores the state. For members of stateful functions the engine does it.
  virtual void open(state_registry& states) = 0;

protected:
  /// Throws error{errc::invalid_argument} for an empty name and for names that begin with an underscore.
  explicit state_member(std::string name);
  state_member(const state_member&) = default;
  state_member& operator=(const state_member&) = delete;
  virtual ~state_member() = default;
  void join(stateful_function& owner);

private:
  std::string name_;
};

/// What every handle of keyed state is.
class state_handle : public state_member {
public:
  void open(state_registry& states) override;
  /// Whether the current key has something stored here, expired or not.
  bool is_present() { return column().find() != nullptr; }

protected:
  explicit state_handle(state_declaration declaration);
  state_handle(const state_handle& other);
  ~state_handle() override = default;
  virtual std::unique_ptr<keyed_column> make_column() const = 0;
  const std::optional<ttl>& time_to_live() const noexcept { return time_to_live_; }
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
  const std::optional<ttl> time_to_live_;
  const state_scope scope_;
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
  /// Of window functions: belongs to the current key and window, and goes with that window.
  state_declaration window_state(std::string name) { return {std::move(name), {}, this, state_scope::window}; }
  state_declaration window_state(std::string name, ttl time_to_live) {
    return {std::move(name), time_to_live, this, state_scope::window};
  }
  operator_state_declaration operator_state(std::string name) { return {std::move(name), state_kind::list, this}; }
  operator_state_declaration union_state(std::string name) { return {std::move(name), state_kind::union_list, this}; }

private:
  friend class state_handle;
  friend class state_member;
  std::vector<state_handle*> handles_; // those of a scope are bound together: one layout of the rows
  std::vector<state_member*> others_;
};

} // namespace dataflow
