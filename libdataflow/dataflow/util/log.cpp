#include <dataflow/util/log.hpp>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>

namespace dataflow {

namespace {

std::atomic<log_level> threshold{log_level::warn};

std::mutex capture_mutex;
log_capture* innermost = nullptr; // guarded by capture_mutex

constexpr std::array<std::string_view, 6> names{"trace", "debug", "info", "warn", "error", "off"};

spdlog::logger& logger() {
  // Never destroyed: threads may log until the very end of the process.
  static auto* const instance = [] {
    auto* l = new spdlog::logger("dataflow", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    l->set_level(spdlog::level::trace);
    l->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    l->flush_on(spdlog::level::trace);
    return l;
  }();
  return *instance;
}

std::string compose(const log_fields& who, std::string_view text) {
  std::string out;
  const auto field = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out += out.empty() ? "[" : " ";
    if (!name.empty()) (out += name) += ' ';
    out += value;
  };
  field({}, who.component);
  field("job", who.job);
  field("task", who.task);
  if (!out.empty()) out += "] ";
  return out.append(text);
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

} // namespace

std::string_view to_string(log_level level) noexcept { return names.at(static_cast<std::size_t>(level)); }

std::optional<log_level> parse_log_level(std::string_view text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return std::nullopt;
  return static_cast<log_level>(found - names.begin());
}

void set_log_level(log_level level) noexcept { threshold.store(level, std::memory_order_relaxed); }

log_level current_log_level() noexcept { return threshold.load(std::memory_order_relaxed); }

void log_message(log_level level, const log_fields& who, std::string_view text) {
  if (!log_enabled(level)) return;
  const auto line = compose(who, text);
  {
    const std::lock_guard captures{capture_mutex};
    if (innermost) {
      const std::lock_guard guard{innermost->mutex_};
      innermost->lines_.push_back(std::string{to_string(level)} + " " + line);
      return;
    }
  }
  logger().log(to_spdlog(level), "{}", line);
}

log_capture::log_capture(log_level level) : before_(current_log_level()) {
  const std::lock_guard captures{capture_mutex};
  outer_ = innermost;
  innermost = this;
  set_log_level(level);
}

log_capture::~log_capture() {
  const std::lock_guard captures{capture_mutex};
  innermost = outer_;
  set_log_level(before_);
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
