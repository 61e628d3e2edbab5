#include <dataflow/util/error.hpp>
#include <dataflow/util/log.hpp>
#include <dataflow/util/log_settings.hpp>

#include <nlohmann/json.hpp>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

namespace dataflow {

namespace {

constexpr std::array<std::string_view, 6> names{"trace", "debug", "info", "warn", "error", "off"};

using sink = std::shared_ptr<spdlog::logger>;

/// Text lines carry their fields in the message; of JSON lines, the message is what follows time and level.
sink make_sink(const log_settings& settings) {
  spdlog::sink_ptr to;
  try {
    if (settings.file.empty())
      to = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    else
      to = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(settings.file, settings.file_size, settings.files);
  } catch (const spdlog::spdlog_ex& e) {
    throw error{errc::io_failed, "cannot log to '" + settings.file + "': " + e.what(),
                "make its directory writable, or set log.file.path to another file"};
  }
  auto out = std::make_shared<spdlog::logger>("dataflow", std::move(to));
  out->set_level(spdlog::level::trace);
  if (settings.format == log_format::json)
    out->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":%v})", spdlog::pattern_time_type::utc);
  else
    out->set_pattern("%Y-%m-%d %H:%M:%S.%e %v");
  out->flush_on(spdlog::level::trace);
  return out;
}

/// The least level that some logger has.
log_level floor_of(const log_settings& s) {
  auto least = s.level;
  for (const auto& [name, level] : s.levels)
    least = std::min(least, level);
  return least;
}

std::atomic<log_level> least_level{log_level::warn};

std::mutex state_mutex;
log_capture* innermost = nullptr; // guarded by state_mutex

struct destination {
  log_settings settings;
  sink out = make_sink({});
};
/// Guarded by state_mutex. Never destroyed: threads may log until the very end of the process.
destination& process() {
  static auto* const instance = new destination;
  return *instance;
}

thread_local log_fields scope;

log_fields completed(log_fields who) {
  const auto fill = [](std::string_view& field, std::string_view from) {
    if (field.empty()) field = from;
  };
  fill(who.component, scope.component);
  fill(who.job, scope.job);
  fill(who.task, scope.task);
  return who;
}

std::string as_text(const log_settings& settings, const log_fields& who, std::string_view text) {
  std::string out;
  const auto field = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out += out.empty() ? "[" : " ";
    if (!name.empty()) (out += name) += ' ';
    out += value;
  };
  field({}, settings.node);
  field({}, who.component);
  field("job", who.job);
  field("task", who.task);
  if (!out.empty()) out += "] ";
  return out.append(text);
}

std::string as_json(log_level level, const log_settings& settings, const log_fields& who, std::string_view text) {
  const auto quoted = [](std::string_view value) {
    return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  auto out = quoted(to_string(level));
  const auto field = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) (((out += ",\"") += name) += "\":") += quoted(value);
  };
  field("node", settings.node);
  field("logger", who.component);
  field("job", who.job);
  field("task", who.task);
  return ((out += ",\"message\":") += quoted(text));
}

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
  case log_level::trace:
    return spdlog::level::trace;
  case log_level::debug:
    return spdlog::level::debug;
  case log_level::info:
    return spdlog::level::info;
  case log_level::warn:
    return spdlog::level::warn;
  case log_level::error:
    return spdlog::level::err;
  case log_level::off:
    break;
  }
  return spdlog::level::off;
}

/// REQUIRES: state_mutex is held.
void set_levels(log_level level, decltype(log_settings::levels) levels) {
  auto& settings = process().settings;
  settings.level = level;
  settings.levels = std::move(levels);
  least_level.store(floor_of(settings), std::memory_order_relaxed);
}

} // namespace

std::string_view to_string(log_level level) noexcept { return names.at(static_cast<std::size_t>(level)); }

std::optional<log_level> parse_log_level(std::string_view text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return std::nullopt;
  return static_cast<log_level>(found - names.begin());
}

log_level log_settings::level_of(std::string_view component) const {
  if (const auto exact = levels.find(component); exact != levels.end()) return exact->second;
  auto found = level;
  std::size_t longest = 0;
  for (const auto& [name, of_name] : levels)
    if (name.size() > longest && name.back() == '*' &&
        component.starts_with(std::string_view{name}.substr(0, name.size() - 1))) {
      longest = name.size();
      found = of_name;
    }
  return found;
}

void configure_log(const log_settings& settings) {
  auto out = make_sink(settings);
  const std::lock_guard guard{state_mutex};
  process().settings = settings;
  std::swap(process().out, out);
  least_level.store(floor_of(settings), std::memory_order_relaxed);
}

log_settings current_log_settings() {
  const std::lock_guard guard{state_mutex};
  return process().settings;
}

void set_log_level(log_level level) noexcept {
  const std::lock_guard guard{state_mutex};
  set_levels(level, {});
}

log_level current_log_level() noexcept { return least_level.load(std::memory_order_relaxed); }

log_scope::log_scope(const log_fields& fields) noexcept : before_(scope) { scope = completed(fields); }
log_scope::~log_scope() { scope = before_; }

void log_message(log_level level, const log_fields& who, std::string_view text) {
  if (!log_enabled(level)) return;
  const auto speaker = completed(who);
  sink out;
  std::string line;
  {
    const std::lock_guard guard{state_mutex};
    const auto& settings = process().settings;
    if (level < settings.level_of(speaker.component)) return;
    if (innermost) {
      const std::lock_guard lines{innermost->mutex_};
      innermost->lines_.push_back(std::string{to_string(level)} + " " + as_text(settings, speaker, text));
      return;
    }
    out = process().out;
    line = settings.format == log_format::json ? as_json(level, settings, speaker, text)
                                               : std::string{to_string(level)} + " " + as_text(settings, speaker, text);
  }
  out->log(to_spdlog(level), "{}", line);
}

struct log_capture::levels {
  log_level level;
  decltype(log_settings::levels) of_loggers;
};

log_capture::log_capture(log_level level) {
  const std::lock_guard guard{state_mutex};
  const auto& settings = process().settings;
  before_ = std::make_unique<levels>(levels{settings.level, settings.levels});
  outer_ = innermost;
  innermost = this;
  set_levels(level, {});
}

log_capture::~log_capture() {
  const std::lock_guard guard{state_mutex};
  innermost = outer_;
  set_levels(before_->level, std::move(before_->of_loggers));
}

std::vector<std::string> log_capture::lines() const {
  const std::lock_guard guard{mutex_};
  return lines_;
}

bool log_capture::contains(std::string_view part) const {
  const std::lock_guard guard{mutex_};
  return std::any_of(lines_.begin(), lines_.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

} // namespace dataflow
