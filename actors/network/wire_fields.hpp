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

template <class A>
void fields(A& a, source_split& x) {
  a(x.id, x.payload);
}
template <class A>
void fields(A& a, key_group_range& x) {
  a(x.first, x.last);
}
template <class A>
void fields(A& a, record_origin& x) {
  a(x.source, x.name, x.split, x.position, x.described, x.records, x.under_way);
}
template <class A>
void fields(A& a, source_trace& x) {
  a(x.records, x.skip);
}
template <class A>
void fields(A& a, checkpoint_options& x) {
  a(x.kind, x.after, x.alignment, x.aligned_timeout, x.triggered, x.directory);
}
template <class A>
void fields(A& a, object_handle& x) {
  a(x.scope, x.name, x.size, x.checksum, x.bytes);
}
template <class A>
void fields(A& a, state_info& x) {
  a(x.name, x.kind, x.schema);
}
template <class A>
void fields(A& a, state_summary& x) {
  a(x.info, x.parts, x.bytes);
}
template <class A>
void fields(A& a, in_flight_summary& x) {
  a(x.sent, x.edge, x.elements, x.peer, x.schema);
}
template <class A>
void fields(A& a, operator_summary& x) {
  a(x.uid, x.states, x.splits, x.in_flight);
}
template <class A>
void fields(A& a, subtask_summary& x) {
  a(x.object, x.shared, x.operators);
}
template <class A>
void fields(A& a, operator_restore::keyed_share& x) {
  a(x.object, x.state, x.key_groups);
}
template <class A>
void fields(A& a, operator_restore::item_share& x) {
  a(x.object, x.state, x.first, x.count);
}
template <class A>
void fields(A& a, operator_restore::in_flight_share& x) {
  a(x.object, x.owner, x.sent, x.peer, x.edge, x.input_edge, x.key_groups, x.channel);
}
template <class A>
void fields(A& a, operator_restore& x) {
  a(x.uid, x.checkpoint, x.directory, x.objects, x.keyed, x.items, x.in_flight, x.states, x.splits, x.files,
    x.finished);
}
template <class A>
void fields(A& a, metric_scope& x) {
  a(x.job, x.vertex, x.task, x.subtask, x.position, x.operator_name);
}
template <class A>
void fields(A& a, metric& x) {
  a(x.name, x.kind, x.value);
}
template <class A>
void fields(A& a, metric_group& x) {
  a(x.scope, x.attempt, x.since, x.metrics);
}
template <class A>
void fields(A& a, metrics_snapshot& x) {
  a(x.at, x.groups);
}
template <class A>
void fields(A& a, channel_event_time& x) {
  a(x.name, x.vertex, x.subtask, x.input, x.watermark, x.idle, x.ended, x.advanced);
}
template <class A>
void fields(A& a, split_event_time& x) {
  a(x.split, x.watermark, x.idle, x.paused, x.advanced, x.last_record);
}
template <class A>
void fields(A& a, operator_event_time& x) {
  a(x.name, x.makes_watermarks, x.input, x.output, x.records_in, x.advanced, x.last_record, x.waits_for, x.waiting);
}
template <class A>
void fields(A& a, task_event_time& x) {
  a(x.scope, x.attempt, x.parallelism, x.at, x.source, x.strategy, x.idle, x.finished, x.idle_timeout,
    x.alignment_group, x.limit, x.must_wait, x.channels, x.splits, x.operators);
}
template <class A>
void fields(A& a, task_report& x) {
  a(x.name, x.vertex, x.subtask, x.parallelism, x.attempt, x.status);
}
template <class A>
void fields(A& a, failure_report& x) {
  a(x.at, x.task, x.cause);
}
template <class A>
void fields(A& a, checkpoint_statistics& x) {
  a(x.restored, x.completed, x.failed, x.in_progress, x.last_id, x.last_path, x.last_bytes, x.last_duration);
}
template <class A>
void fields(A& a, job_report& x) {
  a(x.id, x.name, x.status, x.started, x.now, x.restarts, x.checkpoints, x.tasks, x.failures, x.accumulators, x.metrics,
    x.event_times);
}
template <class A>
void fields(A& a, job_result& x) {
  a(x.id, x.name, x.status, x.failure, x.duration, x.restarts, x.accumulators, x.collected, x.final_report);
}
template <class A>
void fields(A& a, checkpoint_request& x) {
  a(x.kind, x.directory, x.after, x.cancel);
}
template <class A>
void fields(A& a, configuration::entry& x) {
  a(x.value, x.layer, x.origin);
}
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

template <class A>
void fields(A& a, task_manager_address& x) {
  a(x.id, x.host, x.data_port);
}
template <class A>
void fields(A& a, task_key& x) {
  a(x.task, x.attempt);
}
template <class A>
void fields(A& a, channel_peer& x) {
  a(x.task, x.task_manager, x.key, x.attempt, x.gate, x.channel);
}
template <class A>
void fields(A& a, start_task& x) {
  a(x.key, x.outputs, x.inputs, x.places);
}
template <class A>
void fields(A& a, cancel_task& x) {
  a(x.key);
}
template <class A>
void fields(A& a, split_request& x) {
  a(x.key);
}
template <class A>
void fields(A& a, splits_assigned& x) {
  a(x.key, x.splits);
}
template <class A>
void fields(A& a, no_more_splits& x) {
  a(x.key);
}
template <class A>
void fields(A& a, watermark_report& x) {
  a(x.key, x.watermark);
}
template <class A>
void fields(A& a, watermark_limit& x) {
  a(x.key, x.most);
}
template <class A>
void fields(A& a, result_part& x) {
  a(x.key, x.collector, x.bytes);
}
template <class A>
void fields(A& a, task_update& x) {
  a(x.key, x.status, x.failure, x.accumulators, x.last_checkpoint, x.records_read, x.failed_at);
}
template <class A>
void fields(A& a, record_skipped& x) {
  a(x.key, x.record);
}
template <class A>
void fields(A& a, trigger_checkpoint& x) {
  a(x.key, x.id, x.options);
}
template <class A>
void fields(A& a, notify_checkpoint_complete& x) {
  a(x.key, x.id);
}
template <class A>
void fields(A& a, notify_checkpoint_aborted& x) {
  a(x.key, x.id);
}
template <class A>
void fields(A& a, results_at_barrier& x) {
  a(x.key, x.id);
}
template <class A>
void fields(A& a, checkpoint_acknowledged& x) {
  a(x.key, x.id, x.part, x.at_end);
}
template <class A>
void fields(A& a, checkpoint_declined& x) {
  a(x.key, x.id, x.why, x.given_up);
}
template <class A>
void fields(A& a, task_awaits_checkpoint& x) {
  a(x.key, x.last_checkpoint);
}
template <class A>
void fields(A& a, request_checkpoint& x) {
  a(x.job, x.what);
}
template <class A>
void fields(A& a, checkpoint_taken& x) {
  a(x.id, x.path);
}
/// A job is code: the receiver has built the rest itself.
template <class A>
void fields(A& a, job_description& x) {
  a(x.id, x.name);
}
template <class A>
void fields(A& a, deploy_task& x) {
  a(x.job, x.key, x.job_master, x.restore, x.trace);
}
template <class A>
void fields(A& a, task_deployed& x) {
  a(x.key, x.task);
}
template <class A>
void fields(A& a, cancel_tasks& x) {
  a(x.job, x.keys);
}
template <class A>
void fields(A& a, release_slot& x) {
  a(x.job);
}
template <class A>
void fields(A& a, query_tasks& x) {
  a(x.job);
}
template <class A>
void fields(A& a, tasks_queried& x) {
  a(x.metrics, x.event_times);
}
template <class A>
void fields(A& a, slot_offer& x) {
  a(x.id, x.slot, x.task_manager, x.where, x.job, x.job_master);
}
template <class A>
void fields(A& a, register_slots& x) {
  a(x.task_manager, x.where, x.slots);
}
template <class A>
void fields(A& a, slot_reserved& x) {
  a(x.id, x.job, x.job_master);
}
template <class A>
void fields(A& a, cancel_job& x) {
  a(x.job);
}
template <class A>
void fields(A& a, query_job& x) {
  a(x.job);
}
template <class A>
void fields(A& a, job_update& x) {
  a(x.job, x.status, x.waits_for);
}
template <class A>
void fields(A& a, job_ended& x) {
  a(x.result);
}
template <class A>
void fields(A& a, use_resource_manager& x) {
  a(x.resource_manager);
}
template <class A>
void fields(A&, describe_tree&) {}

// ---- between processes only

template <class A>
void fields(A& a, job_origin& x) {
  a(x.artifact, x.library, x.entry, x.arguments, x.files, x.submit_time, x.random_seed, x.settings, x.name,
    x.fingerprint);
}
template <class A>
void fields(A& a, hello& x) {
  a(x.stamp, x.task_manager, x.member);
}
template <class A>
void fields(A& a, welcome& x) {
  a(x.leader, x.index, x.interval, x.timeout, x.job_manager, x.artifacts);
}
template <class A>
void fields(A& a, heartbeat& x) {
  a(x.leader, x.task_manager);
}
template <class A>
void fields(A& a, expelled& x) {
  a(x.leader, x.task_manager);
}
template <class A>
void fields(A& a, farewell& x) {
  a(x.leader, x.task_manager);
}
template <class A>
void fields(A& a, task_manager_joined& x) {
  a(x.task_manager);
}
template <class A>
void fields(A& a, task_manager_lost& x) {
  a(x.task_manager, x.why);
}
template <class A>
void fields(A& a, query_artifact& x) {
  a(x.hash);
}
template <class A>
void fields(A& a, artifact_state& x) {
  a(x.complete, x.size);
}
template <class A>
void fields(A& a, artifact_frame& x) {
  a(x.hash, x.size, x.offset, x.bytes);
}
template <class A>
void fields(A& a, fetch_artifact& x) {
  a(x.hash, x.offset);
}
template <class A>
void fields(A& a, submit_origin& x) {
  a(x.id, x.origin, x.client, x.check_only);
}
template <class A>
void fields(A& a, job_accepted& x) {
  a(x.id, x.warnings, x.starts_from, x.can_make_checkpoints);
}
template <class A>
void fields(A& a, query_origin& x) {
  a(x.job);
}
template <class A>
void fields(A& a, origin_found& x) {
  a(x.origin, x.kept_on_cancel);
}
template <class A>
void fields(A& a, attach_client& x) {
  a(x.job, x.client);
}
template <class A>
void fields(A&, list_jobs&) {}
template <class A>
void fields(A& a, job_overview& x) {
  a(x.id, x.name, x.status, x.started, x.ended, x.waits_for);
}
template <class A>
void fields(A& a, jobs_listed& x) {
  a(x.jobs);
}
template <class A>
void fields(A& a, prepare_job& x) {
  a(x.id, x.origin, x.settings, x.seed, x.stored_max_parallelism, x.fingerprint, x.makes_checkpoints, x.checkpoint_root,
    x.expected);
}

} // namespace dataflow::actors
