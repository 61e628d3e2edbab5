/// Which of the messages of interfaces.hpp are also sent to other processes.
///
/// Within one process they travel as they are, like all others. Between processes CAF calls these functions (wire.cpp):
/// handles of actors are written by CAF, all else as bytes of our own. Names go over the wire: append only.
#pragma once

#include <caf/fwd.hpp>

namespace dataflow {
struct job_report;
caf::error inspect(caf::serializer& to, job_report& message);
caf::error inspect(caf::deserializer& from, job_report& message);
} // namespace dataflow

namespace dataflow::actors {

#define DATAFLOW_CLUSTER_MESSAGES(X)                                                                                   \
  X(start_task)                                                                                                        \
  X(cancel_task)                                                                                                       \
  X(split_request)                                                                                                     \
  X(splits_assigned)                                                                                                   \
  X(no_more_splits)                                                                                                    \
  X(watermark_report)                                                                                                  \
  X(watermark_limit)                                                                                                   \
  X(result_part)                                                                                                       \
  X(task_update)                                                                                                       \
  X(trigger_checkpoint)                                                                                                \
  X(notify_checkpoint_complete)                                                                                        \
  X(notify_checkpoint_aborted)                                                                                         \
  X(results_at_barrier)                                                                                                \
  X(checkpoint_acknowledged)                                                                                           \
  X(checkpoint_declined)                                                                                               \
  X(task_awaits_checkpoint)                                                                                            \
  X(request_checkpoint)                                                                                                \
  X(checkpoint_taken)                                                                                                  \
  X(deploy_task)                                                                                                       \
  X(task_deployed)                                                                                                     \
  X(cancel_tasks)                                                                                                      \
  X(release_slot)                                                                                                      \
  X(query_tasks)                                                                                                       \
  X(tasks_queried)                                                                                                     \
  X(register_slots)                                                                                                    \
  X(slot_reserved)                                                                                                     \
  X(cancel_job)                                                                                                        \
  X(query_job)                                                                                                         \
  X(job_update)                                                                                                        \
  X(job_ended)                                                                                                         \
  X(use_resource_manager)                                                                                              \
  X(describe_tree)                                                                                                     \
  X(record_skipped)

/// REQUIRES: where they are called, <caf/error.hpp> is included.
#define DATAFLOW_TRAVELS(name)                                                                                         \
  struct name;                                                                                                         \
  caf::error inspect(caf::serializer& to, name& message);                                                              \
  caf::error inspect(caf::deserializer& from, name& message);
DATAFLOW_CLUSTER_MESSAGES(DATAFLOW_TRAVELS)
#undef DATAFLOW_TRAVELS

} // namespace dataflow::actors
