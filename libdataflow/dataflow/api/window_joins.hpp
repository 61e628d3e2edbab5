/// Window joins: a.join(b).where(k1).equal_to(k2).window(w).apply(f) and a.co_group(b)...apply(f).
///
/// join calls f(const A&, const B&) -> O, or f(const A&, const B&, collector<O>&), for every pair of records with the
/// same key in the same window; co_group calls f(std::span<const A>, std::span<const B>, collector<O>&) for each key
/// and window, one of the two possibly empty. Records are in the order of arrival; pairs come with the first stream in
/// the outer loop. Results carry the window's max_timestamp(). Records that are too late vanish; they are counted under
/// numLateRecordsDropped.
/// Both streams become one of tagged records (a Map on each side), then a window of both.
/// Threading: one thread builds. Ownership: small values. Source: Flink's JoinedStreams, CoGroupedStreams.
#pragma once

#include <dataflow/api/windowed_stream.hpp>

#include <variant>

namespace dataflow {

namespace detail {

/// Index 0: of the first stream.
template <class A, class B>
using either = std::variant<A, B>;

template <class A, class B, class KeyA, class KeyB>
struct either_key {
  KeyA first;
  KeyB second;
  auto operator()(const either<A, B>& record) const -> selected_key<KeyA, A> {
    if (record.index() == 0) return selected_key<KeyA, A>(std::invoke(first, std::get<0>(record)));
    return selected_key<KeyA, A>(std::invoke(second, std::get<1>(record)));
  }
};

/// The two sides of a window's contents, given to call(first, second, collector).
template <class A, class B, class F>
struct grouped_function {
  F f;
  std::vector<A> first{};
  std::vector<B> second{};
  void open(runtime_context& context) { open_function(f, context); }
  void close() noexcept { close_function(f); }
  void split(std::span<const either<A, B>> elements) {
    first.clear();
    second.clear();
    for (auto& e : elements)
      if (e.index() == 0)
        first.push_back(std::get<0>(e));
      else
        second.push_back(std::get<1>(e));
  }
};
template <class A, class B, class F>
struct co_group_function : grouped_function<A, B, F> {
  template <class K, class W, class O>
  void process(const K&, window_context<W>&, std::span<const either<A, B>> elements, collector<O>& out) {
    this->split(elements);
    this->f(std::span<const A>{this->first}, std::span<const B>{this->second}, out);
  }
};
template <class A, class B, class F>
struct join_function : grouped_function<A, B, F> {
  template <class K, class W, class O>
  void process(const K&, window_context<W>&, std::span<const either<A, B>> elements, collector<O>& out) {
    this->split(elements);
    for (auto& a : this->first)
      for (auto& b : this->second)
        if constexpr (std::is_invocable_v<F&, const A&, const B&, collector<O>&>)
          this->f(a, b, out);
        else
          out.collect(this->f(a, b));
  }
};

} // namespace detail

enum class pairing : std::uint8_t { join, co_group };

/// With window, trigger, evictor and lateness: what is left is apply().
template <pairing What, class A, class B, class Windowed>
class windowed_pair {
public:
  explicit windowed_pair(Windowed windowed) : windowed_(std::move(windowed)) {}
  template <class Trigger>
  auto trigger(Trigger t) const {
    return with(windowed_.trigger(std::move(t)));
  }
  template <class Evictor>
  auto evictor(Evictor e) const {
    return with(windowed_.evictor(std::move(e)));
  }
  auto allowed_lateness(std::chrono::milliseconds lateness) const { return with(windowed_.allowed_lateness(lateness)); }

  /// See the top of this file. O is deduced, or given: apply<O>(f).
  template <class Given = void, class F>
  auto apply(F f) const {
    detail::check_copyable_function<F, A>();
    if constexpr (What == pairing::co_group) {
      using O = detail::output_of<Given, F, 2>;
      static_assert(!std::is_void_v<O>, "co_group: the function must take (std::span<const A>, std::span<const B>, "
                                        "collector<O>&); for a generic one name the output type: apply<O>(f)");
      return windowed_.template process<O>(detail::co_group_function<A, B, F>{{std::move(f)}});
    } else if constexpr (std::is_invocable_v<F&, const A&, const B&>) {
      using O = std::decay_t<std::invoke_result_t<F&, const A&, const B&>>;
      return windowed_.template process<O>(detail::join_function<A, B, F>{{std::move(f)}});
    } else {
      using O = detail::output_of<Given, F, 2>;
      static_assert(!std::is_void_v<O>, "join: the function must take (const A&, const B&) and return the result, or "
                                        "(const A&, const B&, collector<O>&)");
      return windowed_.template process<O>(detail::join_function<A, B, F>{{std::move(f)}});
    }
  }

private:
  template <class Other>
  static windowed_pair<What, A, B, Other> with(Other other) {
    return windowed_pair<What, A, B, Other>{std::move(other)};
  }
  Windowed windowed_;
};

template <pairing What, class A, class B, class KeyA, class KeyB>
class keyed_pair {
public:
  keyed_pair(data_stream<A> a, data_stream<B> b, KeyA first, KeyB second)
      : a_(std::move(a)), b_(std::move(b)), key_{std::move(first), std::move(second)} {}
  template <class Assigner>
  auto window(Assigner assigner) const {
    using either = detail::either<A, B>;
    auto both = a_.map([](const A& r) {
                    return either{std::in_place_index<0>, r};
                  }).union_with(b_.map([](const B& r) {
      return either{std::in_place_index<1>, r};
    }));
    auto windowed = both.key_by(key_).window(std::move(assigner));
    return windowed_pair<What, A, B, decltype(windowed)>{std::move(windowed)};
  }

private:
  data_stream<A> a_;
  data_stream<B> b_;
  detail::either_key<A, B, KeyA, KeyB> key_;
};

template <pairing What, class A, class B, class KeyA>
class half_keyed_pair {
public:
  half_keyed_pair(data_stream<A> a, data_stream<B> b, KeyA key)
      : a_(std::move(a)), b_(std::move(b)), key_(std::move(key)) {}
  /// The key of the second stream; of the same type as that of the first.
  template <class KeyB>
  keyed_pair<What, A, B, KeyA, KeyB> equal_to(KeyB key) const {
    static_assert(std::is_invocable_v<KeyB&, const B&>,
                  "equal_to: the key must be a member pointer or a function of the second stream's record");
    static_assert(std::is_same_v<selected_key<KeyA, A>, selected_key<KeyB, B>>,
                  "equal_to: both keys must be of the same type");
    return {a_, b_, key_, std::move(key)};
  }

private:
  data_stream<A> a_;
  data_stream<B> b_;
  KeyA key_;
};

/// Two streams that are to be joined in windows.
template <pairing What, class A, class B>
class stream_pair {
public:
  stream_pair(data_stream<A> a, data_stream<B> b) : a_(std::move(a)), b_(std::move(b)) {}
  /// The key of the first stream.
  template <class KeyA>
  half_keyed_pair<What, A, B, KeyA> where(KeyA key) const {
    static_assert(std::is_invocable_v<KeyA&, const A&>,
                  "where: the key must be a member pointer or a function of the first stream's record");
    return {a_, b_, std::move(key)};
  }

private:
  data_stream<A> a_;
  data_stream<B> b_;
};

template <class T>
template <class U>
auto data_stream<T>::join(const data_stream<U>& other) const {
  this->check_same_environment(other);
  return stream_pair<pairing::join, T, U>{*this, other};
}
template <class T>
template <class U>
auto data_stream<T>::co_group(const data_stream<U>& other) const {
  this->check_same_environment(other);
  return stream_pair<pairing::co_group, T, U>{*this, other};
}

} // namespace dataflow
