/// What a piece of code throws, as a value to look at.
#pragma once

#include <dataflow/util/error.hpp>

namespace dataflow::test {

/// The dataflow::error that `body` throws; an empty one when it throws none.
template <class Body>
error error_of(Body&& body) {
  try {
    body();
  } catch (const error& e) {
    return e;
  }
  return {};
}

} // namespace dataflow::test
