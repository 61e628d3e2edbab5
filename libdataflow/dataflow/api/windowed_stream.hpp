/// windowed_stream: what key_by(...).window(...) and window_all(...) give: windows that wait for the function that is
/// to be called with their contents.
///
///   readings.key_by(&reading::sensor).window(tumbling_event_time_windows{1min}).allowed_lateness(5min)
///       .side_output_late(late).aggregate(mean_temperature{});
///
/// Settings return the stream with that setting; reduce, aggregate, process and the like add the operator. Results
/// carry the window's max_timestamp(). window_all runs in one subtask. Aggregations of tumbling and sliding event-time
/// windows with the default trigger work on slices: the cost of a record does not depend on the size and slide. For
/// sliding windows this needs results that do not depend on the order in which records are put together: aggregate
/// functions with merge() (unless they say `static constexpr bool order_matters = true`), min, max, sums of integers,
/// and reduce(order_free(f)). Threading: one thread builds. Ownership: a small value. Errors: errc::invalid_argument
/// for a negative lateness; what does not fit gives one static_assert. Source: Flink's WindowedStream,
/// AllWindowedStream.
#pragma once

#include <dataflow/api/keyed_stream.hpp>
#include <dataflow/windows/sliced_window_operator.hpp>
#include <dataflow/windows/window_operator.hpp>

namespace dataflow {

/// The function behind process<F>(arguments...) of window_all. State as in process_window_function: of all windows, or
/// per window.
template <class In, class Out, class W = time_window>
class process_all_window_function : public stateful_function {
public:
  using input_type = In;
  using output_type = Out;
  using window_type = W;
  using context = window_context<W>;
  virtual ~process_all_window_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(context& ctx, std::span<const In> elements, collector<Out>& out) = 0;
  virtual void clear(context& /*ctx*/) {}
  virtual void close() {}
};

namespace detail {

/// What can be asked of a trigger's context; nothing is ever called.
template <class State>
struct any_trigger_context {
  State& state();
  timestamp current_watermark();
  timestamp current_processing_time();
  void register_event_time(timestamp), delete_event_time(timestamp);
  void register_processing_time(timestamp), delete_processing_time(timestamp);
  std::vector<State> merged_states();
};
template <class Trigger, class W>
concept merging_trigger = requires(Trigger& t, const W& w, any_trigger_context<trigger_state<Trigger>>& context) {
  t.on_merge(w, context);
};
template <class Trigger, class T, class W>
concept trigger_for = requires(Trigger& t, const T& record, const W& w,
                               any_trigger_context<trigger_state<Trigger>>& context) {
  { t.on_element(record, timestamp{}, w, context) } -> std::same_as<trigger_result>;
};

template <class Assigner>
constexpr bool is_grid = requires(const Assigner& a) {
  { a.grid() } -> std::same_as<const window_grid&>;
};

/// A function of windows over everything, called as one of keyed windows.
template <class F>
struct all_function {
  F f;
  void open(runtime_context& context) { open_function(f, context); }
  void close() noexcept { close_function(f); }
  void bind_states(state_registry& states) requires binds_states<F> { f.bind_states(states); }
  template <class W, class R, class O>
  requires requires(F& g, window_context<W>& c, std::span<const R> e, collector<O>& o) { g.process(c, e, o); }
  void process(const std::uint8_t&, window_context<W>& context, std::span<const R> elements, collector<O>& out) {
    f.process(context, elements, out);
  }
  template <class W, class E, class O>
  requires std::is_invocable_v < F&, window_context<W>
  &, const E&,
      collector<O>& >
          void operator()(const std::uint8_t&, window_context<W>& context, const E& elements, collector<O>& out) {
    f(context, elements, out);
  }
  template <class W>
  void clear(const std::uint8_t&, window_context<W>& context) {
    if constexpr (requires { f.clear(context); }) f.clear(context);
  }
};

/// A function class, one instance per subtask.
template <class F>
struct owned_function {
  std::unique_ptr<F> f;
  void open(runtime_context& context) { f->open(context); }
  void close() { f->close(); }
  void bind_states(state_registry& states) requires binds_states<F> { f->bind_states(states); }
  template <class... A>
  auto process(A&&... arguments) -> decltype(f->process(std::forward<A>(arguments)...)) {
    return f->process(std::forward<A>(arguments)...);
  }
  template <class... A>
  auto clear(A&&... arguments) -> decltype(f->clear(std::forward<A>(arguments)...)) {
    return f->clear(std::forward<A>(arguments)...);
  }
};
template <class F>
constexpr bool is_owned_function = false;
template <class F>
constexpr bool is_owned_function<owned_function<F>> = true;
template <class F>
constexpr bool is_owned_function<all_function<F>> = is_owned_function<F>;

/// sum of an integer, min, max: partial results can be put together in any order once the first record is known.
template <class Merge, class T>
constexpr bool is_numbered = false;
template <class Field, class T>
constexpr bool is_numbered<sum_merge<Field>, T> =
    std::is_integral_v<std::remove_cvref_t<std::invoke_result_t<const Field&, T&>>>;
template <class Field, extreme Which, class T>
constexpr bool is_numbered<extreme_merge<Field, Which>, T> = true;

} // namespace detail

template <class T, class Selector, class Assigner, class Trigger, class Evictor, bool All>
class windowed_stream : public detail::reductions<T, windowed_stream<T, Selector, Assigner, Trigger, Evictor, All>> {
  using K = selected_key<Selector, T>;
  using W = typename Assigner::window;

public:
  windowed_stream(data_stream<T> in, Selector key, Assigner assigner, Trigger trigger, Evictor evictor,
                  const detail::window_settings& settings = {})
      : in_(std::move(in)), key_(std::move(key)), assigner_(std::move(assigner)), trigger_(std::move(trigger)),
        evictor_(std::move(evictor)), settings_(settings) {}

  /// How long after its end a window goes on taking late records; each fires it again. Event time.
  windowed_stream allowed_lateness(std::chrono::milliseconds lateness) const {
    auto copy = *this;
    copy.settings_.lateness = detail::checked_lateness(lateness);
    return copy;
  }
  /// Records that are too late for all of their windows go there; without it they are counted under
  /// numLateRecordsDropped.
  windowed_stream side_output_late(const output_tag<T>& tag) const {
    auto copy = *this;
    copy.settings_.late_tag = tag.id();
    return copy;
  }
  /// Replaces the windows' default trigger.
  template <class NewTrigger>
  auto trigger(NewTrigger trigger) const {
    static_assert(detail::trigger_for<NewTrigger, T, W>,
                  "trigger: needs a trigger_result on_element(const T&, timestamp, const window&, auto& context)");
    static_assert(!Assigner::merging || detail::merging_trigger<NewTrigger, W>,
                  "trigger: session windows merge; this trigger has no on_merge(const window&, auto& context)");
    return windowed_stream<T, Selector, Assigner, NewTrigger, Evictor, All>{
        in_, key_, assigner_, std::move(trigger), evictor_, settings_};
  }
  template <class NewEvictor>
  auto evictor(NewEvictor evictor) const {
    static_assert(
        requires(NewEvictor & e, window_elements<T> & elements, const W& w) { e.evict_before(elements, w); } ||
            requires(NewEvictor & e, window_elements<T> & elements, const W& w) { e.evict_after(elements, w); },
        "evictor: needs evict_before(window_elements<T>&, const window&) or evict_after");
    return windowed_stream<T, Selector, Assigner, Trigger, NewEvictor, All>{
        in_, key_, assigner_, trigger_, std::move(evictor), settings_};
  }

  /// f(const T& so far, const T& next) -> T; the window's first record passes through as it is.
  template <class F>
  data_stream<T> reduce(F f) const {
    return reduce_with<T>(std::move(f), detail::pass_through_function{});
  }
  /// The same, and then function(key, context, const T& result, collector<O>&); of window_all without the key.
  template <class Given = void, class F, class Function>
  auto reduce(F f, Function function) const {
    return reduce_with<result_of<Given, Function>>(std::move(f), wrapped(std::move(function)));
  }
  template <class Function, class F, class... Arguments>
  requires detail::function_class<Function>
  auto reduce(F f, Arguments... arguments) const {
    return add<typename Function::output_type>(reduction(std::move(f)), recipe<Function, T>(std::move(arguments)...));
  }

  /// An aggregate function: create_accumulator(), add(const T&, accumulator&), get_result(const accumulator&), and for
  /// sessions merge(accumulator&, const accumulator&). add and merge may as well return the new accumulator.
  template <class A>
  auto aggregate(A a) const {
    check_aggregate<A>();
    if constexpr (detail::aggregate_for<A, T>)
      return add<typename detail::aggregate_traits<A, T>::result>(detail::aggregated_contents<A, T>{std::move(a)},
                                                                  [] { return detail::pass_through_function{}; });
  }
  /// The same, and then function(key, context, const result&, collector<O>&).
  template <class Given = void, class A, class Function>
  requires(!std::is_convertible_v<A, const char*>) auto aggregate(A a, Function function) const {
    check_aggregate<A>();
    if constexpr (detail::aggregate_for<A, T>) {
      auto f = wrapped(std::move(function));
      return add<result_of<Given, Function>>(detail::aggregated_contents<A, T>{std::move(a)}, [f] { return f; });
    }
  }
  template <class Function, class A, class... Arguments>
  requires detail::function_class<Function>
  auto aggregate(A a, Arguments... arguments) const {
    check_aggregate<A>();
    if constexpr (detail::aggregate_for<A, T>)
      return add<typename Function::output_type>(
          detail::aggregated_contents<A, T>{std::move(a)},
          recipe<Function, typename detail::aggregate_traits<A, T>::result>(std::move(arguments)...));
  }

  /// function(key, context, std::span<const T> elements, collector<O>&); of window_all without the key.
  template <class Given = void, class Function>
  requires(!detail::function_class<Given>) auto process(Function function) const {
    auto f = wrapped(std::move(function));
    return add<result_of<Given, Function>>(detail::list_contents<T>{}, [f] { return f; });
  }
  /// A process_window_function (of window_all: process_all_window_function), built from the arguments once per subtask.
  template <class Function, class... Arguments>
  requires detail::function_class<Function>
  auto process(Arguments... arguments) const {
    return add<typename Function::output_type>(detail::list_contents<T>{},
                                               recipe<Function, T>(std::move(arguments)...));
  }

private:
  friend class detail::reductions<T, windowed_stream>;
  static constexpr std::size_t collector_at = All ? 2 : 3;

  /// sum, min, max, min_by, max_by.
  template <class Merge>
  data_stream<T> aggregate(const char*, Merge merge) const {
    auto none = [] { return detail::pass_through_function{}; };
    if constexpr (detail::is_numbered<Merge, T> && sliced<detail::numbered_contents<T, Merge>, decltype(none())>)
      return add<T>(detail::numbered_contents<T, Merge>{std::move(merge)}, none);
    else
      return add<T>(detail::reduced_contents<T, Merge>{std::move(merge)}, none);
  }
  template <class F>
  static auto reduction(F f) {
    static_assert(std::is_invocable_r_v<T, F&, const T&, const T&>,
                  "reduce: the function must take two of the stream's records and return one");
    detail::check_copyable_function<F, T>();
    return detail::reduced_contents<T, reduce_merge<F>>{reduce_merge<F>{std::move(f)}};
  }
  template <class O, class F, class Function>
  data_stream<O> reduce_with(F f, Function function) const {
    return add<O>(reduction(std::move(f)), [function] { return function; });
  }
  template <class A>
  static constexpr void check_aggregate() {
    static_assert(detail::aggregate_for<A, T>,
                  "aggregate: the function needs create_accumulator(), add(const T&, accumulator&) and "
                  "get_result(const accumulator&)");
    if constexpr (detail::aggregate_for<A, T>)
      static_assert(!Assigner::merging || detail::aggregate_traits<A, T>::merges,
                    "aggregate: session windows merge; the function needs merge(accumulator&, const accumulator&)");
  }
  template <class Given, class F>
  struct checked_result {
    using type = detail::output_of<Given, F, collector_at>;
    static_assert(
        !std::is_void_v<type>,
        "the window function must take (key, window_context<window>&, elements, collector<O>&), of window_all "
        "without the key; for a generic function name the output type: process<O>(f)");
  };
  template <class Given, class F>
  using result_of = typename checked_result<Given, F>::type;
  template <class F>
  static auto wrapped(F f) {
    detail::check_copyable_function<F, T>();
    if constexpr (All)
      return detail::all_function<F>{std::move(f)};
    else
      return f;
  }
  template <class F, class In, class... Arguments>
  static auto recipe(Arguments... arguments) {
    static_assert(std::is_same_v<typename F::input_type, In>,
                  "the window function's input type is not what the window holds");
    static_assert(std::is_same_v<typename F::window_type, W>,
                  "the window function's window type is not that of the window assigner");
    return [arguments = std::tuple<Arguments...>(std::move(arguments)...)] {
      auto f = std::apply([](const auto&... a) { return std::make_unique<F>(a...); }, arguments);
      if constexpr (All)
        return detail::all_function<detail::owned_function<F>>{{std::move(f)}};
      else
        return detail::owned_function<F>{std::move(f)};
    };
  }

  /// Whether slices can do it; see the top of this file. Function classes may have state per window: they cannot.
  template <class Contents, class Function>
  static constexpr bool sliced = [] {
    if constexpr (detail::is_grid<Assigner> && Assigner::event_time && std::is_same_v<Evictor, no_evictor> &&
                  std::is_same_v<Trigger, typename Assigner::default_trigger>)
      return !detail::is_owned_function<Function> &&
             (std::is_same_v<Assigner, tumbling_event_time_windows> || Contents::sliceable);
    return false;
  }();

  template <class O, class Contents, class MakeFunction>
  data_stream<O> add(Contents contents, MakeFunction make_function) const {
    using Function = decltype(make_function());
    operator_factory make;
    if constexpr (sliced<Contents, Function>)
      make = [key = key_, grid = assigner_.grid(), settings = settings_, contents, make_function] {
        return std::make_unique<sliced_window_operator<T, O, Selector, Contents, Function>>(key, grid, settings,
                                                                                            contents, make_function());
      };
    else
      // Not *this: the graph would own a stream, which owns the graph.
      make = [key = key_, assigner = assigner_, trigger = trigger_, evictor = evictor_, settings = settings_, contents,
              make_function] {
        return std::make_unique<window_operator<T, O, Selector, Assigner, Trigger, Evictor, Contents, Function>>(
            key, assigner, trigger, evictor, settings, contents, make_function());
      };
    auto out = in_.template transform<O>(Assigner::name, std::move(make));
    if constexpr (All) out.run_in_one_subtask();
    return out;
  }

  data_stream<T> in_;
  Selector key_;
  Assigner assigner_;
  Trigger trigger_;
  Evictor evictor_;
  detail::window_settings settings_;
};

template <class K, class T, class Selector>
template <class Assigner>
auto keyed_stream<K, T, Selector>::window(Assigner assigner) const {
  using trigger = typename Assigner::default_trigger;
  return windowed_stream<T, Selector, Assigner, trigger, no_evictor, false>{
      *this, key_, std::move(assigner), trigger{}, {}};
}
template <class K, class T, class Selector>
auto keyed_stream<K, T, Selector>::count_window(std::int64_t size) const {
  return window(global_windows{}).trigger(purging_trigger{count_trigger{size}});
}
template <class K, class T, class Selector>
auto keyed_stream<K, T, Selector>::count_window(std::int64_t size, std::int64_t slide) const {
  return window(global_windows{}).trigger(count_trigger{slide}).evictor(count_evictor{size});
}

template <class T>
template <class Assigner>
auto data_stream<T>::window_all(Assigner assigner) const {
  using key = detail::no_window_key;
  using trigger = typename Assigner::default_trigger;
  auto make = []() -> std::unique_ptr<partitioner> { return std::make_unique<hash_partitioner<T, key>>(key{}); };
  return windowed_stream<T, key, Assigner, trigger, no_evictor, true>{
      along(partitioning_kind::hash, make), key{}, std::move(assigner), trigger{}, {}};
}
template <class T>
auto data_stream<T>::count_window_all(std::int64_t size) const {
  return window_all(global_windows{}).trigger(purging_trigger{count_trigger{size}});
}
template <class T>
auto data_stream<T>::count_window_all(std::int64_t size, std::int64_t slide) const {
  return window_all(global_windows{}).trigger(count_trigger{slide}).evictor(count_evictor{size});
}

} // namespace dataflow
