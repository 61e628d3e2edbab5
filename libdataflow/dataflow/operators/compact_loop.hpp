/// The loop of operators that change or drop records in place: filter, rolling reductions.
///
/// Threading: the task's own thread of execution.
#pragma once

#include <dataflow/operators/record_loop.hpp>

#include <cstddef>
#include <cstring>

namespace dataflow {

/// Walks a slice of a batch that is changed in place: keep(b, i) says whether record i of `b` goes on (it may change
/// it); records whose function throws go by the record-error policy. What is kept is emitted, with timestamps and
/// without hashes. A batch that others hold, too, is copied first. A retry calls keep again.
/// keep is called with consecutive i; prepare(b, begin, end) is called before each block of at most Block records.
template <class T, std::size_t Block, class Prepare, class Keep>
void compact_records(operator_context& context, batch_pool& pool, batch_slice& slice, Prepare&& prepare, Keep&& keep) {
  auto begin = slice.cursor, end = slice.limit;
  batch_ptr own; // the copy of a shared batch's slice
  if (!slice.data.unique()) {
    own = pool.get();
    slice.data->type().append(*own, *slice.data, begin, end, false);
    end -= begin;
    begin = 0;
  }
  auto& b = own ? own.as<T>() : slice.data.as<T>();
  auto* records = b.records.data();
  auto* times = b.has_timestamps() ? b.timestamps.data() : nullptr;
  auto to = begin; // what is kept so far: [begin, to)
  auto body = [&](std::size_t i) __attribute__((always_inline)) {
    const bool kept = keep(b, i);
    if constexpr (std::is_trivially_copyable_v<T>) { // moved whether kept or not: no branch to mispredict
      alignas(T) std::byte moved[sizeof(T)];
      std::memcpy(moved, records + i, sizeof(T));
      std::memcpy(static_cast<void*>(records + to), moved, sizeof(T));
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
  auto stopped = begin;
  while (stopped < end) {
    const auto block_end = std::min(end, stopped + Block);
    prepare(b, stopped, block_end);
    stopped = run_records(context, stopped, block_end, body, failed);
    if (stopped < block_end || context.pause_requested()) break;
  }
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
