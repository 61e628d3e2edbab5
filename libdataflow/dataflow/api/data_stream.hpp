/// data_stream<T>: a stream of records of type T, and the operators that can be put behind it.
///
/// Each operator call adds an operator to the environment's graph and returns its output as a stream; nothing runs
/// before execute() or collect(). User functions are any callables; each subtask has a copy of its own. They may have
/// open(runtime_context&) and close(). Types are deduced from the functions.
/// Threading: one thread builds. Ownership: a small value; it keeps the graph alive.
/// Errors: a function that does not fit gives one static_assert; what cannot run gives error{errc::invalid_graph}.
/// Source: Flink's DataStream.
#pragma once

#include <dataflow/api/function_types.hpp>
#include <dataflow/api/stream_base.hpp>
#include <dataflow/connectors/function_sink.hpp>
#include <dataflow/connectors/print.hpp>
#include <dataflow/operators/assign_timestamps.hpp>
#include <dataflow/operators/filter.hpp>
#include <dataflow/operators/flat_map.hpp>
#include <dataflow/operators/key_selector.hpp>
#include <dataflow/operators/map.hpp>
#include <dataflow/operators/process.hpp>

namespace dataflow {

template <class K, class T, class Selector>
class keyed_stream;
template <class K, class T, class Selector>
class salted_stream;
template <class A, class B>
class connected_streams;
template <class U>
class broadcast_stream;
template <class K, class V>
class map_state_descriptor;
template <class T>
class iterative_stream;

namespace detail {
/// Element I of tuples, pairs and arrays, as a selector.
template <std::size_t I>
struct tuple_field {
  template <class T>
  auto& operator()(T& tuple) const {
    return std::get<I>(tuple);
  }
};

template <class F, class T>
constexpr void check_copyable_function() {
  static_assert(std::is_copy_constructible_v<F>,
                "each subtask needs a copy of the function: make it copyable, or use process<F>(arguments...)");
}
} // namespace detail

template <class T>
class data_stream : public detail::operator_settings<data_stream<T>> {
  static_assert(detail::is_value<T>, "records are values: no references, no const, not void");

public:
  using record = T;
  using detail::operator_settings<data_stream<T>>::operator_settings;

  // Operators.

  /// One result per record: f(const T&) -> O.
  template <class F>
  auto map(F f) const {
    constexpr bool fits = std::is_invocable_v<F&, const T&>;
    static_assert(fits, "map: the function must be callable with the stream's record");
    if constexpr (fits) {
      using O = std::decay_t<std::invoke_result_t<F&, const T&>>;
      static_assert(!std::is_void_v<O>, "map: the function must return a value; use sink_to(f) for effects");
      if constexpr (std::is_member_pointer_v<F>)
        return map([f](const T& record) -> O { return std::invoke(f, record); });
      else if constexpr (detail::require_record<O>())
        return transform<O>("Map", copies<map_operator<T, O, F>>(std::move(f)));
    }
  }
  /// Records for which f(const T&) is true.
  template <class F>
  data_stream filter(F f) const {
    static_assert(std::is_invocable_r_v<bool, F&, const T&>,
                  "filter: the function must be callable with the stream's record and return bool");
    if constexpr (std::is_invocable_r_v<bool, F&, const T&>)
      return transform<T>("Filter", copies<filter_operator<T, F>>(std::move(f)));
    else
      return *this;
  }
  /// Any number of results per record: f(const T&, collector<O>&). O is deduced, or given: flat_map<O>(f).
  template <class Given = void, class F>
  auto flat_map(F f) const {
    using O = detail::output_of<Given, F, 1>;
    static_assert(!std::is_void_v<O>, "flat_map: the function must take (const T&, collector<O>&); for a generic "
                                      "function name the output type: flat_map<O>(f)");
    if constexpr (!std::is_void_v<O>) {
      constexpr bool fits = std::is_invocable_v<F&, const T&, collector<O>&>;
      static_assert(fits, "flat_map: the function's first parameter is not the stream's record type");
      if constexpr (fits && detail::require_record<O>())
        return transform<O>("Flat Map", copies<flat_map_operator<T, O, F>>(std::move(f)));
    }
  }
  /// f(const T&, process_context&, collector<O>&): with side outputs, timestamps, the runtime context.
  template <class Given = void, class F>
  requires(!detail::function_class<Given>) auto process(F f) const {
    using O = detail::output_of<Given, F, 2>;
    static_assert(!std::is_void_v<O>, "process: the function must take (const T&, process_context&, collector<O>&); "
                                      "for a generic function name the output type: process<O>(f)");
    if constexpr (!std::is_void_v<O>) {
      constexpr bool fits = std::is_invocable_v<F&, const T&, process_context&, collector<O>&>;
      static_assert(fits, "process: the function must be callable with (const T&, process_context&, collector<O>&)");
      detail::check_copyable_function<F, T>();
      if constexpr (fits && detail::require_record<O>())
        return transform<O>("Process", [f = std::move(f)] {
          return std::make_unique<process_operator<T, O, F>>(no_key{}, std::forward_as_tuple(f));
        });
    }
  }
  /// A process_function<T, O>, built from the arguments once per subtask.
  template <class F, class... Arguments>
  requires detail::function_class<F>
  auto process(Arguments... arguments) const {
    using O = typename F::output_type;
    constexpr bool fits = std::is_same_v<typename F::input_type, T>;
    static_assert(fits, "process: the function's input type is not the stream's record type");
    if constexpr (fits) {
      constexpr bool plain = std::is_base_of_v<process_function<T, O>, F>;
      static_assert(plain,
                    "process: the function must derive from process_function<T, O>; keyed ones need key_by first");
      if constexpr (plain && detail::require_record<O>())
        return transform<O>("Process", [arguments = std::tuple<Arguments...>(std::move(arguments)...)] {
          return std::make_unique<process_operator<T, O, F>>(no_key{}, arguments);
        });
    }
  }
  /// Some elements of a tuple, in the order given: project<2, 0>().
  template <std::size_t... I>
  auto project() const {
    using O = std::tuple<std::tuple_element_t<I, T>...>;
    auto f = [](const T& record) { return O{std::get<I>(record)...}; };
    return transform<O>("Projection", copies<map_operator<T, O, decltype(f)>>(f));
  }
  /// What the operator that made this stream put into a side output.
  template <class S>
  data_stream<S> side_output(const output_tag<S>& tag) const {
    return {this->state_, {this->side_output_of(tag.id(), tag.name(), tag.type())}};
  }
  /// The records of all of them, in no order between them. (Flink's union.)
  template <class... More>
  data_stream union_with(const data_stream& other, const More&... more) const {
    data_stream both{this->state_, this->joined(other)};
    if constexpr (sizeof...(More) > 0)
      return both.union_with(more...);
    else
      return both;
  }
  /// Two streams of different types into one operator.
  template <class U>
  connected_streams<T, U> connect(const data_stream<U>& other) const {
    this->check_same_environment(other);
    return {*this, other};
  }
  /// With a stream that fills broadcast state.
  template <class U>
  auto connect(const broadcast_stream<U>& rules) const;
  /// A loop: everything put into close_with() comes in again here.
  iterative_stream<T> iterate() const {
    return {this->state_, {{this->begin_iteration(&record_type_of<T>()), {}, {}}}};
  }
  /// The same in one call: body(loop) returns a pair {feedback, output}; the output is the result.
  template <class Body>
  auto iterate(Body body) const {
    auto loop = iterate();
    auto [feedback, output] = body(loop);
    loop.close_with(feedback);
    return output;
  }

  /// Event time from here on: timestamps and watermarks by the strategy; what the stream had is replaced. A strategy
  /// with_alignment() is an error here: only sources can wait.
  template <class R>
  data_stream assign_timestamps_and_watermarks(const watermark_strategy<R>& strategy) const {
    constexpr bool fits = std::is_same_v<R, T>;
    static_assert(fits, "assign_timestamps_and_watermarks: the strategy is for another record type");
    if constexpr (fits) this->check_unaligned(strategy.alignment());
    if constexpr (fits)
      return transform<T>("Timestamps/Watermarks", [strategy]() -> std::unique_ptr<stream_operator> {
        return std::make_unique<timestamps_and_watermarks_operator<T>>(strategy);
      });
    else
      return *this;
  }

  // How records travel to the next operator.

  data_stream forward() const { return along(partitioning_kind::forward); }
  data_stream rebalance() const { return along(partitioning_kind::rebalance); }
  data_stream rescale() const { return along(partitioning_kind::rescale); }
  data_stream shuffle() const { return along(partitioning_kind::shuffle); }
  data_stream broadcast() const { return along(partitioning_kind::broadcast); }
  /// To fill broadcast state in every subtask of the operator that it is connected to; see
  /// <dataflow/api/broadcast_stream.hpp>.
  template <class K, class V, class... More>
  broadcast_stream<T> broadcast(const map_state_descriptor<K, V>& first, const More&... more) const;
  data_stream global() const { return along(partitioning_kind::global); }
  /// choose(key, number of subtasks) -> subtask.
  template <class Choose, class Selector>
  data_stream partition_custom(Choose choose, Selector key) const {
    static_assert(std::is_invocable_v<Selector&, const T&>,
                  "partition_custom: the key must be a member pointer or a function of the stream's record");
    using K = std::invoke_result_t<Selector&, const T&>;
    static_assert(std::is_invocable_r_v<std::int64_t, Choose&, K, std::uint32_t>,
                  "partition_custom: the function must take (key, number of subtasks) and return the subtask");
    return along(partitioning_kind::custom, [choose = std::move(choose), key = std::move(key)] {
      return std::make_unique<custom_partitioner<T, Selector, Choose>>(choose, key);
    });
  }
  /// Records of one key go to one subtask. A key is a member pointer or a function of the record; several make a
  /// composite key (a tuple).
  template <class Selector>
  auto key_by(Selector key) const {
    constexpr bool fits = std::is_invocable_v<Selector&, const T&>;
    static_assert(fits, "key_by: the key must be a member pointer or a function of the stream's record");
    if constexpr (fits) {
      using K = selected_key<Selector, T>;
      detail::check_key<K>();
      if constexpr (hashable_key<K>)
        static_assert(has_codec<K>, "this type cannot be a key: it has no codec, and keys are kept in state; name its "
                                    "fields with DATAFLOW_RECORD, or specialise dataflow::codec for it");
      if constexpr (hashable_key<K> && has_codec<K>) {
        auto make = [key]() -> std::unique_ptr<partitioner> {
          return std::make_unique<hash_partitioner<T, Selector>>(key);
        };
        return keyed_stream<K, T, Selector>{this->state_, this->partitioned(partitioning_kind::hash, make), key};
      }
    }
  }
  template <class First, class Second, class... More>
  auto key_by(First first, Second second, More... more) const {
    return key_by(composite_selector<First, Second, More...>{{first, second, more...}});
  }
  /// Elements of a tuple.
  template <std::size_t First, std::size_t... More>
  auto key_by() const {
    return key_by(detail::tuple_field<First>{}, detail::tuple_field<More>{}...);
  }
  /// For reductions over keys of which a few are very frequent: each key is first reduced in `salts` parts, on as many
  /// subtasks, then the parts are put together. The price: a second exchange, `salts` partial results per key in
  /// state, one result per key and batch of input instead of one per record, and merge functions must be associative
  /// and commutative. The last result of a key is that of key_by(key).
  template <class Selector>
  auto key_by_salted(Selector key, std::uint32_t salts) const;

  // Windows over all records, in one subtask: <dataflow/api/windowed_stream.hpp>.
  template <class Assigner>
  auto window_all(Assigner assigner) const;
  auto count_window_all(std::int64_t size) const;
  auto count_window_all(std::int64_t size, std::int64_t slide) const;

  // Joins in windows: <dataflow/api/window_joins.hpp>.
  template <class U>
  auto join(const data_stream<U>& other) const;
  template <class U>
  auto co_group(const data_stream<U>& other) const;

  // Ends.

  /// A line per record on standard output, with "3> " in front at parallelism above 1.
  data_sink print(std::string identifier = {}) const { return printed(std::move(identifier), false); }
  data_sink print_to_err(std::string identifier = {}) const { return printed(std::move(identifier), true); }
  /// A sink<T>, or a function that is called with every record: f(const T&) or f(const T&, timestamp).
  template <class S>
  data_sink sink_to(S what) const {
    if constexpr (requires { typename S::record; }) {
      static_assert(std::is_same_v<typename S::record, T>, "sink_to: the sink is for another record type");
      std::optional<delivery_guarantee> delivery;
      if constexpr (requires { what.delivery(); }) delivery = what.delivery();
      return written(sink_operators(std::move(what)), delivery);
    } else {
      static_assert(std::is_invocable_v<S&, const T&> || std::is_invocable_v<S&, const T&, timestamp>,
                    "sink_to: needs a sink of the stream's record type, or a function of the record");
      detail::check_copyable_function<S, T>();
      return ended("Sink: Callback", callback_sink_operators<T>(std::move(what)));
    }
  }
  /// Drops everything.
  data_sink discard() const { return ended("Sink: Discard", discard_sink_operators()); }
  /// Runs the (bounded) job and returns the records of this stream, by subtask, each subtask's in order.
  std::vector<T> collect(const std::string& job_name = {}) const {
    std::vector<T> all;
    batch<T> part{record_type_of<T>()};
    for (const auto& bytes : this->run_and_collect(job_name)) {
      byte_reader in{bytes};
      part.clear();
      record_type_of<T>().decode(in, part);
      all.insert(all.end(), std::make_move_iterator(part.records.begin()), std::make_move_iterator(part.records.end()));
    }
    return all;
  }

  // For operators of one's own.

  /// Adds a one-input operator with output records of type O.
  template <class O>
  data_stream<O> transform(std::string name, operator_factory make) const {
    return {this->state_, {{this->add_operator(std::move(name), &record_type_of<O>(), std::move(make)), {}, {}}}};
  }

protected:
  /// A factory that gives each operator a copy of the function.
  template <class Operator, class F>
  static operator_factory copies(F f) {
    detail::check_copyable_function<F, T>();
    return [f = std::move(f)]() -> std::unique_ptr<stream_operator> { return std::make_unique<Operator>(f); };
  }
  data_stream along(partitioning_kind kind, partitioner_factory factory = {}) const {
    return {this->state_, this->partitioned(kind, std::move(factory))};
  }
  data_sink ended(std::string name, operator_factory make) const {
    return {this->state_, {{this->add_sink(std::move(name), std::move(make)), {}, {}}}};
  }
  data_sink printed(std::string identifier, bool to_err) const {
    print_sink<T> sink{std::move(identifier), to_err};
    auto name = "Sink: " + sink.name();
    return ended(std::move(name), sink_operators(std::move(sink)));
  }
  /// Flink names the writing part of a sink: "name: Writer".
  data_sink written(operator_factory make, std::optional<delivery_guarantee> delivery) const {
    return {this->state_, {{this->add_writer(std::move(make), delivery), {}, {}}}};
  }
};

/// The beginning of a loop; see iterate().
template <class T>
class iterative_stream : public data_stream<T> {
public:
  using data_stream<T>::data_stream;
  /// `feedback` goes back to the beginning of the loop. A loop of a bounded job ends when its input has ended and no
  /// record is left in it.
  data_stream<T> close_with(const data_stream<T>& feedback) const {
    this->close_loop(feedback, &record_type_of<T>());
    return feedback;
  }
};

} // namespace dataflow

#include <dataflow/api/connected_streams.hpp>
#include <dataflow/api/keyed_stream.hpp>
