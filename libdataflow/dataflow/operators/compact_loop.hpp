/// The loop of operators that drop records in place.
///
/// Threading: the task's own thread of execution.
#pragma once

#include <dataflow/operators/record_loop.hpp>

#include <cstddef>

namespace dataflow {

/// Walks a slice of a batch that is changed in place: keep(record) says whether a record goes on; records whose
/// function throws go by the record-error policy. What is kept is emitted, with timestamps and without hashes. A batch
/// that others hold, too, is copied first. A retry calls keep again.
template <class T, class Keep>
void compact_records(operator_context& context, batch_pool& pool, batch_slice& slice, Keep&& keep) {
  auto begin = slice.cursor, end = slice.limit;
  batch_ptr own; // the copy of a shared batch's slice
  if (!slice.data.unique()) {
    own = pool.get();
    slice.data->type().append(*own, *slice.data, begin, end, false);
    end -= begin;
    begin = 0;
  }
  auto& b = own ? own.as<T>() : slice.data.as<T>();
  auto* const records = b.records.data();
  auto* const times = b.has_timestamps() ? b.timestamps.data() : nullptr;
  auto to = begin; // what is kept so far: [begin, to)
  auto body = [&](std::size_t i) __attribute__((always_inline)) {
    const bool kept = keep(std::as_const(records[i]));
    if constexpr (std::is_trivially_copyable_v<T>) { // moved whether kept or not: no branch to mispredict
      records[to] = records[i];
      if (times) times[to] = times[i];
    } else if (kept && to != i) {
      records[to] = std::move(records[i]);
      if (times) times[to] = times[i];
    }
    to += kept;
  };
  auto failed = [&](std::size_t i) {
    handle_record_error(
        context, [&] { body(i); }, [&](std::uint64_t tag) { divert_record(context, tag, b, i); });
  };
  const auto stopped = run_records(context, begin, end, body, failed);
  slice.cursor += stopped - begin;
  if (own) {
    own->truncate(to);
    own->hashes.clear();
    context.output().emit(std::move(own));
  } else if (begin == 0 && stopped == slice.data->size()) {
    slice.data->truncate(to);
    slice.data->hashes.clear();
    context.output().emit(std::move(slice.data));
  } else {
    emit_records(context.output(), pool, slice, begin, to);
  }
}

} // namespace dataflow
