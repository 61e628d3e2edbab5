#include <dataflow/config/log_options.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/file_system.hpp>

#include <apps/dataflow/cluster_commands.hpp>
#include <apps/dataflow/commands.hpp>
#include <apps/dataflow/detach.hpp>
#include <apps/dataflow/exit_codes.hpp>
#include <apps/dataflow/interrupts.hpp>
#include <apps/dataflow/jobs.hpp>
#include <apps/dataflow/log_reload.hpp>
#include <apps/dataflow/progress.hpp>
#include <apps/dataflow/screen.hpp>
#include <csignal>
#include <functional>
#include <optional>
#include <unistd.h>
#include <utility>

namespace dataflow::cli {

namespace {

using std::chrono::milliseconds;

enum class progress_kind { none, block, lines, json };

/// Shows a job until it has ended, and passes Ctrl-C on to it.
class watcher {
public:
  watcher(const command_line& line, std::shared_ptr<job_client> client, text_output& out, text_output& err,
          screen& display, screen::streams kind, log_reload* log)
      : line_(line), client_(std::move(client)), out_(out), err_(err), display_(display), kind_(kind), log_(log) {
    if (line.json)
      how_ = progress_kind::json;
    else if (line.quiet || line.detached)
      how_ = progress_kind::none;
    else
      how_ = kind.err_is_terminal ? progress_kind::block : progress_kind::lines;
  }

  /// When the job was to stop with a savepoint and could not: what the process ends with.
  int failure() const noexcept { return failure_; }
  /// The job was told to end from here.
  bool stopped() const noexcept { return stopping_; }

  job_result wait() {
    const auto interval = line_.config.duration("metrics.fetcher.update-interval");
    auto& time = *system_platform().clock;
    const auto end = line_.stop_after ? time.now() + *line_.stop_after : steady_time::max();
    auto next = time.now() + std::min<std::chrono::nanoseconds>(interval, milliseconds{200}); // the first one soon
    while (!client_->wait_for(milliseconds{25})) {
      if (log_) log_->poll();
      if (interrupts::received() != 0 || time.now() >= end) stop();
      if ((how_ == progress_kind::none && !line_.explain) || time.now() < next) continue;
      const auto report = client_->report();
      show(report);
      if (line_.explain) {
        display_.clear();
        err_.write(silence_lines(report));
      }
      next = time.now() + interval;
    }
    auto result = client_->wait();
    display_.clear();
    return result;
  }

private:
  void stop() {
    // A savepoint needs tasks that run.
    if (stopping_ || (line_.stop_with_savepoint && !can_stop())) return;
    stopping_ = true;
    display_.clear();
    const std::string more = interrupts::received() != 0 ? "; once more aborts." : ".";
    if (line_.stop_with_savepoint) {
      say((line_.drain ? "Draining job \"" : "Suspending job \"") + client_->id() + "\" with a savepoint" + more);
      try {
        const auto path = uri_of(client_->stop_with_savepoint(absolute(*line_.stop_with_savepoint), line_.drain));
        if (line_.json)
          out_.write(savepoint_json(path));
        else
          err_.write("Savepoint completed. Path: " + path + "\n");
        return;
      } catch (const error& e) {
        report_error(e, line_.json);
        failure_ = exit_job_failed;
      }
    }
    say("Cancelling the job" + more);
    client_->cancel();
  }
  bool can_stop() const {
    const auto status = client_->status();
    return status == job_status::running || status == job_status::failing || status == job_status::cancelling;
  }
  void say(const std::string& text) {
    if (!line_.quiet && !line_.json) err_.write(text + "\n");
  }

  void show(const job_report& report) {
    const auto rows = tracker_.update(report);
    switch (how_) {
    case progress_kind::block: {
      auto shown = rows;
      const auto room = kind_.rows > 5 ? kind_.rows - 4 : 1;
      if (shown.size() > room) shown.resize(room);
      display_.show(progress_block(report, shown, kind_.columns));
      return;
    }
    case progress_kind::lines:
      err_.write(progress_line(report, rows));
      return;
    case progress_kind::json:
      out_.write(progress_json(report, rows));
      return;
    case progress_kind::none:
      return;
    }
  }

  const command_line& line_;
  std::shared_ptr<job_client> client_;
  text_output& out_;
  text_output& err_;
  screen& display_;
  const screen::streams kind_;
  log_reload* const log_; // null: SIGHUP has its default meaning
  progress_kind how_ = progress_kind::none;
  progress_tracker tracker_;
  bool stopping_ = false;
  int failure_ = exit_success;
};

/// `from_here`: it was cancelled by this process.
int exit_code_of(const job_result& result, bool from_here) {
  switch (result.status) {
  case job_status::finished:
    return exit_success;
  case job_status::canceled:
    if (!from_here) return exit_job_failed;
    return interrupts::received() != 0 ? 128 + interrupts::received() : exit_success;
  default:
    return exit_job_failed;
  }
}

void report_result(const command_line& line, const job_result& result, text_output& out, text_output& err) {
  if (line.json) {
    out.write(result_json(result));
    return;
  }
  if (line.metrics) err.write("Metrics:\n" + metrics_as_table(result.final_report.metrics));
  if (result.status == job_status::finished) {
    if (line.quiet) return;
    auto text = "Job with JobID " + result.id +
                " has finished.\nJob Runtime: " + std::to_string(result.duration.count()) + " ms\n";
    if (result.restarts > 0) text += "Restarts: " + std::to_string(result.restarts) + "\n";
    if (!result.accumulators.empty()) text += "Accumulator Results:\n";
    for (const auto& [name, value] : result.accumulators)
      text += "- " + name + ": " + std::to_string(value) + "\n";
    text += late_lines(result.final_report);
    err.write(text);
  } else if (result.status == job_status::canceled) {
    if (!line.quiet) err.write("Job with JobID " + result.id + " was cancelled.\n");
  } else {
    report_error(result.failure, false);
  }
}

/// tell: of detached jobs, how the start went.
int run_here(const command_line& line, const std::function<void(int, const std::string&)>& tell) {
  auto& world = system_platform();
  auto& out = *world.out;
  auto& err = *world.err;
  const interrupts signals;
  // Of an attached job, SIGHUP says that the terminal is gone.
  std::optional<log_reload> log;
  if (tell)
    log.emplace(line.config, line.config_file);
  else
    configure_log(log_settings_of(line.config));
  const auto job = build_job(line);
  for (const auto& warning : job.warnings)
    err.write("warning: " + warning + "\n");

  const auto kind = screen::streams::of_process();
  screen display{world, kind, line.json};
  const auto client = line.remote ? submit_remotely(line, job) : default_executor(line.config)->submit(job.graph);
  const auto submitted = "Job has been submitted with JobID " + client->id() + "\n";
  if (line.remote && line.detached) {
    out.write(submitted);
    return exit_success;
  }
  if (tell)
    tell(exit_success, submitted);
  else if (!line.quiet && !line.json)
    err.write(submitted);
  watcher job_at_work{line, client, out, err, display, kind, log ? &*log : nullptr};
  const auto result = job_at_work.wait();
  report_result(line, result, out, err);
  return job_at_work.failure() != exit_success ? job_at_work.failure() : exit_code_of(result, job_at_work.stopped());
}

} // namespace

int run(const command_line& line) {
  if (!line.detached || line.remote) return run_here(line, {});
  const auto log = system_files().temporary_name(line.config.text("io.tmp.dirs"), "dataflow-job-");
  return run_detached(log, [&](const std::function<void(int, const std::string&)>& tell) {
    try {
      return run_here(line, [&](int code, const std::string& text) {
        tell(code, text + "It runs in process " + std::to_string(::getpid()) +
                       " (kill it to cancel the job) and writes to " + log + "\n");
      });
    } catch (const error& e) {
      tell(cli::exit_code_of(e), "error: " + e.to_string() + "\n");
      report_error(e, line.json);
      return cli::exit_code_of(e);
    }
  });
}

} // namespace dataflow::cli
