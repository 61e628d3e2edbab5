// `dataflow upgrade`: a job of a cluster is replaced by a changed one. The order of the steps, and the ways back, are
// in dataflow/recovery/upgrade.hpp.
#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/network/remote_cluster.hpp>
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/recovery/upgrade.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/platform.hpp>

#include <algorithm>
#include <apps/dataflow/cluster_commands.hpp>
#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/interrupts.hpp>
#include <optional>
#include <utility>

namespace dataflow::cli {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_interval{50};

void print(const std::string& text) { system_platform().out->write(text); }
void say(const std::string& text) { system_platform().err->write(text); }

bool lies_on_disk(const std::string& checkpoint) {
  return !checkpoint.empty() && !checkpoint.starts_with(actors::in_memory_root);
}

upgrade_situation situation_of(const job_report& report, bool kept_on_cancel) {
  upgrade_situation s;
  s.running = report.status == job_status::running;
  s.ended = is_terminal(report.status);
  if (lies_on_disk(report.checkpoints.last_path)) s.last_checkpoint = report.checkpoints.last_path;
  s.kept_on_cancel = kept_on_cancel || s.ended; // what a job left behind is found by the check
  return s;
}

/// Starting the other version could double output: this one has completed a checkpoint, or nobody knows what became of
/// what was asked for.
struct no_way_back {
  error why;
};

/// `f`, a request that changes something. Whose answer is lost may have been heard.
template <class F>
auto changed_by(F&& f) {
  try {
    return f();
  } catch (const error& e) {
    if (e.code() != errc::component_lost && e.code() != errc::timed_out) throw;
    throw no_way_back{e};
  }
}

class upgrader {
public:
  explicit upgrader(const command_line& line)
      : line_(line), cluster_(cluster_of(line)), old_(cluster_->origin_of(line.job_id)),
        old_job_(cluster_->attach(line.job_id)) {
    cluster_->on_waiting([](const std::string& what) { say("Waiting for resources: " + what + "\n"); });
    const auto job = build_job(line);
    for (const auto& warning : job.warnings)
      say("warning: " + warning + "\n");
    new_ = origin_of(*cluster_, line, job);
  }

  int run() {
    situation_ = situation_of(cluster_->report(line_.job_id), old_.kept_on_cancel);
    upgrade steps{line_.mode, situation_};
    while (steps.next() != upgrade_step::done) {
      try {
        steps.succeeded(take(steps.next(), steps.path()));
      } catch (const no_way_back& n) {
        if (steps.next() == upgrade_step::start_old)
          steps.failed(n.why);
        else
          steps.failed_beyond_return(n.why);
      } catch (const error& e) {
        steps.failed(e);
      }
    }
    return report(steps);
  }

private:
  std::string take(upgrade_step step, const std::string& path) {
    switch (step) {
    case upgrade_step::check_first:
      check_first();
      return {};
    case upgrade_step::stop_with_savepoint: {
      print("Suspending job \"" + line_.job_id + "\" with a savepoint.\n");
      auto savepoint = changed_by([&] { return old_job_->stop_with_savepoint(absolute(line_.target_directory)); });
      print("Savepoint completed. Path: " + uri_of(savepoint) + "\n");
      return savepoint;
    }
    case upgrade_step::cancel:
      return cancel_old();
    case upgrade_step::check_new:
      check(new_, path);
      return {};
    case upgrade_step::start_new:
      start(new_, path, "the new version does not run");
      return {};
    case upgrade_step::start_old:
      print("The new version does not run: going back.\n");
      start(*old_.origin, path, "the old version does not run");
      return {};
    case upgrade_step::done:
      break;
    }
    return {};
  }

  /// What the old job has saved will do. A checkpoint may be gone when it is looked at, and may hold less than a
  /// savepoint can: only a savepoint that is taken for it, and removed, says no.
  void check_first() {
    if (line_.mode == upgrade_mode::stateless) {
      check(new_, {});
      return;
    }
    if (!situation_.last_checkpoint.empty()) {
      try {
        check(new_, situation_.last_checkpoint);
        return;
      } catch (const error& e) {
        const bool gone = e.code() == errc::file_not_found || e.code() == errc::corrupt_state;
        if (!situation_.running || (line_.mode == upgrade_mode::last_state && !gone)) throw;
      }
    }
    const auto savepoint = old_job_->trigger_savepoint(absolute(line_.target_directory));
    std::optional<error> refused;
    try {
      check(new_, savepoint);
    } catch (const error& e) {
      refused = e;
    }
    try {
      dispose_savepoint(*system_platform().files, savepoint);
    } catch (const error& e) {
      say("warning: the savepoint that was taken for a check is left behind: " + e.cause() + "\n");
    }
    if (refused) throw *refused;
  }

  actors::job_accepted check(const actors::job_origin& origin, const std::string& path) {
    auto answer = cluster_->check(starting_from(origin, path));
    if (answer.starts_from.empty() != path.empty() || (!path.empty() && uri_of(answer.starts_from) != uri_of(path)))
      throw error{errc::invalid_option,
                  "the code of job " + origin.name + " says that it starts from '" + answer.starts_from + "'",
                  "leave env.start_from() out: an upgrade says what the job starts from"};
    return answer;
  }
  static std::shared_ptr<const actors::job_origin> starting_from(actors::job_origin origin, const std::string& path) {
    origin.settings.set("execution.state-recovery.path", path, config_layer::command_line, "an upgrade");
    origin.settings.set("execution.state-recovery.claim-mode", "NO_CLAIM", config_layer::command_line, "an upgrade");
    return std::make_shared<const actors::job_origin>(std::move(origin));
  }

  /// Returns its last checkpoint.
  std::string cancel_old() {
    print("Cancelling job " + line_.job_id + ".\n");
    try {
      changed_by([&] { cluster_->cancel(line_.job_id); });
    } catch (const error&) { // it may just have ended
      if (!old_job_->wait_for(std::chrono::seconds{1})) throw;
    }
    const auto result = old_job_->wait();
    if (is_lost(result)) throw no_way_back{result.failure};
    print("Cancelled job " + line_.job_id + ".\n");
    const auto& last = result.final_report.checkpoints.last_path;
    return lies_on_disk(last) ? last : std::string{};
  }

  /// Returns when the job runs. `failure`: what it is when it does not.
  void start(const actors::job_origin& origin, const std::string& path, const char* failure) {
    const auto with_checkpoint = check(origin, path).can_make_checkpoints;
    const auto job = changed_by([&] { return cluster_->submit(starting_from(origin, path)); });
    print("Job has been submitted with JobID " + job->id() + "\n");
    started_ = job->id();
    auto& time = *system_platform().clock;
    const auto end = time.now() + line_.patience;
    const auto interrupts_before = interrupts::received();
    std::optional<std::uint32_t> asked; // for a checkpoint, after so many restarts
    job_report report;
    while (!job->wait_for(look_interval)) {
      report = job->report();
      if (with_checkpoint && report.checkpoints.completed > 0) return;
      if (all_tasks_run(report)) {
        if (!with_checkpoint) return;
        if (asked != report.restarts) cluster_->ask_for_checkpoint(job->id());
        asked = report.restarts;
      }
      if (interrupts::received() != interrupts_before) give_up(*job, report, "was given up by a signal", failure);
      if (time.now() >= end)
        give_up(*job, report,
                std::string{with_checkpoint ? "has completed no checkpoint" : "does not run"} + " after " +
                    std::to_string(line_.patience.count()) + " ms",
                failure);
    }
    const auto result = job->wait();
    if (result.status != job_status::finished) fail(result, result.failure.within(failure));
  }
  static bool all_tasks_run(const job_report& report) {
    return report.status == job_status::running && !report.tasks.empty() &&
           std::all_of(report.tasks.begin(), report.tasks.end(), [](const task_report& t) {
             return t.status == task_status::running || t.status == task_status::finished;
           });
  }
  [[noreturn]] static void give_up(job_client& job, const job_report& report, const std::string& what,
                                   const char* failure) {
    auto cause = "job " + job.id() + " " + what + ": it is " + std::string{to_string(report.status)};
    if (!report.failures.empty()) cause += ", and has failed with " + report.failures.back().cause.cause();
    job.cancel();
    fail(job.wait(), error{errc::timed_out, cause, "give it more time with --timeout, or see its log"}.within(failure));
  }
  [[noreturn]] static void fail(const job_result& result, const error& why) {
    if (is_lost(result) || result.final_report.checkpoints.completed > 0) throw no_way_back{why};
    throw error{why};
  }
  /// The client has lost sight of the job.
  static bool is_lost(const job_result& result) {
    return result.failure.code() == errc::component_lost && result.final_report.tasks.empty();
  }

  int report(const upgrade& steps) const {
    switch (steps.outcome()) {
    case upgrade_outcome::upgraded:
      print("Job " + line_.job_id + " was upgraded: job " + started_ + " runs.\n");
      return exit_success;
    case upgrade_outcome::untouched:
      report_error(steps.why(), false);
      say("Nothing has changed: job " + line_.job_id +
          (situation_.ended ? " had ended before.\n" : " is as it was.\n"));
      return cli::exit_code_of(steps.why());
    case upgrade_outcome::went_back:
      report_error(steps.why(), false);
      print("The version before runs again: job " + started_ + ".\n");
      return exit_job_failed;
    case upgrade_outcome::stranded:
      report_error(steps.why(), false);
      say("Neither version is known to run: see `dataflow list`" +
          (steps.path().empty() ? std::string{} : "; the old one ended at " + uri_of(steps.path())) + ".\n");
      return exit_job_failed;
    }
    return exit_internal;
  }

  const command_line& line_;
  const std::shared_ptr<actors::remote_cluster> cluster_;
  const actors::origin_found old_;
  const std::shared_ptr<job_client> old_job_;
  actors::job_origin new_;
  upgrade_situation situation_;
  std::string started_;
};

} // namespace

int upgrade_job(const command_line& line) {
  const interrupts signals;
  return upgrader{line}.run();
}

} // namespace dataflow::cli
