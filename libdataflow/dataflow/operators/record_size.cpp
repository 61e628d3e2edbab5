#include <dataflow/operators/record_size.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow::detail {

void record_too_large(std::size_t size, std::size_t limit) {
  throw error{errc::record_too_large,
              "a record of " + std::to_string(size) + " bytes, where " + std::to_string(limit) + " are allowed",
              "raise taskmanager.record.max-bytes, or make smaller records"};
}

} // namespace dataflow::detail
