/// connected_streams: two streams of different types into one operator, in no order between them.
///
/// Source: Flink's ConnectedStreams.
#pragma once

#include <dataflow/api/data_stream.hpp>

namespace dataflow {

namespace detail {
/// F's process functions want a key.
template <class F>
constexpr bool wants_key = requires {
  typename F::key_type;
};
} // namespace detail

template <class A, class B, class KeyA, class KeyB>
class keyed_connected_streams;

template <class A, class B>
class connected_streams {
public:
  connected_streams(data_stream<A> first, data_stream<B> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  /// One function per input, both with the same result type.
  template <class F1, class F2>
  auto map(F1 f1, F2 f2) const {
    static_assert(std::is_invocable_v<F1&, const A&> && std::is_invocable_v<F2&, const B&>,
                  "map: the functions must be callable with the records of the first and of the second stream");
    using O = std::decay_t<std::invoke_result_t<F1&, const A&>>;
    static_assert(std::is_same_v<O, std::decay_t<std::invoke_result_t<F2&, const B&>>>,
                  "map: both functions must return the same type");
    return with<O, co_map_functions<F1, F2>>("Co-Map", std::tuple{std::move(f1), std::move(f2)});
  }
  /// One object with map1(const A&) and map2(const B&), which share its members.
  template <class F>
  auto map(F f) const {
    static_assert(
        requires(F & g, const A& a, const B& b) { g.map1(a), g.map2(b); },
        "map: needs two functions, or one object with map1 and map2 for the two record types");
    using O = std::decay_t<decltype(f.map1(std::declval<const A&>()))>;
    return with<O, co_map_object<F>>("Co-Map", std::tuple{std::move(f)});
  }
  /// f1(const A&, collector<O>&), f2(const B&, collector<O>&).
  template <class Given = void, class F1, class F2>
  auto flat_map(F1 f1, F2 f2) const {
    using O = detail::output_of<Given, F1, 1>;
    static_assert(!std::is_void_v<O>, "flat_map: the functions must take (const record&, collector<O>&); for generic "
                                      "ones name the output type: flat_map<O>(f1, f2)");
    static_assert(std::is_invocable_v<F1&, const A&, collector<O>&> &&
                      std::is_invocable_v<F2&, const B&, collector<O>&>,
                  "flat_map: the functions must take the records of the first and of the second stream, and the same "
                  "collector<O>&");
    return with<O, co_flat_map_functions<F1, F2>>("Co-Flat Map", std::tuple{std::move(f1), std::move(f2)});
  }
  /// One object with flat_map1(const A&, collector<O>&) and flat_map2(const B&, collector<O>&).
  template <class O, class F>
  auto flat_map(F f) const {
    static_assert(
        requires(F & g, const A& a, const B& b, collector<O>& out) { g.flat_map1(a, out), g.flat_map2(b, out); },
        "flat_map: needs an object with flat_map1 and flat_map2 for the two record types");
    return with<O, co_flat_map_object<F>>("Co-Flat Map", std::tuple{std::move(f)});
  }
  /// A co_process_function<A, B, O>, built from the arguments once per subtask.
  template <class F, class... Arguments>
  auto process(Arguments... arguments) const {
    static_assert(std::is_same_v<typename F::input_type1, A> && std::is_same_v<typename F::input_type2, B>,
                  "process: the function's input types are not the record types of the two streams");
    static_assert(!detail::wants_key<F>, "process: a keyed function needs key_by first");
    return with<typename F::output_type, F>("Co-Process", std::tuple<Arguments...>(std::move(arguments)...));
  }
  /// Records of both streams with the same key go to the same subtask. The keys have one type.
  template <class KeyA, class KeyB>
  auto key_by(KeyA a, KeyB b) const {
    return keyed_connected_streams<A, B, KeyA, KeyB>{first_.key_by(a), second_.key_by(b), a, b};
  }

protected:
  template <class O, class F, class Tuple>
  data_stream<O> with(const char* name, Tuple arguments) const {
    return add<O>(name, [arguments = std::move(arguments)] {
      return std::make_unique<co_process_operator<A, B, O, F>>(no_key{}, no_key{}, arguments);
    });
  }
  template <class O>
  data_stream<O> add(const char* name, operator_factory make) const {
    return {first_.state(), {{first_.add_two_input(name, &record_type_of<O>(), std::move(make), second_), {}, {}}}};
  }
  data_stream<A> first_;
  data_stream<B> second_;
};

template <class A, class B, class KeyA, class KeyB>
class keyed_connected_streams : public connected_streams<A, B> {
public:
  using key_type = selected_key<KeyA, A>;
  static_assert(std::is_same_v<key_type, selected_key<KeyB, B>>, "key_by: both keys must be of the same type");

  keyed_connected_streams(data_stream<A> first, data_stream<B> second, KeyA a, KeyB b)
      : connected_streams<A, B>(std::move(first), std::move(second)), key1_(std::move(a)), key2_(std::move(b)) {}

  /// A keyed_co_process_function<K, A, B, O>, or a co_process_function.
  template <class F, class... Arguments>
  auto process(Arguments... arguments) const {
    static_assert(std::is_same_v<typename F::input_type1, A> && std::is_same_v<typename F::input_type2, B>,
                  "process: the function's input types are not the record types of the two streams");
    using O = typename F::output_type;
    if constexpr (detail::wants_key<F>)
      static_assert(std::is_same_v<typename F::key_type, key_type>,
                    "process: the function's key type is not the streams' key type");
    return this->template add<O>(
        "Co-Process", [a = key1_, b = key2_, arguments = std::tuple<Arguments...>(std::move(arguments)...)] {
          return std::make_unique<co_process_operator<A, B, O, F, KeyA, KeyB>>(a, b, arguments);
        });
  }

private:
  KeyA key1_;
  KeyB key2_;
};

} // namespace dataflow
