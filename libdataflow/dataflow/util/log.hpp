/// Logging: one line per message on standard error or in a file (log_settings.hpp), levels that can be changed while
/// the program runs.
///
/// Fields come first in the text: "[job 1f.. task map (1/2)#0] message".
/// Threading: all functions are safe from any thread. Costs one relaxed load when the level is off.
/// The logging library stays inside the source file.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

enum class log_level : std::uint8_t { trace, debug, info, warn, error, off };

std::string_view to_string(log_level level) noexcept;
/// "warn" and so on; empty for anything else.
std::optional<log_level> parse_log_level(std::string_view text);

/// Messages below this are dropped, whoever speaks. At the start: warn. log_settings.hpp has levels of single loggers.
void set_log_level(log_level level) noexcept;
/// The least level that somebody may still log.
log_level current_log_level() noexcept;
inline bool log_enabled(log_level level) noexcept { return level >= current_log_level() && level != log_level::off; }

/// Who speaks; empty fields are left out.
struct log_fields {
  std::string_view component; ///< "job master", "task manager", ...: the logger, whose level may be set
  std::string_view job;       ///< the job's id or name
  std::string_view task;      ///< the task with its subtask and attempt
};

/// Fields that are empty are taken from the log_scope of the thread.
void log_message(log_level level, const log_fields& who, std::string_view text);

/// While it lives, messages of this thread that name no component, job or task of their own have these. The task actor
/// opens one around a user's code. Scopes nest, and end in reverse order on the thread that opened them.
class log_scope {
public:
  /// Borrows the texts.
  explicit log_scope(const log_fields& fields) noexcept;
  ~log_scope();
  log_scope(const log_scope&) = delete;
  log_scope& operator=(const log_scope&) = delete;

private:
  log_fields before_;
};

inline void log_debug(const log_fields& who, std::string_view text) { log_message(log_level::debug, who, text); }
inline void log_info(const log_fields& who, std::string_view text) { log_message(log_level::info, who, text); }
inline void log_warn(const log_fields& who, std::string_view text) { log_message(log_level::warn, who, text); }
inline void log_error(const log_fields& who, std::string_view text) { log_message(log_level::error, who, text); }

/// Everything that is logged while it lives goes here, at the given level and above, instead of to standard error or a
/// file. For tests. Captures nest; the youngest one gets the messages, and all have to end in reverse order, which
/// brings back the levels of before.
class log_capture {
public:
  explicit log_capture(log_level level = log_level::trace);
  ~log_capture();
  log_capture(const log_capture&) = delete;
  log_capture& operator=(const log_capture&) = delete;

  /// "level [fields] text" each.
  std::vector<std::string> lines() const;
  bool contains(std::string_view part) const;

private:
  friend void log_message(log_level level, const log_fields& who, std::string_view text);

  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  struct levels;
  std::unique_ptr<levels> before_;
  log_capture* outer_;
};

} // namespace dataflow
