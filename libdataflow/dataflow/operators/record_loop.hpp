/// How a typed operator walks a slice: fast inside, able to stop between records, and with the record-error policy.
///
/// Threading: the task's own thread of execution.
#pragma once

#include <dataflow/operators/operator.hpp>
#include <dataflow/record/record_type.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

/// What became of a record whose function threw.
enum class record_outcome : std::uint8_t {
  recovered, ///< a retry went through
  dropped,   ///< skipped, or sent to a side output: nothing of it goes on
};

namespace detail {
/// Counts the record under "numRecordsSkipped" and, the first time and then rarely, logs the error in flight.
void count_skipped_record(operator_context& context);
/// The error in flight with the record's place, to be thrown on. REQUIRES: inside a catch block.
[[noreturn]] void rethrow_record_error();
} // namespace detail

/// Deals with the exception in flight by the operator's policy. `retry` processes the record again; `divert` sends the
/// record to the side output of a tag's id. Throws when the task must fail. REQUIRES: inside a catch block.
template <class Retry, class Divert>
record_outcome handle_record_error(operator_context& context, Retry&& retry, Divert&& divert) {
  const auto& policy = context.on_record_error();
  switch (policy.action) {
  case record_error_policy::kind::fail:
    break;
  case record_error_policy::kind::skip:
    detail::count_skipped_record(context);
    return record_outcome::dropped;
  case record_error_policy::kind::side_output:
    detail::count_skipped_record(context);
    divert(policy.tag);
    return record_outcome::dropped;
  case record_error_policy::kind::retry:
    for (std::uint32_t left = policy.retries; left > 0; --left) {
      try {
        retry();
        return record_outcome::recovered;
      } catch (...) {
        if (left == 1) detail::rethrow_record_error();
      }
    }
    break;
  }
  detail::rethrow_record_error();
}

/// Calls body(i) for i in [begin, end), asking stop() behind every `strip` records and behind each that failed. When
/// body throws, failed(i) is called inside the catch block (it throws to fail the task). Returns where it stopped.
template <class Body, class Failed, class Stop>
std::size_t run_records_until(std::size_t strip, std::size_t begin, std::size_t end, Body&& body, Failed&& failed,
                              Stop&& stop) {
  auto i = begin;
  while (i < end) {
    try {
      do {
        const auto strip_end = std::min(end, i + strip);
        for (; i < strip_end; ++i)
          body(i);
        if (stop()) return i;
      } while (i < end);
    } catch (...) {
      failed(i);
      ++i;
      if (stop()) return i;
    }
  }
  return i;
}

/// The same for a slice that the chain has measured out to take a bounded time: stops where somebody wants the task to
/// stop. It looks 64 times per slice, at most behind every record and at least behind every MostStrip-th, so that the
/// slower the function, the more often.
template <unsigned MostStrip = 32, class Body, class Failed>
std::size_t run_records(operator_context& context, std::size_t begin, std::size_t end, Body&& body, Failed&& failed) {
  const auto strip = std::clamp<std::size_t>((end - begin) / 64, 1, MostStrip);
  return run_records_until(strip, begin, end, std::forward<Body>(body), std::forward<Failed>(failed),
                           [&] { return context.pause_requested(); });
}

/// Emits the records [begin, end) of a slice's batch: the batch itself when that is all of it and nobody else holds it
/// (slice.data is empty afterwards), else a part in a new batch. Key hashes do not go on.
void emit_records(operator_output& output, batch_pool& pool, batch_slice& slice, std::size_t begin, std::size_t end);

/// Sends one record to the side output of a tag's id.
template <class T>
void divert_record(operator_context& context, std::uint64_t tag, const T& record, timestamp at, bool has_timestamp) {
  batch_ptr b = context.pool(record_type_of<T>())->get();
  b.as<T>().records.push_back(record);
  if (has_timestamp) b->timestamps.push_back(at);
  context.side_output(tag).emit(std::move(b));
}

/// divert_record for record i of a batch.
template <class T>
void divert_record(operator_context& context, std::uint64_t tag, const batch<T>& b, std::size_t i) {
  divert_record(context, tag, b.records[i], b.has_timestamps() ? b.timestamps[i] : no_timestamp, b.has_timestamps());
}

/// Functions of the user may have open(runtime_context&) and close().
template <class F>
void open_function(F& f, runtime_context& context) {
  if constexpr (requires { f.open(context); }) f.open(context);
}
template <class F>
void close_function(F& f) noexcept {
  if constexpr (requires { f.close(); }) {
    try {
      f.close();
    } catch (...) { // a failing close cannot undo what the task has done
    }
  }
}

} // namespace dataflow
