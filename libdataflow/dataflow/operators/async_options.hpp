/// How requests of asynchronous I/O are made: how many at once, how long, how often.
///
/// Threading: values. Errors: error{errc::invalid_argument} when the operator is added with options that cannot be.
/// Source: Flink's AsyncDataStream and AsyncRetryStrategies.
#pragma once

#include <dataflow/operators/output_tag.hpp>
#include <dataflow/util/error.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dataflow {

/// So many more requests after the first, each `delay` after the failure.
struct fixed_delay {
  std::uint32_t retries = 3;
  std::chrono::milliseconds delay{100};
};
/// The delay grows by `multiplier` with every failure, from `first` up to `most`.
struct exponential_delay {
  std::uint32_t retries = 3;
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds most{10000};
  double multiplier = 2;
};

/// No retry, or one of the two.
class async_retry {
public:
  async_retry() = default;
  async_retry(const fixed_delay& d) noexcept : retries_(d.retries), first_(d.delay), most_(d.delay), multiplier_(1) {}
  async_retry(const exponential_delay& d) noexcept
      : retries_(d.retries), first_(d.first), most_(d.most), multiplier_(d.multiplier) {}
  std::uint32_t retries() const noexcept { return retries_; }
  /// Between the failure of the n-th request, from 1, and the next one.
  std::chrono::milliseconds delay(std::uint32_t n) const noexcept;
  bool possible() const noexcept { return first_.count() >= 0 && most_ >= first_ && multiplier_ >= 1; }

private:
  std::uint32_t retries_ = 0;
  std::chrono::milliseconds first_{0}, most_{0};
  double multiplier_ = 1;
};

/// A record whose request failed in the end, and why.
template <class I>
using async_failure = std::pair<I, std::string>;

template <class I, class O>
struct async_options {
  /// From the first request for a record to its answer, retries included. What happens then is the function's
  /// timeout(record, result), if it has one, else a failure.
  std::chrono::milliseconds timeout{60'000};
  /// Records that are asked for and whose results have not gone on yet. No more are taken while there are so many.
  std::uint32_t capacity = 100;
  async_retry retry = {};
  /// Whether an answer without failure is to be asked for again; when no retry is left it is taken as it is.
  std::function<bool(const std::vector<O>&)> retry_on_result = {};
  /// Which failures are asked for again; unset: all.
  std::function<bool(const error&)> retry_on_error = {};
  /// Where records go that failed in the end; unset: the operator's record-error policy counts (by default the task
  /// fails).
  std::optional<output_tag<async_failure<I>>> failures = {};
};

/// For functions that name no result type: they are refused with one error, elsewhere.
template <class I>
struct async_options<I, void> {
  std::chrono::milliseconds timeout{60'000};
  std::uint32_t capacity = 100;
  async_retry retry = {};
};

/// The part of the options that does not depend on types.
struct async_settings {
  std::chrono::milliseconds timeout{60'000};
  std::uint32_t capacity = 100;
  async_retry retry = {};
  bool ordered = false;
};

namespace detail {
/// Throws error{errc::invalid_argument}.
void check_async_settings(const async_settings& s);
error async_timeout(std::chrono::milliseconds after, std::uint32_t requests);
} // namespace detail

} // namespace dataflow
