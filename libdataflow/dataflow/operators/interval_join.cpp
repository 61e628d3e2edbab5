#include <dataflow/operators/interval_join.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow::detail {

void record_without_timestamp(const char* where) {
  throw error{errc::missing_timestamp, std::string{"a record without a timestamp came to "} + where,
              "call assign_timestamps_and_watermarks() on the stream before it"};
}

} // namespace dataflow::detail
