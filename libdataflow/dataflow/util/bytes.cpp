#include <dataflow/util/bytes.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow {

std::size_t byte_reader::length(std::size_t min_element) {
  auto value = varint();
  if (min_element == 0) min_element = 1;
  if (value > remaining() / min_element)
    throw error{errc::malformed_record, "a length of " + std::to_string(value) + " where only " +
                                            std::to_string(remaining()) + " bytes remain"};
  return static_cast<std::size_t>(value);
}

void byte_reader::fail(std::size_t wanted) const {
  throw error{errc::malformed_record, "the bytes end too early: " + std::to_string(wanted) + " wanted, " +
                                          std::to_string(remaining()) + " left"};
}

void byte_reader::fail_varint() const {
  throw error{errc::malformed_record, "a variable-length integer above 64 bits"};
}

} // namespace dataflow
