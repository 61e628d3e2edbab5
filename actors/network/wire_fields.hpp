/// The fields of what travels, by struct: one function for both directions (wire_archive.hpp). A member that is added
/// to one of these structs is added here.
#pragma once

#include <dataflow/actors/interfaces.hpp>
#include <dataflow/actors/network/messages.hpp>
#include <dataflow/actors/network/wire_archive.hpp>

namespace dataflow {

// ---- values of the engine. `is_known`: of what came over the wire.

constexpr bool is_known(job_status s) noexcept { return s <= job_status::reconciling; }
constexpr bool is_known(task_status s) noexcept { return s <= task_status::failed; }
constexpr bool is_known(metric_kind k) noexcept { return k <= metric_kind::rate; }
constexpr bool is_known(checkpoint_kind k) noexcept {
  return k == checkpoint_kind::checkpoint || k == checkpoint_kind::savepoint;
}
constexpr bool is_known(after_savepoint a) noexcept { return a <= after_savepoint::drain; }
constexpr bool is_known(barrier_alignment a) noexcept { return a <= barrier_alignment::none; }
constexpr bool is_known(object_scope s) noexcept { return s <= object_scope::task_owned; }
constexpr bool is_known(state_kind k) noexcept { return k <= state_kind::broadcast; }
constexpr bool is_known(config_layer l) noexcept { return l <= config_layer::code; }

#define DATAFLOW_FIELDS(type, ...)                                                                                     \
  template <class A>                                                                                                   \
  void fields(A& a, type& x) {                                                                                         \
    a(__VA_ARGS__);                                                                                                    \
  }

DATAFLOW_FIELDS(source_split, x.id, x.payload)
DATAFLOW_FIELDS(key_group_range, x.first, x.last)
DATAFLOW_FIELDS(record_origin, x.source, x.name, x.split, x.position, x.described, x.records, x.under_way)
DATAFLOW_FIELDS(source_trace, x.records, x.skip)
DATAFLOW_FIELDS(checkpoint_options, x.kind, x.after, x.alignment, x.aligned_timeout, x.triggered, x.directory)
DATAFLOW_FIELDS(object_handle, x.scope, x.name, x.size, x.checksum, x.bytes)
DATAFLOW_FIELDS(state_info, x.name, x.kind, x.schema)
DATAFLOW_FIELDS(state_summary, x.info, x.parts, x.bytes)
DATAFLOW_FIELDS(in_flight_summary, x.sent, x.edge, x.elements, x.peer, x.schema)
DATAFLOW_FIELDS(operator_summary, x.uid, x.states, x.splits, x.in_flight)
DATAFLOW_FIELDS(subtask_summary, x.object, x.shared, x.operators)
DATAFLOW_FIELDS(operator_restore::keyed_share, x.object, x.state, x.key_groups)
DATAFLOW_FIELDS(operator_restore::item_share, x.object, x.state, x.first, x.count)
DATAFLOW_FIELDS(operator_restore::in_flight_share, x.object, x.owner, x.sent, x.peer, x.edge, x.input_edge,
                x.key_groups, x.channel)
DATAFLOW_FIELDS(operator_restore, x.uid, x.checkpoint, x.directory, x.objects, x.keyed, x.items, x.in_flight, x.states,
                x.splits, x.files, x.finished)
DATAFLOW_FIELDS(metric_scope, x.job, x.vertex, x.task, x.subtask, x.position, x.operator_name)
DATAFLOW_FIELDS(metric, x.name, x.kind, x.value)
DATAFLOW_FIELDS(metric_group, x.scope, x.attempt, x.since, x.metrics)
DATAFLOW_FIELDS(metrics_snapshot, x.at, x.groups)
DATAFLOW_FIELDS(channel_event_time, x.name, x.vertex, x.subtask, x.input, x.watermark, x.idle, x.ended, x.advanced)
DATAFLOW_FIELDS(split_event_time, x.split, x.watermark, x.idle, x.paused, x.advanced, x.last_record)
DATAFLOW_FIELDS(operator_event_time, x.name, x.makes_watermarks, x.input, x.output, x.records_in, x.advanced,
                x.last_record, x.waits_for, x.waiting)
DATAFLOW_FIELDS(task_event_time, x.scope, x.attempt, x.parallelism, x.at, x.source, x.strategy, x.idle, x.finished,
                x.idle_timeout, x.alignment_group, x.limit, x.must_wait, x.channels, x.splits, x.operators)
DATAFLOW_FIELDS(task_report, x.name, x.vertex, x.subtask, x.parallelism, x.attempt, x.status)
DATAFLOW_FIELDS(failure_report, x.at, x.task, x.cause)
DATAFLOW_FIELDS(checkpoint_statistics, x.restored, x.completed, x.failed, x.in_progress, x.last_id, x.last_path,
                x.last_bytes, x.last_duration)
DATAFLOW_FIELDS(job_report, x.id, x.name, x.status, x.started, x.now, x.restarts, x.checkpoints, x.tasks, x.failures,
                x.accumulators, x.metrics, x.event_times)
DATAFLOW_FIELDS(job_result, x.id, x.name, x.status, x.failure, x.duration, x.restarts, x.accumulators, x.collected,
                x.final_report)
DATAFLOW_FIELDS(checkpoint_request, x.kind, x.directory, x.after, x.cancel)
DATAFLOW_FIELDS(configuration::entry, x.value, x.layer, x.origin)

/// Only values that were set: what is no key here, or no value of it, is refused when it is read.
template <class A>
void fields(A& a, configuration& x) {
  auto values = x.values();
  a(values);
  if constexpr (std::is_same_v<A, actors::wire_reader>) {
    x = {};
    for (auto& [key, e] : values)
      x.set(key, e.value, e.layer, e.origin);
  }
}

} // namespace dataflow

namespace dataflow::actors {

// ---- messages

DATAFLOW_FIELDS(task_manager_address, x.id, x.host, x.data_port)
DATAFLOW_FIELDS(task_key, x.task, x.attempt)
DATAFLOW_FIELDS(channel_peer, x.task, x.task_manager, x.key, x.attempt, x.gate, x.channel)
DATAFLOW_FIELDS(start_task, x.key, x.outputs, x.inputs, x.places)
DATAFLOW_FIELDS(cancel_task, x.key)
DATAFLOW_FIELDS(split_request, x.key)
DATAFLOW_FIELDS(splits_assigned, x.key, x.splits)
DATAFLOW_FIELDS(no_more_splits, x.key)
DATAFLOW_FIELDS(watermark_report, x.key, x.watermark)
DATAFLOW_FIELDS(watermark_limit, x.key, x.most)
DATAFLOW_FIELDS(result_part, x.key, x.collector, x.bytes)
DATAFLOW_FIELDS(task_update, x.key, x.status, x.failure, x.accumulators, x.last_checkpoint, x.records_read, x.failed_at)
DATAFLOW_FIELDS(record_skipped, x.key, x.record)
DATAFLOW_FIELDS(trigger_checkpoint, x.key, x.id, x.options)
DATAFLOW_FIELDS(notify_checkpoint_complete, x.key, x.id)
DATAFLOW_FIELDS(notify_checkpoint_aborted, x.key, x.id)
DATAFLOW_FIELDS(results_at_barrier, x.key, x.id)
DATAFLOW_FIELDS(checkpoint_acknowledged, x.key, x.id, x.part, x.at_end)
DATAFLOW_FIELDS(checkpoint_declined, x.key, x.id, x.why, x.given_up)
DATAFLOW_FIELDS(task_awaits_checkpoint, x.key, x.last_checkpoint)
DATAFLOW_FIELDS(request_checkpoint, x.job, x.what)
DATAFLOW_FIELDS(checkpoint_taken, x.id, x.path)

/// A job is code: the receiver has built the rest itself.
DATAFLOW_FIELDS(job_description, x.id, x.name, x.fingerprint)

DATAFLOW_FIELDS(deploy_task, x.job, x.key, x.job_master, x.restore, x.trace)
DATAFLOW_FIELDS(task_deployed, x.key, x.task)
DATAFLOW_FIELDS(cancel_tasks, x.job, x.keys)
DATAFLOW_FIELDS(release_slot, x.job)
DATAFLOW_FIELDS(query_tasks, x.job)
DATAFLOW_FIELDS(tasks_queried, x.metrics, x.event_times)
DATAFLOW_FIELDS(slot_offer, x.id, x.slot, x.task_manager, x.where, x.job, x.job_master)
DATAFLOW_FIELDS(register_slots, x.task_manager, x.where, x.slots, x.resource_id)
DATAFLOW_FIELDS(slot_reserved, x.id, x.job, x.job_master)
DATAFLOW_FIELDS(cancel_job, x.job)
DATAFLOW_FIELDS(query_job, x.job)
DATAFLOW_FIELDS(job_update, x.job, x.status, x.waits_for)
DATAFLOW_FIELDS(job_ended, x.result)
DATAFLOW_FIELDS(use_resource_manager, x.resource_manager)

template <class A>
void fields(A&, describe_tree&) {}

// ---- between processes only

DATAFLOW_FIELDS(job_origin, x.artifact, x.library, x.entry, x.arguments, x.files, x.submit_time, x.random_seed,
                x.settings, x.name, x.fingerprint)
DATAFLOW_FIELDS(hello, x.stamp, x.task_manager, x.member)
DATAFLOW_FIELDS(welcome, x.leader, x.index, x.interval, x.timeout, x.job_manager, x.artifacts)
DATAFLOW_FIELDS(heartbeat, x.leader, x.task_manager)
DATAFLOW_FIELDS(expelled, x.leader, x.task_manager)
DATAFLOW_FIELDS(farewell, x.leader, x.task_manager)
DATAFLOW_FIELDS(task_manager_joined, x.task_manager)
DATAFLOW_FIELDS(task_manager_lost, x.task_manager, x.why)
DATAFLOW_FIELDS(query_artifact, x.hash)
DATAFLOW_FIELDS(artifact_state, x.complete, x.size)
DATAFLOW_FIELDS(artifact_frame, x.hash, x.size, x.offset, x.bytes)
DATAFLOW_FIELDS(fetch_artifact, x.hash, x.offset)
DATAFLOW_FIELDS(submit_origin, x.id, x.origin, x.client, x.check_only, x.recovered)
DATAFLOW_FIELDS(job_accepted, x.id, x.warnings, x.starts_from, x.can_make_checkpoints)
DATAFLOW_FIELDS(query_origin, x.job)
DATAFLOW_FIELDS(origin_found, x.origin, x.kept_on_cancel)
DATAFLOW_FIELDS(attach_client, x.job, x.client)

template <class A>
void fields(A&, list_jobs&) {}

DATAFLOW_FIELDS(job_overview, x.id, x.name, x.status, x.started, x.ended, x.waits_for)
DATAFLOW_FIELDS(jobs_listed, x.jobs)
DATAFLOW_FIELDS(prepare_job, x.id, x.origin, x.settings, x.seed, x.stored_max_parallelism, x.most_parallelism,
                x.fingerprint, x.makes_checkpoints, x.checkpoint_root, x.expected)

#undef DATAFLOW_FIELDS

} // namespace dataflow::actors
