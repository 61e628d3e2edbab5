/// What a running job looks like: a block that is drawn again and again on a terminal, a line now and then elsewhere,
/// or JSON.
///
/// Pure text from reports, so that it can be looked at without a terminal.
#pragma once

#include <dataflow/api/executor.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace dataflow::cli {

/// Two reports make rates: the tracker keeps the last one.
class progress_tracker {
public:
  /// Rates since the previous report (or the job's start), a row per task.
  std::vector<task_summary> update(const job_report& report);

private:
  metrics_snapshot last_;
};

/// Flink's levels: "ok" (up to 10 %), "low" (up to 50 %), "high".
std::string_view back_pressure_level(double share) noexcept;

/// "1234", "12.3k", "4.56M", "1.20G".
std::string short_number(double n);
/// "0.4s", "12s", "3m05s", "2h07m".
std::string short_duration(std::chrono::milliseconds d);

/// Several lines, each at most `width` columns, for a terminal.
std::string progress_block(const job_report& report, const std::vector<task_summary>& rows, std::size_t width);
/// One line, for a log.
std::string progress_line(const job_report& report, const std::vector<task_summary>& rows);
/// One JSON object: {"type": "progress", "job", "name", "status", "duration_ms", "restarts", "tasks": [...]}.
std::string progress_json(const job_report& report, const std::vector<task_summary>& rows);
/// One JSON object: {"type": "result", "job", "name", "status", "duration_ms", "restarts", "accumulators", "metrics",
/// "error"}.
/// What holds event time back, a line each; empty when nothing does.
std::string silence_lines(const job_report& report);
/// "Late records dropped by Window: 12", a line each.
std::string late_lines(const job_report& report);
std::string result_json(const job_result& result);
/// {"type": "savepoint", "path"}
std::string savepoint_json(const std::string& path);

} // namespace dataflow::cli
