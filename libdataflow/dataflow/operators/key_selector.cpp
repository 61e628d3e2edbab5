#include <dataflow/operators/key_selector.hpp>
#include <dataflow/operators/salted_reduce.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow::detail {

void rethrow_within(const char* what) { throw current_error().within(what); }

void bad_custom_target(std::uint64_t target, std::uint32_t channels) {
  throw error{errc::user_function_failed,
              "the function of partition_custom chose subtask " + std::to_string(static_cast<std::int64_t>(target)) +
                  " of " + std::to_string(channels),
              "return a number from 0 to the number of subtasks - 1"};
}

void check_salts(std::uint32_t salts) {
  if (salts >= 1 && salts <= upper_max_parallelism) return;
  throw error{errc::invalid_argument, "key_by_salted with " + std::to_string(salts) + " salts",
              "choose about the parallelism of the reduction"};
}

} // namespace dataflow::detail
