/// The loop of operators that put any number of results per record into a collector.
///
/// Threading: the task's own thread of execution.
#pragma once

#include <dataflow/operators/collector.hpp>
#include <dataflow/operators/record_loop.hpp>

namespace dataflow {

/// Calls body(i) for the records of a slice; stops when a batch of results is full or a pause is asked for. Results
/// carry their record's timestamp. What a failing record has collected is taken back before its policy is applied:
/// mark() gives the position of all outputs, rollback(m) goes back to it.
template <class I, class O, class Body, class Mark, class Rollback>
void collect_records(operator_context& context, batch_slice& slice, collector<O>& out, Body&& body, Mark&& mark,
                     Rollback&& rollback) {
  const auto& in = slice.data.as<I>();
  const auto* times = in.has_timestamps() ? in.timestamps.data() : nullptr;
  if (!times) out.clear_timestamp();
  auto before = mark();
  auto attempt = [&](std::size_t i) {
    before = mark();
    if (times) out.set_timestamp(times[i]);
    body(i);
  };
  slice.cursor = run_records_until(
      1, slice.cursor, slice.limit, attempt,
      [&](std::size_t i) {
        rollback(before);
        auto again = [&] {
          rollback(before);
          attempt(i);
        };
        auto divert = [&](std::uint64_t tag) { divert_record(context, tag, in, i); };
        try {
          handle_record_error(context, again, divert);
        } catch (...) {
          rollback(before);
          throw;
        }
      },
      [&] { return out.has_full_batch() || context.pause_requested(); });
}

template <class I, class O, class Body>
void collect_records(operator_context& context, batch_slice& slice, collector<O>& out, Body&& body) {
  collect_records<I>(
      context, slice, out, std::forward<Body>(body), [&] { return out.position(); },
      [&](const typename collector<O>::mark& m) { out.rollback(m); });
}

} // namespace dataflow
