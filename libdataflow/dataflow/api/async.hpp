/// async: questions to services, databases and files, without a thread that waits for the answers.
///
///   struct lookup_user {
///     client_pool* pool;
///     void operator()(const click& c, async_result<view> result) {        // on the task's thread: returns at once
///       pool->get(c.user, [c, result](std::string name) { result.complete_with({c.page, name}); }); // on any thread
///     }
///   };
///   auto views = async::unordered(clicks, lookup_user{&pool}, {.timeout = 10s, .capacity = 100,
///                                                              .retry = fixed_delay{3, 100ms}});
///
/// The function may be any callable and may have open(runtime_context&), close() and
/// timeout(const record&, async_result<O>), which answers in the place of a request that took too long. What it is
/// given of the record is valid during the call. See <dataflow/operators/async_wait.hpp> for order, state and failures.
/// Errors: error{errc::invalid_argument} for options that cannot be. Source: Flink's AsyncDataStream.
#pragma once

#include <dataflow/api/data_stream.hpp>
#include <dataflow/operators/async_wait.hpp>

namespace dataflow {

namespace detail {
template <class A>
struct async_value {
  using type = void;
};
template <class O>
struct async_value<async_result<O>> {
  using type = O;
};
template <class F, class = void>
struct async_output {
  using type = void;
};
template <class F>
struct async_output<F, std::enable_if_t<std::tuple_size_v<typename signature<F>::arguments> == 2>> {
  using type =
      typename async_value<std::remove_cvref_t<std::tuple_element_t<1, typename signature<F>::arguments>>>::type;
};
/// What a function of asynchronous I/O answers with: from its second parameter.
template <class F>
using async_output_of = typename async_output<F>::type;

template <class I, class O, class F>
auto add_async(const data_stream<I>& in, F f, async_options<I, O> options, bool ordered) {
  static_assert(!std::is_void_v<O>, "async: the function must take (const record&, async_result<O>)");
  if constexpr (!std::is_void_v<O>) {
    constexpr bool fits = std::is_invocable_v<F&, const I&, async_result<O>>;
    static_assert(fits, "async: the function's first parameter is not the stream's record type");
    check_copyable_function<F, I>();
    const async_settings settings{options.timeout, options.capacity, options.retry, ordered};
    check_async_settings(settings);
    if constexpr (fits && require_record<O>())
      return in.template transform<O>("async wait operator",
                                      [f = std::move(f), settings, options = std::move(options)] {
                                        return std::make_unique<async_wait_operator<I, O, F>>(f, settings, options);
                                      });
  }
}
} // namespace detail

namespace async {

/// Results leave as they come, but never overtake a watermark.
template <class I, class F>
auto unordered(const data_stream<I>& in, F f, async_options<I, detail::async_output_of<F>> options = {}) {
  return detail::add_async<I, detail::async_output_of<F>>(in, std::move(f), std::move(options), false);
}
/// Results leave in the order of their records.
template <class I, class F>
auto ordered(const data_stream<I>& in, F f, async_options<I, detail::async_output_of<F>> options = {}) {
  return detail::add_async<I, detail::async_output_of<F>>(in, std::move(f), std::move(options), true);
}

} // namespace async
} // namespace dataflow
