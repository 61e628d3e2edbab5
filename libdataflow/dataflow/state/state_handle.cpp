#include <dataflow/state/keyed_states.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow {

namespace {
keyed_store& store_of(state_registry& states, const std::string& name, state_scope scope) {
  if (auto* store = states.keyed(scope)) return *store;
  if (scope == state_scope::window)
    throw error{errc::invalid_argument,
                "the state \"" + name + "\" of a window is declared in a function that is called without windows",
                "declare it with state(): then it belongs to the key"};
  throw error{errc::no_current_key,
              "the keyed state \"" + name + "\" is declared in a function of a stream without keys",
              "put key_by in front of the operator, or declare operator state instead"};
}
} // namespace

std::chrono::milliseconds ttl::checked(std::chrono::milliseconds time) {
  if (time > std::chrono::milliseconds{0}) return time;
  throw error{errc::invalid_argument, "a time to live of " + std::to_string(time.count()) + " ms",
              "give a positive time, or no ttl for state that is kept for ever"};
}

namespace detail {
std::string with_ttl(std::string schema, bool has_ttl) {
  return has_ttl ? std::move(schema) + ", with time to live" : std::move(schema);
}
} // namespace detail

state_member::state_member(std::string name) : name_(std::move(name)) {
  if (name_.empty() || name_[0] == '_')
    throw error{errc::invalid_argument, "a state with the name \"" + name_ + "\"",
                "give each state a name of its own that does not begin with an underscore: the engine's do"};
}

void state_member::join(stateful_function& owner) { owner.others_.push_back(this); }

state_handle::state_handle(state_declaration declaration)
    : state_member(std::move(declaration.name)), time_to_live_(std::move(declaration.time_to_live)),
      scope_(declaration.scope) {
  if (declaration.owner) declaration.owner->handles_.push_back(this);
}

state_handle::state_handle(const state_handle& other)
    : state_member(other), time_to_live_(other.time_to_live_), scope_(other.scope_) {}

void state_handle::open(state_registry& states) {
  auto& store = store_of(states, name(), scope_);
  column_ = make_column();
  store.add(*column_);
}

void state_handle::fail_unbound() const { keyed_store::fail_no_key("state \"" + name() + "\" (which is not open)"); }

void state_handle::fail_empty() const {
  throw error{errc::empty_state, "state \"" + name() + "\" is read and has no value for this key",
              "ask has_value() first, or read with value_or()"};
}

void stateful_function::bind_states(state_registry& states) {
  for (auto* m : others_)
    m->open(states);
  for (const auto scope : {state_scope::key, state_scope::window}) {
    std::vector<keyed_column*> columns;
    keyed_store* store = nullptr;
    for (auto* h : handles_) {
      if (h->scope_ != scope) continue;
      if (!store) store = &store_of(states, h->name(), scope);
      h->column_ = h->make_column();
      columns.push_back(h->column_.get());
    }
    if (store) store->add(columns);
  }
}

} // namespace dataflow
