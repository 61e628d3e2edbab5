/// A source whose reader may block: it runs on a thread of its own and hands finished batches over a short queue.
///
/// Threading: the driver that is returned is used by the task; the wrapped reader only by the helper thread, except
/// interrupt(), which wakes it. Ownership: owns the reader and the thread; close() joins.
#pragma once

#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/util/platform.hpp>

namespace dataflow {

std::unique_ptr<source_driver> make_blocking_source(std::unique_ptr<source_driver> reader, batch_pool::handle pool,
                                                    const batch_limits& limits, platform& world);

} // namespace dataflow
