/// interval_join: what orders.key_by(...).interval_join(payments.key_by(...)) gives.
///
///   orders.key_by(&order::id).interval_join(payments.key_by(&payment::order))
///       .between(-60s, 60s)
///       .process([](const order& o, const payment& p, collector<paid>& out) { out.collect({o.id, p.at}); });
///
/// Bounds are inclusive unless lower_bound_exclusive() or upper_bound_exclusive() says otherwise. Late records are
/// counted and dropped, or go to the side outputs of the result: side_output_left_late(tag),
/// side_output_right_late(tag). Errors: error{errc::invalid_argument} from process() when no timestamp lies between the
/// bounds. Source: Flink's KeyedStream.intervalJoin.
#pragma once

#include <dataflow/api/keyed_stream.hpp>
#include <dataflow/operators/interval_join.hpp>

namespace dataflow {

namespace detail {
/// What a join function puts out: from its collector, the third or fourth parameter.
template <class F>
constexpr std::size_t join_collector_position = [] {
  if constexpr (requires { typename signature<F>::arguments; })
    return std::tuple_size_v<typename signature<F>::arguments> == 4 ? std::size_t{3} : std::size_t{2};
  else
    return std::size_t{2};
}();
} // namespace detail

template <class L, class R, class KeyL, class KeyR>
class interval_join_stream {
public:
  using key_type = selected_key<KeyL, L>;
  interval_join_stream(keyed_stream<key_type, L, KeyL> left, keyed_stream<key_type, R, KeyR> right,
                       std::chrono::milliseconds lower, std::chrono::milliseconds upper)
      : left_(std::move(left)), right_(std::move(right)), lower_(lower), upper_(upper) {}

  interval_join_stream lower_bound_exclusive() const {
    auto copy = *this;
    copy.lower_inclusive_ = false;
    return copy;
  }
  interval_join_stream upper_bound_exclusive() const {
    auto copy = *this;
    copy.upper_inclusive_ = false;
    return copy;
  }
  interval_join_stream side_output_left_late(output_tag<L> tag) const {
    auto copy = *this;
    copy.late_left_ = std::move(tag);
    return copy;
  }
  interval_join_stream side_output_right_late(output_tag<R> tag) const {
    auto copy = *this;
    copy.late_right_ = std::move(tag);
    return copy;
  }
  /// f(const L&, const R&, collector<O>&) or f(const L&, const R&, join_context&, collector<O>&) for every pair.
  template <class Given = void, class F>
  requires(!requires { typename Given::input_type1; }) auto process(F f) const {
    using O = detail::output_of<Given, F, detail::join_collector_position<F>>;
    static_assert(!std::is_void_v<O>, "process: the function must take (const L&, const R&, collector<O>&); for a "
                                      "generic function name the output type: process<O>(f)");
    if constexpr (!std::is_void_v<O>) {
      constexpr bool fits = std::is_invocable_v<F&, const L&, const R&, collector<O>&> ||
                            std::is_invocable_v<F&, const L&, const R&, join_context&, collector<O>&>;
      static_assert(fits, "process: the function must take a record of the left stream, one of the right stream, and a "
                          "collector<O>&");
      detail::check_copyable_function<F, L>();
      if constexpr (fits && detail::require_record<O>()) return add<O, F>(std::tuple<F>(std::move(f)));
    }
  }
  /// A process_join_function<L, R, O>, built from the arguments once per subtask.
  template <class F, class... Arguments>
  requires requires { typename F::input_type1; }
  auto process(Arguments... arguments) const {
    using O = typename F::output_type;
    static_assert(std::is_base_of_v<process_join_function<L, R, O>, F>,
                  "process: the function must derive from process_join_function<L, R, O> with the record types of the "
                  "two streams");
    return add<O, F>(std::tuple<Arguments...>(std::move(arguments)...));
  }

private:
  template <class O, class F, class Tuple>
  data_stream<O> add(Tuple arguments) const {
    interval_join_config<L, R> config{interval_bounds{lower_, upper_, lower_inclusive_, upper_inclusive_}, late_left_,
                                      late_right_};
    auto make = [left = left_.key_selector(), right = right_.key_selector(), config,
                 arguments = std::move(arguments)]() -> std::unique_ptr<stream_operator> {
      return std::make_unique<interval_join_operator<L, R, O, F, KeyL, KeyR>>(left, right, config, arguments);
    };
    return {left_.state(),
            {{left_.add_two_input("Interval Join", &record_type_of<O>(), std::move(make), right_), {}, {}}}};
  }

  keyed_stream<key_type, L, KeyL> left_;
  keyed_stream<key_type, R, KeyR> right_;
  std::chrono::milliseconds lower_, upper_;
  bool lower_inclusive_ = true, upper_inclusive_ = true;
  std::optional<output_tag<L>> late_left_;
  std::optional<output_tag<R>> late_right_;
};

/// Before between().
template <class L, class R, class KeyL, class KeyR>
class interval_join_pair {
public:
  using key_type = selected_key<KeyL, L>;
  interval_join_pair(keyed_stream<key_type, L, KeyL> left, keyed_stream<key_type, R, KeyR> right)
      : left_(std::move(left)), right_(std::move(right)) {}
  /// Joins where right's timestamp lies in [left's + lower, left's + upper].
  interval_join_stream<L, R, KeyL, KeyR> between(std::chrono::milliseconds lower,
                                                 std::chrono::milliseconds upper) const {
    return {left_, right_, lower, upper};
  }

private:
  keyed_stream<key_type, L, KeyL> left_;
  keyed_stream<key_type, R, KeyR> right_;
};

template <class K, class T, class Selector>
template <class K2, class U, class Selector2>
auto keyed_stream<K, T, Selector>::interval_join(const keyed_stream<K2, U, Selector2>& right) const {
  static_assert(std::is_same_v<K, K2>, "interval_join: both streams must be keyed by the same type");
  if constexpr (std::is_same_v<K, K2>) return interval_join_pair<T, U, Selector, Selector2>{*this, right};
}

} // namespace dataflow
