/// What is done with the contents of a window: what is kept per window (contents), and the function on top.
///
/// Contents: list_contents (all records), reduced_contents (one record), aggregated_contents (an accumulator). The
/// function is none (the result goes out as it is), a callable f(const K&, context, elements, collector<O>&), or a
/// class derived from process_window_function. Threading: the task's own. Source: Flink's ProcessWindowFunction,
/// AggregateFunction, ReduceFunction.
#pragma once

#include <dataflow/operators/keyed_reduce.hpp>
#include <dataflow/operators/process_context.hpp>
#include <dataflow/state/keyed_context.hpp>
#include <dataflow/state/state_handle.hpp>
#include <dataflow/windows/window.hpp>

#include <span>
#include <string>
#include <vector>

namespace dataflow {

/// What a window function sees beside the key and the contents.
template <class W>
class window_context {
public:
  explicit window_context(operator_context& context) noexcept : sides_(context), runtime_(context) {}

  const W& window() const noexcept { return window_; }
  timestamp current_watermark() const noexcept { return watermark_; }
  /// Wall time.
  std::chrono::milliseconds processing_time() const noexcept { return runtime_.clock().wall(); }
  /// Puts a record into a side output, with the timestamp of the window's results.
  template <class T>
  void output(const output_tag<T>& tag, std::type_identity_t<T> value) {
    sides_.set_timestamp(true, window_.max_timestamp());
    sides_.collect(tag, std::move(value));
  }
  runtime_context& runtime() noexcept { return runtime_; }

  // The engine's side.
  void begin(const W& window, timestamp watermark) noexcept {
    window_ = window;
    watermark_ = watermark;
  }
  side_collectors& sides() noexcept { return sides_; }

private:
  W window_{};
  timestamp watermark_ = min_timestamp;
  side_collectors sides_;
  runtime_context& runtime_;
};

/// The function behind process<F>(arguments...) of windowed streams. After an aggregation or reduction `elements` holds
/// its one result. It declares what it keeps as members: state("name") belongs to the key in all of its windows,
/// window_state("name") to this window of the key, over all its firings, and goes with the window; sessions merge, so
/// their functions have none of the second kind.
///
///   class firings : public process_window_function<std::string, click, alert> {
///     value_state<int> of_window_ = window_state("firings");
///     map_state<std::string, int> pages_ = state("pages");
template <class K, class In, class Out, class W = time_window>
class process_window_function : public stateful_function {
public:
  using key_type = K;
  using input_type = In;
  using output_type = Out;
  using window_type = W;
  using context = window_context<W>;
  virtual ~process_window_function() = default;
  virtual void open(runtime_context&) {}
  virtual void process(const K& key, context& ctx, std::span<const In> elements, collector<Out>& out) = 0;
  /// The window of this key goes, and its per-window state with it. The state can still be read.
  virtual void clear(const K& /*key*/, context& /*ctx*/) {}
  virtual void close() {}
};

/// Marks a function of reduce(): the result does not depend on the order in which records are put together, so that
/// sliding windows may share partial results. .reduce(order_free([](const r& a, const r& b) { ... }))
template <class F>
struct order_free_function : F {
  static constexpr bool order_free = true;
};
template <class F>
order_free_function<F> order_free(F f) {
  return {std::move(f)};
}

namespace detail {

template <class F>
constexpr bool is_order_free = requires {
  requires F::order_free;
};
template <class F>
constexpr bool is_order_free<reduce_merge<F>> = is_order_free<F>;

/// All records, in the order of arrival.
template <class T>
struct list_contents {
  using stored = std::vector<T>;
  using result = T;
  static constexpr bool is_list = true;
  static constexpr bool mergeable = true, sliceable = false;
  stored first(const T& record, std::uint64_t) { return {record}; }
  void add(stored& into, const T& record, std::uint64_t) { into.push_back(record); }
  void merge(stored& into, stored&& from) {
    into.insert(into.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }
  /// Calls f(result) once for every element... of lists with all of them.
  std::span<const T> results(const stored& s, std::optional<T>&) { return s; }
};

/// One record: the first one, with the others merged in by Merge(T& kept, const T& next).
template <class T, class Merge>
struct reduced_contents {
  using stored = T;
  using result = T;
  static constexpr bool is_list = false;
  static constexpr bool mergeable = true, sliceable = is_order_free<Merge>;
  Merge merge_one;
  void open(runtime_context& context) { open_function(merge_one, context); }
  void close() noexcept { close_function(merge_one); }
  stored first(const T& record, std::uint64_t) { return record; }
  void add(stored& into, const T& record, std::uint64_t) { merge_one(into, record); }
  void merge(stored& into, stored&& from) { merge_one(into, std::as_const(from)); }
  std::span<const T> results(const stored& s, std::optional<T>&) { return {&s, 1}; }
};

/// sum, min and max: one field changes, the others stay those of the record that came first. Which one that was is
/// kept, so that partial results can be put together in any order.
template <class T>
struct numbered_record {
  T value{};
  std::uint64_t number = 0;
};
template <class T, class Merge>
struct numbered_contents {
  using stored = numbered_record<T>;
  using result = T;
  static constexpr bool is_list = false;
  static constexpr bool mergeable = true, sliceable = true;
  Merge merge_one;
  stored first(const T& record, std::uint64_t number) { return {record, number}; }
  void add(stored& into, const T& record, std::uint64_t) { merge_one(into.value, record); }
  void merge(stored& into, stored&& from) {
    if (from.number < into.number) std::swap(into, from);
    merge_one(into.value, std::as_const(from.value));
  }
  std::span<const T> results(const stored& s, std::optional<T>&) { return {&s.value, 1}; }
};

/// The members of an aggregate function in one shape, whether they change accumulators in place or return new ones.
template <class A, class T>
struct aggregate_traits {
  using accumulator = std::remove_cvref_t<decltype(std::declval<A&>().create_accumulator())>;
  using result = std::remove_cvref_t<decltype(std::declval<A&>().get_result(std::declval<const accumulator&>()))>;
  static constexpr bool adds = requires(A & a, const T& record, accumulator& acc) { a.add(record, acc); };
  static constexpr bool merges = requires(A & a, accumulator& into, accumulator from) { a.merge(into, from); };
  static void add(A& a, const T& record, accumulator& acc) {
    if constexpr (std::is_void_v<decltype(a.add(record, acc))>)
      a.add(record, acc);
    else
      acc = a.add(record, std::move(acc));
  }
  static void merge(A& a, accumulator& into, accumulator&& from) {
    if constexpr (std::is_void_v<decltype(a.merge(into, from))>)
      a.merge(into, from);
    else
      into = a.merge(std::move(into), std::move(from));
  }
};
template <class A>
constexpr bool order_matters = requires {
  requires A::order_matters;
};
template <class A, class T>
concept aggregate_for = requires(A& a, const T& record) {
  a.create_accumulator();
  requires aggregate_traits<A, T>::adds;
  a.get_result(a.create_accumulator());
};

/// An accumulator.
template <class A, class T>
struct aggregated_contents {
  using traits = aggregate_traits<A, T>;
  using stored = typename traits::accumulator;
  using result = typename traits::result;
  static constexpr bool is_list = false;
  static constexpr bool mergeable = traits::merges, sliceable = traits::merges && !order_matters<A>;
  A function;
  void open(runtime_context& context) { open_function(function, context); }
  void close() noexcept { close_function(function); }
  stored first(const T& record, std::uint64_t) {
    stored s = function.create_accumulator();
    traits::add(function, record, s);
    return s;
  }
  void add(stored& into, const T& record, std::uint64_t) { traits::add(function, record, into); }
  void merge(stored& into, stored&& from) {
    if constexpr (mergeable) traits::merge(function, into, std::move(from));
  }
  std::span<const result> results(const stored& s, std::optional<result>& room) {
    return {&room.emplace(function.get_result(std::as_const(s))), 1};
  }
};

/// Functions that may declare state.
template <class F>
concept binds_states = requires(F& f, state_registry& states) {
  f.bind_states(states);
};
[[noreturn]] void fail_state_of_merging_windows();

/// The key group of a key and window is the key's.
struct hash_of_key {
  template <class K, class W>
  std::uint64_t operator()(const std::pair<K, W>& key, std::uint64_t) const {
    return key_hash(key.first);
  }
};

/// What a function keeps: per key, and per key and window.
template <class K, class W>
class window_function_states {
public:
  template <class F>
  void open(operator_context& context, F& function, bool merging) {
    of_key_.open(context.states(), context.clock());
    of_window_.open(context.states(), context.clock());
    of_key_.set_wake_up(context.wake_up());
    of_window_.set_wake_up(context.wake_up());
    context.states().set_keyed(of_key_);
    context.states().set_keyed(of_window_, state_scope::window);
    function.bind_states(context.states());
    if (merging && of_window_.has_columns()) fail_state_of_merging_windows();
  }
  /// For a call of the function. `key` lives until leave().
  void enter(const K& key, std::uint64_t hash, const W& window) {
    if (of_key_.has_columns()) of_key_.set_key(key, hash);
    if (!of_window_.has_columns()) return;
    std::pair<K, W> both{key, window};
    const auto hash_of_both = key_hash(both);
    of_window_.set_key(std::move(both), hash_of_both);
  }
  void leave() {
    of_key_.clear_key();
    of_window_.clear_key();
  }
  /// The window goes.
  void clear_window() { of_window_.clear_values(); }
  /// Some of what has expired goes.
  void clean_up(std::size_t records) {
    if (of_key_.has_expiring_columns()) of_key_.clean_up(records * 2 + 2);
    if (of_window_.has_expiring_columns()) of_window_.clean_up(records * 2 + 2);
  }

  /// Snapshots in progress hold too much of it.
  bool must_wait() { return of_key_.must_wait() || of_window_.must_wait(); }

private:
  keyed_context<K> of_key_;
  keyed_context<std::pair<K, W>, hash_of_key> of_window_;
};
/// Of functions that keep nothing.
struct no_function_states {
  void enter(const auto&, std::uint64_t, const auto&) noexcept {}
  void leave() noexcept {}
  void clear_window() noexcept {}
  void clean_up(std::size_t) noexcept {}
  bool must_wait() const noexcept { return false; }
};

/// No function on top: the result itself goes out.
struct pass_through_function {};

/// Calls the function on top. `key` lives as long as the call. Single: there is one element, the result of an
/// aggregation; functions may take it instead of the span.
template <bool Single, class F, class K, class Context, class R, class O>
void call_window_function(F& f, const K& key, Context& context, std::span<const R> elements, collector<O>& out) {
  if constexpr (std::is_same_v<F, pass_through_function>) {
    for (auto& e : elements)
      out.collect(e);
  } else if constexpr (requires { f.process(key, context, elements, out); }) {
    f.process(key, context, elements, out);
  } else if constexpr (Single && std::is_invocable_v<F&, const K&, Context&, const R&, collector<O>&>) {
    for (auto& e : elements)
      f(key, context, e, out);
  } else {
    f(key, context, elements, out);
  }
}

/// The key of windows over everything.
struct no_window_key {
  template <class T>
  std::uint8_t operator()(const T&) const noexcept {
    return 0;
  }
};

/// What both window operators must know beside their types.
struct window_settings {
  std::int64_t lateness = 0;
  std::uint64_t late_tag = 0; ///< 0: late records are counted and dropped
};

} // namespace detail
} // namespace dataflow

template <class T>
struct dataflow::codec<dataflow::detail::numbered_record<T>> {
  using record = dataflow::detail::numbered_record<T>;
  static constexpr std::uint16_t version = 1;
  static void encode(const record& r, byte_writer& out) {
    codec<T>::encode(r.value, out);
    out.fixed(r.number);
  }
  static void decode(record& r, byte_reader& in) {
    codec<T>::decode(r.value, in);
    r.number = in.fixed<std::uint64_t>();
  }
  static schema describe() { return {"numbered", {{"value", codec<T>::describe()}}}; }
  static std::size_t size_of(const record& r) noexcept { return codec<T>::size_of(r.value) + sizeof r.number; }
};
