/// How user functions give their types away: argument and result types of lambdas, functions and function objects.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>

namespace dataflow {

template <class T>
class collector;

namespace detail {

template <class F>
struct signature {};
template <class F>
requires requires { &F::operator(); }
struct signature<F> : signature<decltype(&F::operator())> {};
template <class R, class... A>
struct signature<R (*)(A...)> {
  using arguments = std::tuple<A...>;
};
template <class R, class... A>
struct signature<R (*)(A...) noexcept> : signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct signature<R (C::*)(A...)> : signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct signature<R (C::*)(A...) const> : signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct signature<R (C::*)(A...) noexcept> : signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct signature<R (C::*)(A...) const noexcept> : signature<R (*)(A...)> {};

/// The T of argument I when that is a collector<T>&; void when it is not, or when the function is generic.
template <class F, std::size_t I, class = void>
struct collected {
  using type = void;
};
template <class Argument>
struct collector_value {
  using type = void;
};
template <class T>
struct collector_value<collector<T>> {
  using type = T;
};
template <class F, std::size_t I>
struct collected<F, I, std::enable_if_t<(std::tuple_size_v<typename signature<F>::arguments> > I)>> {
  using type =
      typename collector_value<std::remove_cvref_t<std::tuple_element_t<I, typename signature<F>::arguments>>>::type;
};
/// What a flat_map or process function puts out: Given, when the user said it, else from the collector parameter.
template <class Given, class F, std::size_t I>
using output_of = std::conditional_t<std::is_void_v<Given>, typename collected<F, I>::type, Given>;

/// process_function and its relatives.
template <class F>
concept function_class = requires {
  typename F::input_type;
};

template <class T>
constexpr bool is_value = !std::is_reference_v<T> && !std::is_const_v<T> && !std::is_void_v<T>;

} // namespace detail
} // namespace dataflow
