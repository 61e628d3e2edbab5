/// Every message between actors, in one place: what it says, who sends it to whom. What a user's own actors exchange
/// with a pipeline stands at the end; docs/actors.md explains it.
///
/// Messages are plain structs; an actor handles a struct by its type. Those marked INTERNAL an actor sends to itself.
/// In one process they travel as they are. Whatever a message shares (plans, metrics, batches) is immutable or counted.
/// What is sent to other processes, too, stands in the list at the end; network/messages.hpp has what only exists
/// there. Fencing: messages about a task carry its attempt; what belongs to an earlier one is refused and logged once.
#pragma once

#include <dataflow/actors/network/task_manager_address.hpp>
#include <dataflow/actors/network/travelling_messages.hpp>
#include <dataflow/api/executor.hpp>
#include <dataflow/checkpoint/checkpoint_storage.hpp>
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/checkpoint/shared_files.hpp>
#include <dataflow/checkpoint/state_assignment.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/connectors/source.hpp>
#include <dataflow/exchange/element.hpp>
#include <dataflow/graph/execution_plan.hpp>
#include <dataflow/state/local_state.hpp>
#include <dataflow/task/subtask.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>
#include <caf/message.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow::actors {

struct job_origin; // network/messages.hpp

/// A task within its job, at one attempt.
struct task_key {
  task_index task = 0;
  std::uint32_t attempt = 0;
  auto operator<=>(const task_key&) const = default;
};

// ---- data: task <-> task --------------------------------------------------------------------------------------------

/// producer -> consumer: the next element of a channel.
struct channel_data {
  std::uint32_t attempt = 0; ///< of the consumer
  std::uint32_t channel = 0; ///< of the consumer's input channels
  std::uint64_t sequence = 0;
  std::uint64_t bytes = 0; ///< counted against the channel's credit
  element what;
};
/// consumer -> producer: so much more may be sent.
struct channel_credit_grant {
  std::uint32_t attempt = 0; ///< of the producer
  std::uint32_t gate = 0, channel = 0, batches = 0;
  std::uint64_t bytes = 0;
};

// ---- task
// ------------------------------------------------------------------------------------------------------------

/// One end of a channel as the other end needs it: whom to send to, and its numbers there.
struct channel_peer {
  caf::actor task;          ///< null: the peer is on another task manager
  std::string task_manager; ///< id of the one that runs the peer; empty in embedded clusters
  task_key key;             ///< of the peer
  std::uint32_t attempt = 0;
  std::uint32_t gate = 0;    ///< of a producer: its output gate
  std::uint32_t channel = 0; ///< of a consumer: its input channel; of a producer: the channel within its gate
  /// Of a peer on another task manager, whose `task` is then the link: its address there. Set by the task itself.
  std::uint64_t address = 0;
};
/// job master -> task: all tasks of the region are deployed; connect and run.
struct start_task {
  task_key key;
  std::vector<std::vector<channel_peer>> outputs; ///< consumers, by gate and channel
  std::vector<channel_peer> inputs;               ///< producers, by input channel
  std::vector<task_manager_address> places;       ///< of the peers that are on other task managers
};
/// task manager -> task, urgent: stop after the record at hand, as CANCELED.
struct cancel_task {
  task_key key;
};
/// task -> itself, INTERNAL: run a slice.
struct run_step {};
/// task -> itself, INTERNAL, delayed: a buffer timeout or a source's time has come.
struct timer_due {
  std::int64_t at = 0; ///< nanoseconds; an earlier one may have replaced it
};
/// anybody -> task: the source has something to poll.
struct wake_source {};
/// task -> job master: its source wants a split.
struct split_request {
  task_key key;
};
/// job master -> task: more to read.
struct splits_assigned {
  task_key key;
  std::vector<source_split> splits;
};
/// job master -> task: nothing more will come.
struct no_more_splits {
  task_key key;
};
/// task -> job master, at the group's update interval: the watermark of its source, for the alignment group.
struct watermark_report {
  task_key key;
  timestamp watermark; ///< max_timestamp: it is idle or has ended
};
/// job master -> task: how far its alignment group lets the source go. A source that is ahead is not polled until a
/// later limit allows its watermark; of several splits, those that are ahead are paused.
struct watermark_limit {
  task_key key;
  timestamp most;
};
/// job master -> itself, INTERNAL, delayed: tell a source's readers the limit.
struct announce_limits {
  vertex_index vertex = 0;
};
/// task -> job master: a part of a bounded result.
struct result_part {
  task_key key;
  std::uint64_t collector = 0;
  std::string bytes; ///< one encoded batch
};
/// task -> job master: its state has changed.
struct task_update {
  task_key key;
  task_status status = task_status::created;
  error failure;                                    ///< of FAILED
  std::map<std::string, std::int64_t> accumulators; ///< of FINISHED
  std::uint64_t last_checkpoint = 0;                ///< of FINISHED: whose barrier it has seen; its word is under way
  std::uint64_t records_read = 0;                   ///< of a source that has ended
  std::optional<record_origin> failed_at;           ///< of FAILED: the record at which, where the source traces them
};
/// task -> job master: its source has left a record out, as deploy_task says.
struct record_skipped {
  task_key key;
  record_origin record;
};

// ---- checkpoints
// ------------------------------------------------------------------------------------------------------------

/// job master -> task: the checkpoint begins here. Of a source: between two records; of a task whose producers have all
/// finished: behind what they have sent.
struct trigger_checkpoint {
  task_key key;
  std::uint64_t id = 0;
  std::shared_ptr<const checkpoint_options> options;
};
/// job master -> task: what depends on the checkpoint may be published.
struct notify_checkpoint_complete {
  task_key key;
  std::uint64_t id = 0;
};
/// job master -> task: nobody waits for this checkpoint any more.
struct notify_checkpoint_aborted {
  task_key key;
  std::uint64_t id = 0;
};
/// task -> job master: what it has reported as results until now came before the barrier.
struct results_at_barrier {
  task_key key;
  std::uint64_t id = 0;
};
struct checkpoint_access;
/// task -> its slot's state keeper: write this down and tell the job master.
struct write_snapshot {
  task_key key;
  std::string job;
  std::string name; ///< of the task: begins the names of objects
  caf::actor job_master;
  std::shared_ptr<const checkpoint_access> access;
  std::shared_ptr<const subtask_snapshot> what;
  std::shared_ptr<shared_files> files; ///< that the subtask has in checkpoints
};
/// state keeper -> job master -> coordinator: a subtask's part of the checkpoint is durable.
struct checkpoint_acknowledged {
  task_key key;
  std::uint64_t id = 0;
  std::shared_ptr<const subtask_summary> part;
  bool at_end = false; ///< taken behind the end of the task's input
};
/// state keeper -> job master -> coordinator: there will be no such part.
struct checkpoint_declined {
  task_key key;
  std::uint64_t id = 0;
  error why;
  bool given_up = false; ///< nobody's fault
};
/// task -> job master: the input has ended, and the task waits for one more checkpoint, which is to begin at it.
struct task_awaits_checkpoint {
  task_key key;
  std::uint64_t last_checkpoint = 0; ///< whose barrier it has seen; its word is under way
};
/// job master -> coordinator: a task has changed; also the last word about an attempt.
struct checkpoint_task_changed {
  enum class change : std::uint8_t { running, awaits_last, finished, gone };
  task_key key;
  change what = change::running;
};
/// coordinator -> job master: let the sources' enumerators be snapshotted, then hold back what they assign.
struct snapshot_enumerators {
  std::uint64_t id = 0;
};
/// job master -> coordinator: their snapshots by uid, or why there are none.
struct enumerators_snapshotted {
  std::uint64_t id = 0;
  std::map<std::string, std::string> snapshots;
  error failure;
};
/// coordinator -> job master: let the barriers begin at these tasks.
struct begin_barriers {
  std::uint64_t id = 0;
  std::shared_ptr<const checkpoint_options> options;
  std::vector<task_key> tasks;
};
/// coordinator -> job master: it is complete; tell these tasks.
struct checkpoint_done {
  std::uint64_t id = 0;
  std::uint64_t oldest = 0; ///< of those that are kept
  std::vector<task_key> tasks;
  std::shared_ptr<const restore_point>
      stop; ///< a savepoint at which the job stops; if it cannot, it goes on from there
};
/// coordinator -> job master: it will never be; tell these tasks.
struct checkpoint_undone {
  std::uint64_t id = 0;
  std::vector<task_key> tasks;
};
/// coordinator -> job master: how the checkpoints are doing, after each change.
struct checkpoints_changed {
  checkpoint_statistics statistics;
};
/// coordinator -> job master: the job is to fail. `for_good`: no restart can mend it.
struct checkpoints_failed {
  error why;
  bool for_good = false;
};
/// coordinator -> itself, INTERNAL, delayed: something is due.
struct checkpoint_timer {
  std::int64_t at = 0; ///< milliseconds; an earlier one may have replaced it
};
/// job master -> coordinator (request): from where do tasks start? Answered with restore_from.
struct choose_restore {
  bool doubted = false; ///< a task has found that what it read is damaged: every byte is looked at
};
struct restore_from {
  std::uint64_t checkpoint = 0; ///< 0: from nothing
  std::shared_ptr<const restore_assignment> assignment;
};
/// job master -> coordinator (request, answered with unit): the job has ended; keep or remove its checkpoints.
struct checkpoints_over {
  job_status status = job_status::finished;
};
/// client -> dispatcher -> job master -> coordinator (request): a checkpoint or savepoint now. Answered with
/// checkpoint_taken; when the job is to stop, at its end.
struct request_checkpoint {
  std::string job;
  checkpoint_request what;
};
struct checkpoint_taken {
  std::uint64_t id = 0;
  std::string path;
};

// ---- slots and task managers
// -----------------------------------------------------------------------------------------

/// How tasks of a job are to run.
struct task_settings {
  batch_limits limits;
  std::int64_t credit_batches = 4, credit_bytes = 4 << 20;
  std::chrono::milliseconds buffer_timeout{100}, watermark_interval{200};
  std::size_t iteration_memory = 32 << 20;
  std::string temporary_directory;
  state_backend backend = state_backend::hashmap;
  std::string state_directory; ///< of databases
  std::uint64_t seed = 0;
  bool checkpointing = false; ///< the job makes checkpoints by itself
};
/// How tasks reach what checkpoints are made of.
struct checkpoint_access {
  std::shared_ptr<checkpoint_objects> objects;
  compression how = compression::none;
  bool incremental = false;
  bool expected = true;                   ///< else the job makes savepoints only, when somebody asks for one
  std::optional<std::string> copies = {}; ///< where tasks keep copies of their state, below this; unset: they keep none
};
/// What all tasks of a job share; immutable.
struct job_description {
  std::string id, name;
  std::shared_ptr<const execution_plan> plan;
  task_settings tasks;
  std::shared_ptr<const checkpoint_access> checkpoints; ///< null: the job makes none
  std::string fingerprint = {}; ///< of the plan's graph; empty in jobs that stay in their process
};
/// job master -> slot: build a task (it waits for start_task).
struct deploy_task {
  std::shared_ptr<const job_description> job; ///< without a plan when it came from another process: see job_catalogue
  task_key key;
  caf::actor job_master;
  std::vector<operator_restore> restore; ///< where its operators go on; empty: they begin
  source_trace trace = {};               ///< see poisoned_records
};
/// job catalogue -> slot, INTERNAL: the job's code is here, or will not be.
struct job_ready {
  deploy_task task;
  error failure;
};
/// What an operator of a task starts from.
struct restored_operator {
  std::shared_ptr<const operator_snapshot> states;
  std::vector<source_split> splits;
  bool finished = false;
  std::vector<channel_state> inputs; ///< of the head: what was under way to it
};
using restored_operators = std::map<std::string, restored_operator, std::less<>>; // by uid
/// What a task has of the local disk, and of files in checkpoints.
struct task_disk {
  state_place place; ///< its operators have directories in its directory
  std::shared_ptr<shared_files> files;
};
/// slot -> its state keeper: read what the task starts from.
struct read_state {
  deploy_task task;
  task_disk disk;
};
/// state keeper -> slot.
struct state_loaded {
  deploy_task task;
  task_disk disk;
  std::shared_ptr<const restored_operators> operators;
  error failure;
};
/// slot -> job master: the task's actor is there.
struct task_deployed {
  task_key key;
  caf::actor task;
};
/// job master -> task manager: cancel these.
struct cancel_tasks {
  std::string job;
  std::vector<task_key> keys;
};
/// job master -> slot: it needs it no more; kills what still runs there. Also to the task manager: the job has ended.
struct release_slot {
  std::string job;
};
/// job master -> task manager (request): counters of all its tasks of a job.
struct query_tasks {
  std::string job;
};
struct tasks_queried {
  metrics_snapshot metrics;
  std::vector<task_event_time> event_times;
};

// ---- resource manager
// ------------------------------------------------------------------------------------------------

struct slot_offer {
  std::uint64_t id = 0; ///< unique in the cluster, never used twice
  caf::actor slot, task_manager;
  task_manager_address where;
  std::string job;       ///< who has it; empty: free
  caf::actor job_master; ///< of `job`
};
/// task manager -> resource manager: these slots are mine.
struct register_slots {
  caf::actor task_manager;
  task_manager_address where;
  std::vector<slot_offer> slots;
  std::string resource_id = {}; ///< see cluster_context
};
/// resource manager -> task manager: more slots, please (embedded clusters grow with their jobs).
struct add_slots {
  std::uint32_t count = 0;
};
/// resource manager -> task manager: who has a slot from now on (empty: nobody), so that the next resource manager can
/// be told.
struct slot_reserved {
  std::uint64_t id = 0;
  std::string job;
  caf::actor job_master;
};
/// job master -> resource manager: so many slots, all or none.
struct request_slots {
  std::string job;
  std::uint32_t count = 0;
  caf::actor job_master;
  bool adaptive = false; ///< the job master decides itself how long it waits: it is not denied
};
/// job master -> resource manager: tell me how many slots I could have.
struct watch_slots {
  std::string job;
  caf::actor job_master;
};
/// resource manager -> job master: so many are free, and nobody else waits for them.
struct slots_free {
  std::uint32_t count = 0;
};
/// job master -> itself, INTERNAL, delayed: time to look whether the job can run at another parallelism.
struct look_at_slots {
  std::int64_t at = 0; ///< which timer
};
/// resource manager -> job master.
struct slots_granted {
  std::vector<slot_offer> slots;
};
/// resource manager -> job master: not enough, and the time to wait is over.
struct slots_denied {
  error why;
};
/// resource manager -> job master: not enough yet; what is missing and until when it waits, in words.
struct slots_awaited {
  std::string what;
};
/// job master -> resource manager.
struct slots_released {
  std::string job;
  std::vector<std::uint64_t> slots;
  bool job_over = false; ///< it will need none any more
};
/// resource manager -> itself, INTERNAL, delayed: has a waiting request been served?
struct request_expired {
  std::uint64_t request = 0;
};
/// resource manager -> itself, INTERNAL, delayed: time to look after the task managers that were started for it.
struct look_after_task_managers {};

// ---- job manager, dispatcher, job master
// -----------------------------------------------------------------------------

/// What a client hands in.
struct job_submission {
  std::string id, name;
  std::shared_ptr<const stream_graph> graph;
  configuration settings;
  std::shared_ptr<const restore_point> restore = {}; ///< what it starts from; null: from nothing
  std::shared_ptr<const job_origin> origin = {};     ///< where other processes get its code; null: there are none
};
/// client -> job manager -> dispatcher (request; answered with unit or an error). Handing in the same job once more
/// changes nothing, so a client may ask again when the answer was lost.
struct submit_job {
  std::shared_ptr<const job_submission> job;
  caf::actor client;
};
/// client -> job manager -> dispatcher (request, answered with unit) -> job master.
struct cancel_job {
  std::string job;
};
/// client -> dispatcher -> job master (request): a picture of the job.
struct query_job {
  std::string job;
};
/// dispatcher -> job master: begin.
struct start_job {};
/// job master -> dispatcher -> client: the job's status has changed.
struct job_update {
  std::string job;
  job_status status = job_status::created;
  std::string waits_for = {}; ///< what is missing; empty: nothing is, or it is not known
};
/// job master -> dispatcher -> client: the job has ended. Shared, because results may be large.
struct job_ended {
  std::shared_ptr<const job_result> result;
};
/// dispatcher -> job master: the result is kept; go.
struct job_archived {
  std::string job;
};
/// dispatcher -> job master: I am the dispatcher now (a new one took over).
struct use_dispatcher {
  caf::actor dispatcher;
};
/// job master -> itself, INTERNAL, delayed: the back-off is over.
struct restart_due {
  region_index region = 0;
};
/// job manager -> dispatcher, task managers: whom to talk to from now on (a component was replaced).
struct use_resource_manager {
  caf::actor resource_manager;
};
/// anybody -> a supervisor (request, answered with a string): its subtree as text, with its history of failures.
struct describe_tree {};
/// a supervisor -> itself, INTERNAL, delayed: the back-off of a child is over.
struct respawn_child {
  std::string child;
  std::uint32_t attempt = 0; ///< of the child to be; an older one has been overtaken by events
};

// ---- a user's actors -> a pipeline: actor_source.hpp
// ------------------------------------------------------------------------------------------------

/// sender -> feed: the next records. Answered with feed_ack once a reader of the source has taken all of them; with an
/// error when they are refused, or were not taken before the job ended.
template <class T>
struct feed_batch {
  std::uint64_t sequence = 0; ///< of this sender's batches: 1, 2, 3 ...
  std::vector<T> records;
};
/// feed -> sender: the answer to a batch, or to a single record.
struct feed_ack {
  std::uint64_t sequence = 0; ///< of the batch; 0: of a single record
  std::uint32_t credit = 0;   ///< so many more messages this sender may send because of this answer
};
/// anybody -> feed (answered with unit): nothing more will come, from no sender. The source ends behind what it has.
struct feed_close {};
/// readers -> feed, INTERNAL: these have been taken.
struct feed_taken {
  std::vector<std::uint64_t> numbers;
};
/// source -> feed, INTERNAL: nobody will read any more.
struct feed_over {
  error why;
};

// ---- a pipeline -> a user's actor: actor_sink.hpp
// ------------------------------------------------------------------------------------------------

/// sink -> the user's actor (request, answered with unit): the next records of one subtask. The answer is the
/// acknowledgement: it lets the next one come.
template <class T>
struct sink_batch {
  std::uint32_t subtask = 0, attempt = 0;
  std::uint64_t sequence = 0; ///< of this subtask and attempt: 1, 2, 3 ...
  std::vector<T> records;
};
/// sink -> its courier, INTERNAL: a sink_batch to pass on.
struct deliver_batch {
  caf::message batch;
};

} // namespace dataflow::actors

namespace caf {
template <class T>
struct allowed_unsafe_message_type<dataflow::actors::feed_batch<T>> : std::true_type {};
template <class T>
struct allowed_unsafe_message_type<dataflow::actors::sink_batch<T>> : std::true_type {};
} // namespace caf

#define DATAFLOW_MESSAGE(name) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dataflow::actors::name)
DATAFLOW_MESSAGE(channel_data)
DATAFLOW_MESSAGE(channel_credit_grant)
DATAFLOW_MESSAGE(run_step)
DATAFLOW_MESSAGE(timer_due)
DATAFLOW_MESSAGE(wake_source)
DATAFLOW_MESSAGE(announce_limits)
DATAFLOW_MESSAGE(write_snapshot)
DATAFLOW_MESSAGE(checkpoint_task_changed)
DATAFLOW_MESSAGE(snapshot_enumerators)
DATAFLOW_MESSAGE(enumerators_snapshotted)
DATAFLOW_MESSAGE(begin_barriers)
DATAFLOW_MESSAGE(checkpoint_done)
DATAFLOW_MESSAGE(checkpoint_undone)
DATAFLOW_MESSAGE(checkpoints_changed)
DATAFLOW_MESSAGE(checkpoints_failed)
DATAFLOW_MESSAGE(checkpoint_timer)
DATAFLOW_MESSAGE(choose_restore)
DATAFLOW_MESSAGE(restore_from)
DATAFLOW_MESSAGE(checkpoints_over)
DATAFLOW_MESSAGE(job_ready)
DATAFLOW_MESSAGE(read_state)
DATAFLOW_MESSAGE(state_loaded)
DATAFLOW_MESSAGE(add_slots)
DATAFLOW_MESSAGE(request_slots)
DATAFLOW_MESSAGE(slots_granted)
DATAFLOW_MESSAGE(slots_denied)
DATAFLOW_MESSAGE(watch_slots)
DATAFLOW_MESSAGE(slots_free)
DATAFLOW_MESSAGE(look_at_slots)
DATAFLOW_MESSAGE(slots_awaited)
DATAFLOW_MESSAGE(slots_released)
DATAFLOW_MESSAGE(request_expired)
DATAFLOW_MESSAGE(look_after_task_managers)
DATAFLOW_MESSAGE(submit_job)
DATAFLOW_MESSAGE(start_job)
DATAFLOW_MESSAGE(restart_due)
DATAFLOW_MESSAGE(job_archived)
DATAFLOW_MESSAGE(use_dispatcher)
DATAFLOW_MESSAGE(respawn_child)
DATAFLOW_MESSAGE(feed_ack)
DATAFLOW_MESSAGE(feed_close)
DATAFLOW_MESSAGE(feed_taken)
DATAFLOW_MESSAGE(feed_over)
DATAFLOW_MESSAGE(deliver_batch)
#undef DATAFLOW_MESSAGE
