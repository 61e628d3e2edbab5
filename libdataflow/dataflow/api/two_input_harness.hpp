/// two_input_harness: a function of two connected streams under test, without a cluster.
///
///   two_input_harness h{[](const std::int64_t& n) { return std::to_string(n); },      // co_map: one function per
///   input
///                       [](const std::string& s) { return s; }};
///   h.push1(4);
///   h.push2("four");
///   CHECK(h.output() == std::vector<std::string>{"4", "four"});
///
///   two_input_harness joined{function_of<order_with_payment>(), &order::id, &payment::order};   // keyed: with its
///   keys
///
///   two_input_harness ruled{function_of<apply_rules>(), &order::user, std::tuple{rules}};   // a broadcast function:
///   its key, or no_key{}, and its descriptors
///
/// Takes two functions, of map (f(const A&) -> O) or of flat_map (f(const A&, collector<O>&)); or function_of<F>(...)
/// for a class derived from co_process_function or keyed_co_process_function. Everything else as test_harness.
/// watermark(t): of both inputs together, as operators see it.
/// Threading, errors: as test_harness.
#pragma once

#include <dataflow/api/test_harness.hpp>
#include <dataflow/operators/broadcast_process.hpp>

namespace dataflow {

namespace detail {

/// What two functions, or one class, take and give, and the operator around them.
template <class F, class G, class H>
struct two_input_function {
  template <class X>
  using arguments = typename signature<X>::arguments;
  static constexpr std::size_t count = std::tuple_size_v<arguments<F>>;
  static_assert(count == std::tuple_size_v<arguments<G>> && (count == 1 || count == 2),
                "two_input_harness: both functions take (const T&), or both take (const T&, collector<O>&)");
  using first = std::remove_cvref_t<std::tuple_element_t<0, arguments<F>>>;
  using second = std::remove_cvref_t<std::tuple_element_t<0, arguments<G>>>;
  static auto result() {
    if constexpr (count == 1)
      return std::type_identity<std::decay_t<std::invoke_result_t<F&, const first&>>>{};
    else
      return std::type_identity<output_of<void, F, 1>>{};
  }
  using output = typename decltype(result())::type;
  using functions = std::conditional_t<count == 1, co_map_functions<F, G>, co_flat_map_functions<F, G>>;
  static operator_factory factory(F f, G g, H) {
    return [f, g] {
      return std::make_unique<co_process_operator<first, second, output, functions>>(no_key{}, no_key{},
                                                                                     std::tuple{f, g});
    };
  }
};
template <class F, class... Arguments, class Key1, class Key2>
struct two_input_function<function_recipe<F, Arguments...>, Key1, Key2> {
  using first = typename F::input_type1;
  using second = typename F::input_type2;
  using output = typename F::output_type;
  static operator_factory factory(function_recipe<F, Arguments...> f, Key1 key1, Key2 key2) {
    return [f, key1, key2] {
      return std::make_unique<co_process_operator<first, second, output, F, Key1, Key2>>(key1, key2, f.arguments);
    };
  }
};

/// A broadcast function, the key of its first input or no_key, and the descriptors.
template <class F, class... Arguments, class Key, class... Descriptors>
struct two_input_function<function_recipe<F, Arguments...>, Key, std::tuple<Descriptors...>> {
  using first = typename F::input_type1;
  using second = typename F::input_type2;
  using output = typename F::output_type;
  static operator_factory factory(function_recipe<F, Arguments...> f, Key key, std::tuple<Descriptors...> descriptors) {
    auto declared = std::apply([](const auto&... d) { return std::vector<broadcast_declaration>{d.declaration()...}; },
                               descriptors);
    return [f, key, declared] {
      return std::make_unique<broadcast_process_operator<first, second, output, F, Key>>(key, declared, f.arguments);
    };
  }
};

} // namespace detail

template <class F, class G = no_key, class H = no_key>
class two_input_harness : public detail::harness_of<typename detail::two_input_function<F, G, H>::output> {
  using function = detail::two_input_function<F, G, H>;
  using base = detail::harness_of<typename function::output>;

public:
  using input_type1 = typename function::first;
  using input_type2 = typename function::second;
  using output_type = typename function::output;

  /// Two functions; or a class and, when it is keyed, the keys of both inputs.
  explicit two_input_harness(F f, G g = {}, H h = {}, const test_harness_options& options = {})
      : base(function::factory(std::move(f), std::move(g), std::move(h)), options) {}

  void push1(input_type1 record) { this->push_record(std::move(record), nullptr, 0); }
  void push1(input_type1 record, timestamp time) { this->push_record(std::move(record), &time, 0); }
  void push2(input_type2 record) { this->push_record(std::move(record), nullptr, 1); }
  void push2(input_type2 record, timestamp time) { this->push_record(std::move(record), &time, 1); }
};

template <class F>
two_input_harness(F) -> two_input_harness<F>;
template <class F, class G>
two_input_harness(F, G) -> two_input_harness<F, G>;
template <class F, class G, class H>
two_input_harness(F, G, H) -> two_input_harness<F, G, H>;
template <class F, class G, class H>
two_input_harness(F, G, H, test_harness_options) -> two_input_harness<F, G, H>;

} // namespace dataflow
