/// A source that knows where each of its records comes from: polls them one by one and gives each batch its origin.
///
/// Put in front of a reader only while somebody looks for a record that fails the job, because it is slow: a batch of
/// one record, and the reader's positions, for each. When it has given out as many as it was asked to, and has left out
/// what it was to leave out, it polls like the reader itself.
/// Threading, ownership, errors: as source_driver.
#pragma once

#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/record/record_origin.hpp>

#include <functional>
#include <memory>
#include <string>

namespace dataflow {

struct traced_source_config {
  std::string uid, name; ///< of the source operator
  source_trace trace;
  /// A record was left out. Called where the reader is polled.
  std::function<void(const record_origin&)> skipped;
};

std::unique_ptr<source_driver> make_traced_source(std::unique_ptr<source_driver> reader, traced_source_config config);

} // namespace dataflow
