#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/network/data_links.hpp>
#include <dataflow/actors/taskmanager/task.hpp>
#include <dataflow/actors/taskmanager/task_config.hpp>
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/network/element_codec.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/actor_ostream.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace dataflow::actors {

task_actor::task_actor(caf::actor_config& config, task_arguments arguments)
    : event_based_actor(config), arguments_(std::move(arguments)) {
  keep_exception_texts(*this);
  log_name_ = task_title(*arguments_.job->plan, arguments_.key.task) + "#" + std::to_string(arguments_.key.attempt);
  auto what = make_subtask_config(*arguments_.job, arguments_.key, std::exchange(arguments_.restored, {}).get(),
                                  std::exchange(arguments_.disk.place, {}));
  what.trace = std::exchange(arguments_.trace, {});
  subtask_ = std::make_unique<subtask>(std::move(what), *arguments_.world, *this, *arguments_.control->metrics,
                                       arguments_.control->pause);
}

task_actor::~task_actor() = default;

caf::behavior task_actor::make_behavior() {
  return {
      [this](channel_data& m) {
        if (!current(m.attempt) || ended_) return;
        guarded([&] {
          subtask_->receive(m.channel, m.sequence, m.bytes, std::move(m.what));
          schedule_step();
        });
      },
      [this](const channel_credit_grant& m) {
        if (!current(m.attempt) || ended_) return;
        guarded([&] {
          subtask_->credit(m.gate, m.channel, m.batches, m.bytes);
          schedule_step();
        });
      },
      [this](const element_received& m) {
        if (!current(m.what.attempt) || ended_) return;
        guarded([&] { receive(m); });
      },
      [this](const link_broken& m) { fail(m.why); },
      [this](run_step) { step(); },
      [this](const timer_due& m) {
        if (steady_time{m.at} != armed_) return;
        armed_ = step_result::never;
        schedule_step();
      },
      [this](wake_source) { schedule_step(); },
      [this](splits_assigned& m) {
        if (!current(m.key) || ended_) return;
        guarded([&] {
          subtask_->add_splits(std::move(m.splits));
          schedule_step();
        });
      },
      [this](const no_more_splits& m) {
        if (!current(m.key) || ended_) return;
        guarded([&] {
          subtask_->no_more_splits();
          schedule_step();
        });
      },
      [this](const watermark_limit& m) {
        if (!current(m.key) || ended_) return;
        subtask_->limit_watermark(m.most);
        schedule_step();
      },
      [this](const trigger_checkpoint& m) {
        if (!current(m.key) || ended_ || !running_) return;
        guarded([&] {
          const bool waits = m.options->alignment != barrier_alignment::none;
          subtask_->trigger_checkpoint(element::barrier(static_cast<std::int64_t>(m.id), waits, m.options));
          schedule_step();
        });
      },
      [this](const notify_checkpoint_complete& m) {
        if (!current(m.key) || ended_ || !running_) return;
        guarded([&] {
          if (arguments_.disk.files) arguments_.disk.files->completed(m.id);
          subtask_->checkpoint_completed(static_cast<std::int64_t>(m.id));
          schedule_step();
        });
      },
      [this](const notify_checkpoint_aborted& m) {
        if (!current(m.key) || ended_ || !running_) return;
        guarded([&] {
          if (arguments_.disk.files) arguments_.disk.files->aborted(m.id);
          subtask_->abort_checkpoint(static_cast<std::int64_t>(m.id));
          schedule_step();
        });
      },
      [this](start_task& m) {
        if (current(m.key) && !ended_) start(m);
      },
      [this](const cancel_task& m) {
        if (!current(m.key) || ended_) return;
        report(task_status::canceling);
        ended_ = true;
        subtask_->close();
        report(task_status::canceled);
        quit();
      },
  };
}

/// Fencing of channel messages: what was meant for another attempt is dropped, counted, and logged once.
bool task_actor::current(std::uint32_t attempt) {
  if (attempt == arguments_.key.attempt) return true;
  arguments_.control->metrics->stale_messages.add(1);
  if (!std::exchange(stale_logged_, true))
    log_warn({"task", arguments_.job->id, log_name_},
             "a channel message of attempt " + std::to_string(attempt) + " was dropped; further ones are only counted");
  return false;
}

/// Everything that runs a user's code goes through here: what it throws fails the task with its text, what it logs has
/// the job and the task.
template <class F>
void task_actor::guarded(F&& f) {
  const log_scope here{{"task", arguments_.job->id, log_name_}};
  try {
    f();
  } catch (...) {
    fail(current_error(), subtask_->failed_at());
  }
}

void task_actor::start(start_task& m) {
  outputs_ = std::move(m.outputs);
  inputs_ = std::move(m.inputs);
  report(task_status::initializing);
  guarded([&] {
    reach_peers(m.places);
    subtask_->open();
    running_ = true;
    report(task_status::running);
    schedule_step();
  });
}

/// Peers on other task managers are reached over links.
void task_actor::reach_peers(const std::vector<task_manager_address>& places) {
  const auto own = link_address(arguments_.job->id, arguments_.key.task, arguments_.key.attempt);
  std::map<std::string, caf::actor> links; // that the task uses
  auto reach = [&](channel_peer& peer) {
    if (peer.task) return;
    auto& link = links[peer.task_manager];
    if (!link) {
      const auto place = std::find_if(places.begin(), places.end(),
                                      [&](const task_manager_address& p) { return p.id == peer.task_manager; });
      if (place != places.end() && arguments_.links) link = arguments_.links->link_to(*place);
      if (!link)
        throw error{errc::connection_failed, "there is no link to task manager " + peer.task_manager +
                                                 ", which has a task that this one exchanges records with"};
      event_based_actor::send(link, use_link{own, caf::actor_cast<caf::actor>(this)});
    }
    peer.task = link;
    peer.address = link_address(arguments_.job->id, peer.key.task, peer.key.attempt);
  };
  for (auto& gate : outputs_)
    for (auto& peer : gate)
      reach(peer);
  for (auto& peer : inputs_)
    reach(peer);
}

/// The job's own codecs run here, in its task.
void task_actor::receive(const element_received& m) {
  const auto& e = m.what;
  auto& pool = subtask_->pool_of_channel(e.channel);
  subtask_->receive(e.channel, e.sequence, e.credit, decode_element(e.payload.bytes, pool));
  schedule_step();
}

void task_actor::schedule_step() {
  if (step_pending_ || !running_ || ended_) return;
  step_pending_ = true;
  event_based_actor::send(this, run_step{});
}

void task_actor::step() {
  step_pending_ = false;
  if (!running_ || ended_) return;
  guarded([&] {
    auto result = subtask_->step();
    arguments_.control->metrics->mailbox_size.set(mailbox().size());
    switch (result.what) {
    case step_result::kind::again:
      schedule_step();
      break;
    case step_result::kind::finished:
      ended_ = true;
      subtask_->close();
      report(task_status::finished);
      return quit();
    default:
      break;
    }
    if (result.at != step_result::never) arm_timer(result.at);
  });
}

void task_actor::arm_timer(steady_time at) {
  if (armed_ <= at) return;
  armed_ = at;
  const auto now = arguments_.world->clock->now();
  delayed_send(this, at > now ? at - now : steady_time{0}, timer_due{at.count()});
}

void task_actor::report(task_status status, error failure, std::shared_ptr<const record_origin> failed_at) {
  arguments_.control->status.store(status, std::memory_order_relaxed);
  task_update update{arguments_.key, status, std::move(failure), {}};
  if (status == task_status::finished) {
    update.accumulators = subtask_->accumulators();
    update.last_checkpoint = last_checkpoint_;
  }
  if (is_terminal(status)) update.records_read = subtask_->records_read();
  if (failed_at) update.failed_at = *failed_at;
  event_based_actor::send(arguments_.job_master, std::move(update));
}

void task_actor::fail(error e, std::shared_ptr<const record_origin> failed_at) {
  if (ended_) return;
  ended_ = true;
  subtask_->close();
  report(task_status::failed, e, std::move(failed_at));
  quit(to_caf(e));
}

void task_actor::on_exit() {
  ended_ = true;
  // Buffers go back to their pools and the circle of handles between tasks is cut.
  subtask_.reset();
  outputs_.clear();
  inputs_.clear();
  arguments_.job_master = nullptr;
  arguments_.state_keeper = nullptr;
  arguments_.alive.reset();
  arguments_.sent = nullptr;
  if (arguments_.links)
    arguments_.links->remove_task(link_address(arguments_.job->id, arguments_.key.task, arguments_.key.attempt));
  arguments_.links.reset();
}

void task_actor::send(std::uint32_t gate, std::uint32_t channel, std::uint64_t sequence, std::uint64_t bytes,
                      element e) {
  if (arguments_.sent) arguments_.sent({arguments_.key.task, arguments_.key.attempt, gate, channel, sequence, &e});
  auto& peer = outputs_[gate][channel];
  if (peer.address != 0) {
    byte_writer out;
    encode_element(e, arguments_.links->compress(), out);
    event_based_actor::send(
        peer.task, send_element{{peer.address, peer.attempt, peer.channel, sequence, bytes, shared_bytes{out.take()}}});
    return;
  }
  event_based_actor::send(peer.task, channel_data{peer.attempt, peer.channel, sequence, bytes, std::move(e)});
}

void task_actor::grant(std::uint32_t channel, std::uint32_t batches, std::uint64_t bytes) {
  auto& peer = inputs_[channel];
  if (peer.address != 0) {
    event_based_actor::send(peer.task,
                            send_credit{{peer.address, peer.attempt, peer.gate, peer.channel, batches, bytes}});
    return;
  }
  event_based_actor::send(peer.task, channel_credit_grant{peer.attempt, peer.gate, peer.channel, batches, bytes});
}

/// Readers of blocking sources ask on their own thread, so nothing of the actor may be touched here.
void task_actor::request_split() { caf::anon_send(arguments_.job_master, split_request{arguments_.key}); }

void task_actor::record_skipped(const record_origin& record) {
  caf::anon_send(arguments_.job_master, actors::record_skipped{arguments_.key, record});
}

void task_actor::report_result(std::uint64_t collector, std::string bytes) {
  event_based_actor::send(arguments_.job_master, result_part{arguments_.key, collector, std::move(bytes)});
}

void task_actor::barrier_passed(std::int64_t checkpoint) {
  event_based_actor::send(arguments_.job_master,
                          results_at_barrier{arguments_.key, static_cast<std::uint64_t>(checkpoint)});
}

void task_actor::snapshot_taken(subtask_snapshot snapshot) {
  const auto id = static_cast<std::uint64_t>(snapshot.barrier.value);
  last_checkpoint_ = std::max(last_checkpoint_, id);
  // What is frozen runs the job's code when it is written and destroyed: its library must be there.
  struct with_code {
    std::shared_ptr<const job_description> job;
    subtask_snapshot snapshot;
  };
  auto held = std::make_shared<const with_code>(with_code{arguments_.job, std::move(snapshot)});
  event_based_actor::send(
      arguments_.state_keeper,
      write_snapshot{arguments_.key, arguments_.job->id, task_title(*arguments_.job->plan, arguments_.key.task),
                     arguments_.job_master, arguments_.job->checkpoints,
                     std::shared_ptr<const subtask_snapshot>{held, &held->snapshot}, arguments_.disk.files});
}

void task_actor::awaits_checkpoint() {
  event_based_actor::send(arguments_.job_master, task_awaits_checkpoint{arguments_.key, last_checkpoint_});
}

void task_actor::report_watermark(timestamp watermark) {
  event_based_actor::send(arguments_.job_master, watermark_report{arguments_.key, watermark});
}

std::function<void()> task_actor::wake_up() {
  auto weak = caf::actor_cast<caf::weak_actor_ptr>(ctrl());
  return [weak] {
    if (auto strong = weak.lock()) caf::anon_send(caf::actor_cast<caf::actor>(strong), wake_source{});
  };
}

} // namespace dataflow::actors
