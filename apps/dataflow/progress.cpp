#include <dataflow/api/explain_silence.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <apps/dataflow/progress.hpp>
#include <cstdio>

namespace dataflow::cli {

namespace {

std::string formatted(const char* format, double value) {
  char buffer[48];
  const int n = std::snprintf(buffer, sizeof buffer, format, value);
  return {buffer, static_cast<std::size_t>(std::max(0, n))};
}

/// Cut or padded to `width`, counting UTF-8 code points as columns.
std::string cell(std::string_view text, std::size_t width, bool right) {
  std::string out;
  std::size_t columns = 0;
  for (const char c : text) {
    const bool starts = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (starts && columns == width) break;
    columns += starts ? 1 : 0;
    out += c;
  }
  const std::string padding(width - columns, ' ');
  return right ? padding + out : out + padding;
}

std::chrono::milliseconds age(const job_report& r) { return std::max(r.now - r.started, std::chrono::milliseconds{0}); }

std::string percent(double share) { return formatted("%.0f%%", share * 100); }

nlohmann::ordered_json task_json(const task_summary& r) {
  return {{"task", r.task},
          {"subtasks", r.subtasks},
          {"numRecordsIn", static_cast<std::uint64_t>(r.records_in)},
          {"numRecordsOut", static_cast<std::uint64_t>(r.records_out)},
          {"numRecordsInPerSecond", r.records_in_per_second},
          {"numRecordsOutPerSecond", r.records_out_per_second},
          {"busyTimeMsPerSecond", r.busy * 1000},
          {"idleTimeMsPerSecond", r.idle * 1000},
          {"backPressuredTimeMsPerSecond", r.backpressured * 1000},
          {"backpressure-level", back_pressure_level(r.most_backpressured)}};
}

/// Names are the user's bytes; what is no UTF-8 is replaced.
std::string dump(const nlohmann::ordered_json& j) {
  return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace

std::vector<task_summary> progress_tracker::update(const job_report& report) {
  auto rows = summarize_tasks(with_rates(report.metrics, last_), report.id);
  last_ = report.metrics;
  return rows;
}

std::string_view back_pressure_level(double share) noexcept {
  return share <= 0.1 ? "ok" : share <= 0.5 ? "low" : "high";
}

std::string short_number(double n) {
  if (n >= 1e9) return formatted("%.2fG", n / 1e9);
  if (n >= 1e6) return formatted("%.2fM", n / 1e6);
  if (n >= 1e4) return formatted("%.1fk", n / 1e3);
  return formatted("%.0f", n);
}

std::string short_duration(std::chrono::milliseconds d) {
  const auto seconds = d.count() / 1000;
  char buffer[48];
  if (d.count() < 10'000)
    std::snprintf(buffer, sizeof buffer, "%.1fs", static_cast<double>(d.count()) / 1000);
  else if (seconds < 60)
    std::snprintf(buffer, sizeof buffer, "%llds", static_cast<long long>(seconds));
  else if (seconds < 3600)
    std::snprintf(buffer, sizeof buffer, "%lldm%02llds", static_cast<long long>(seconds / 60),
                  static_cast<long long>(seconds % 60));
  else
    std::snprintf(buffer, sizeof buffer, "%lldh%02lldm", static_cast<long long>(seconds / 3600),
                  static_cast<long long>(seconds / 60 % 60));
  return buffer;
}

std::string progress_block(const job_report& report, const std::vector<task_summary>& rows, std::size_t width) {
  constexpr std::size_t numbers = 5 + 10 + 10 + 10 + 6 + 14; // the columns after the name
  const auto name_width = std::clamp<std::size_t>(width > numbers + 2 ? width - numbers - 2 : 10, 10, 60);
  const auto line = [&](std::string_view name, std::string_view subtasks, std::string_view in, std::string_view out,
                        std::string_view total, std::string_view busy, std::string_view pressure) {
    return "  " + cell(name, name_width, false) + cell(subtasks, 5, true) + cell(in, 10, true) + cell(out, 10, true) +
           cell(total, 10, true) + cell(busy, 6, true) + cell(pressure, 14, true) + "\n";
  };
  std::string text = report.name + "  " + std::string{to_string(report.status)} + "  " + short_duration(age(report));
  if (report.restarts > 0) text += "  restarts " + std::to_string(report.restarts);
  text = cell(text, width, false) + "\n";
  text += line("task", "x", "in/s", "out/s", "records", "busy", "back-pressure");
  for (const auto& r : rows) {
    const auto pressure = std::string{back_pressure_level(r.most_backpressured)} + " " + percent(r.most_backpressured);
    text += line(r.task, std::to_string(r.subtasks), short_number(r.records_in_per_second),
                 short_number(r.records_out_per_second), short_number(std::max(r.records_in, r.records_out)),
                 percent(r.busiest), pressure);
  }
  return text;
}

std::string progress_line(const job_report& report, const std::vector<task_summary>& rows) {
  auto text = short_duration(age(report)) + " " + std::string{to_string(report.status)};
  if (report.restarts > 0) text += " restarts=" + std::to_string(report.restarts);
  for (const auto& r : rows) {
    text += " | " + r.task + ": in " + short_number(r.records_in_per_second) + "/s, out " +
            short_number(r.records_out_per_second) + "/s, busy " + percent(r.busiest) + ", back-pressure " +
            std::string{back_pressure_level(r.most_backpressured)};
  }
  return text + "\n";
}

std::string progress_json(const job_report& report, const std::vector<task_summary>& rows) {
  nlohmann::ordered_json j{{"type", "progress"},
                           {"job", report.id},
                           {"name", report.name},
                           {"status", to_string(report.status)},
                           {"duration_ms", age(report).count()},
                           {"restarts", report.restarts},
                           {"tasks", nlohmann::ordered_json::array()}};
  for (const auto& r : rows)
    j["tasks"].push_back(task_json(r));
  return dump(j) + "\n";
}

std::string silence_lines(const job_report& report) {
  std::string text;
  for (const auto& s : explain_silence(report))
    text += "event time: " + s.text + "\n";
  return text;
}

std::string late_lines(const job_report& report) {
  std::string text;
  for (const auto& [name, count] : late_records_dropped(report))
    text += "Late records dropped by " + name + ": " + std::to_string(count) + "\n";
  return text;
}

std::string result_json(const job_result& result) {
  nlohmann::ordered_json j{
      {"type", "result"},
      {"job", result.id},
      {"name", result.name},
      {"status", to_string(result.status)},
      {"duration_ms", result.duration.count()},
      {"restarts", result.restarts},
      {"accumulators", result.accumulators},
      {"metrics", nlohmann::ordered_json::parse(metrics_as_json(with_rates(result.final_report.metrics, {})))}};
  if (result.failure) {
    j["error"] = {{"code", to_string(result.failure.code())},
                  {"cause", result.failure.cause()},
                  {"advice", result.failure.advice()}};
  }
  return dump(j) + "\n";
}

std::string savepoint_json(const std::string& path) {
  return dump(nlohmann::ordered_json{{"type", "savepoint"}, {"path", path}}) + "\n";
}

} // namespace dataflow::cli
