/// Process functions over a stream and a broadcast stream: the second one fills broadcast state in every subtask, the
/// first one reads it.
///
/// A record sees what has arrived so far, whatever the timestamps. The data side may only read broadcast state; the
/// broadcast side has no key, but can visit the keyed state of all keys. Timers follow the watermark of both.
/// Threading: the task's own. Source: Flink's CoBroadcastWithKeyedOperator, CoBroadcastWithNonKeyedOperator.
#pragma once

#include <dataflow/operators/process.hpp>
#include <dataflow/state/broadcast_state.hpp>

namespace dataflow {

/// On the data side: what the stream's own context has, and the broadcast state to read.
template <class Base>
class read_only_broadcast_context : public Base {
public:
  using Base::Base;
  template <class K, class V>
  const broadcast_state<K, V>& state(const map_state_descriptor<K, V>& descriptor) const {
    return states_->of(descriptor);
  }
  void set_states(broadcast_states& states) noexcept { states_ = &states; } // the engine's side

protected:
  broadcast_states* states_ = nullptr;
};

/// On the broadcast side.
class broadcast_context {
public:
  broadcast_context(process_context& base, broadcast_states& states) noexcept : base_(base), states_(states) {}
  template <class K, class V>
  broadcast_state<K, V>& state(const map_state_descriptor<K, V>& descriptor) const {
    return states_.of(descriptor);
  }
  template <class T>
  void output(const output_tag<T>& tag, std::type_identity_t<T> value) {
    base_.output(tag, std::move(value));
  }
  std::optional<timestamp> record_timestamp() const noexcept { return base_.record_timestamp(); }
  timestamp current_watermark() const noexcept { return base_.current_watermark(); }
  std::chrono::milliseconds processing_time() const noexcept { return base_.processing_time(); }
  runtime_context& runtime() noexcept { return base_.runtime(); }

private:
  process_context& base_;
  broadcast_states& states_;
};

template <class K>
class keyed_broadcast_context : public broadcast_context {
public:
  keyed_broadcast_context(process_context& base, broadcast_states& states, keyed_context<K>& keys) noexcept
      : broadcast_context(base, states), keys_(keys) {}
  /// Calls f(key, state) for every key that has a value in this state of the function; that key is the current one.
  template <class State, class F>
  void apply_to_keyed_state(State& state, F&& f) {
    keys_.for_each_key([&](const K& key) {
      if (state.is_present()) f(key, state);
    });
  }

private:
  keyed_context<K>& keys_;
};

template <class In, class Broadcast, class Out>
class broadcast_process_function : public stateful_function {
public:
  using input_type1 = In;
  using input_type2 = Broadcast;
  using output_type = Out;
  using read_only_context = read_only_broadcast_context<process_context>;
  using context = broadcast_context;
  virtual ~broadcast_process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(const In& record, read_only_context& ctx, collector<Out>& out) = 0;
  virtual void process_broadcast(const Broadcast& record, context& ctx, collector<Out>& out) = 0;
  virtual void close() {}
};

template <class K, class In, class Broadcast, class Out>
class keyed_broadcast_process_function : public stateful_function {
public:
  using key_type = K;
  using input_type1 = In;
  using input_type2 = Broadcast;
  using output_type = Out;
  using timer_context = read_only_broadcast_context<keyed_timer_context<K>>;
  using read_only_context = timer_context;
  using context = keyed_broadcast_context<K>;
  virtual ~keyed_broadcast_process_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(const In& record, read_only_context& ctx, collector<Out>& out) = 0;
  virtual void process_broadcast(const Broadcast& record, context& ctx, collector<Out>& out) = 0;
  /// A timer of ctx.key() fires.
  virtual void on_timer(timestamp /*time*/, timer_context& /*ctx*/, collector<Out>& /*out*/) {}
  virtual void close() {}
};

namespace detail {
template <class Key, class T, class O>
struct broadcast_scope_for {
  using key = selected_key<Key, T>;
  using type = keyed_scope<key, O, read_only_broadcast_context<keyed_timer_context<key>>>;
};
template <class T, class O>
struct broadcast_scope_for<no_key, T, O> {
  using type = unkeyed_scope<O, read_only_broadcast_context<process_context>>;
};
} // namespace detail

template <class A, class B, class O, class F, class Key = no_key>
class broadcast_process_operator final
    : public detail::process_base<O, F, typename detail::broadcast_scope_for<Key, A, O>::type> {
  using base = detail::process_base<O, F, typename detail::broadcast_scope_for<Key, A, O>::type>;

public:
  template <class... Arguments>
  broadcast_process_operator(Key key, const std::vector<detail::broadcast_declaration>& declared,
                             const std::tuple<Arguments...>& arguments)
      : base(arguments), key_(std::move(key)), states_(declared) {}

  void open(operator_context& context) override {
    states_.open(context.states());
    base::open(context);
  }
  void process(unsigned input, batch_slice& slice) override {
    if (input == 0) {
      this->template process_slice<A>(
          slice, key_, [this](const A& record, auto& ctx, auto& out) { this->f_.F::process(record, ctx, out); });
      return;
    }
    no_key none;
    auto writable = make_context();
    this->template process_slice<B>(
        slice, none, [&](const B& record, auto&, auto& out) { this->f_.F::process_broadcast(record, writable, out); });
  }

protected:
  void scope_opened() override { this->scope_.ctx().set_states(states_); }

private:
  auto make_context() {
    if constexpr (std::is_same_v<Key, no_key>)
      return broadcast_context{this->scope_.ctx(), states_};
    else
      return keyed_broadcast_context<selected_key<Key, A>>{this->scope_.ctx(), states_, this->scope_.keys()};
  }

  Key key_;
  broadcast_states states_;
};

} // namespace dataflow
