/// The largest record (taskmanager.record.max-bytes), checked where a record is produced.
///
/// Costs nothing for types without a heap; for others a comparison, because sizes are counted anyway. Only a record
/// that looks too large is measured exactly, by encoding it.
/// Errors: error{errc::record_too_large} with size, limit and key; the chain adds operator, subtask and attempt.
#pragma once

#include <dataflow/exchange/element.hpp>
#include <dataflow/record/codec.hpp>
#include <dataflow/util/bytes.hpp>

#include <cstddef>
#include <type_traits>

namespace dataflow {

namespace detail {
[[noreturn]] void record_too_large(std::size_t size, std::size_t limit);

template <class T>
[[gnu::noinline, gnu::cold]] void measure_record(const T& record, std::size_t limit) {
  byte_writer out;
  codec<T>::encode(record, out);
  if (out.size() > limit) record_too_large(out.size(), limit);
}
} // namespace detail

/// in_memory: codec<T>::size_of(record).
template <class T>
void check_record_size(const T& record, std::size_t in_memory, std::size_t limit) {
  constexpr std::size_t slack = sizeof(T) + 64; // terminators, lengths and the like do not count
  if (in_memory > limit + slack) [[unlikely]]
    detail::measure_record(record, limit);
}
template <class T>
void check_record_size([[maybe_unused]] const T& record, [[maybe_unused]] std::size_t limit) {
  if constexpr (!std::is_trivially_copyable_v<T>) check_record_size(record, codec<T>::size_of(record), limit);
}

} // namespace dataflow
