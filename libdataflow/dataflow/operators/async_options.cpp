#include <dataflow/operators/async_options.hpp>

#include <algorithm>

namespace dataflow {

std::chrono::milliseconds async_retry::delay(std::uint32_t n) const noexcept {
  auto delay = static_cast<double>(first_.count());
  const auto most = static_cast<double>(most_.count());
  for (std::uint32_t i = 1; i < n && delay < most && multiplier_ > 1; ++i)
    delay *= multiplier_;
  return std::chrono::milliseconds{static_cast<std::int64_t>(std::min(delay, most))};
}

namespace detail {

void check_async_settings(const async_settings& s) {
  if (s.timeout.count() <= 0)
    throw error{errc::invalid_argument, "asynchronous I/O: a timeout of " + std::to_string(s.timeout.count()) + " ms",
                "choose a positive one: a request that is never answered would stop the job for ever"};
  if (s.capacity == 0)
    throw error{errc::invalid_argument, "asynchronous I/O: a capacity of 0", "allow at least one request at a time"};
  if (!s.retry.possible())
    throw error{errc::invalid_argument, "asynchronous I/O: a retry delay that is negative or shrinks",
                "give a first delay of at least 0, at most the largest, and a multiplier of at least 1"};
}

error async_timeout(std::chrono::milliseconds after, std::uint32_t requests) {
  return error{errc::timed_out,
               "an asynchronous request was not answered within " + std::to_string(after.count()) + " ms" +
                   (requests > 1 ? " and " + std::to_string(requests) + " attempts" : ""),
               "raise the timeout, give the function a timeout(record, result), or send failures to a side output"};
}

} // namespace detail
} // namespace dataflow
