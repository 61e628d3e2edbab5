/// How and where the process logs: level, levels of single loggers, format, file.
///
/// Threading: configure_log() from any thread; messages under way go where they were going. Ownership: a value.
/// Source: the properties that people set for log4j in Flink's conf/log4j.properties.
#pragma once

#include <dataflow/util/log.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace dataflow {

enum class log_format : std::uint8_t {
  text, ///< 2026-01-31 12:00:00.123 warn [job master job 1f.. task map (1/2)#0] text
  json, ///< one object per line: time (UTC), level, node, logger, job, task, message; empty ones are left out
};

struct log_settings {
  log_level level = log_level::warn;
  /// Levels of single loggers, by the component that speaks ("job master"). A name that ends with '*' stands for all
  /// that begin with it; the whole name wins over that, and a longer beginning over a shorter one.
  std::map<std::string, log_level, std::less<>> levels;
  log_format format = log_format::text;
  std::string file;                                   ///< empty: standard error
  std::uint64_t file_size = std::uint64_t{100} << 20; ///< bytes; a file that would grow beyond is put aside
  std::uint32_t files = 10; ///< how many that were put aside are kept: <file>.1 is the youngest
  std::string node;         ///< who this process is among others, said in every line; may be empty

  /// The level in force for a component.
  log_level level_of(std::string_view component) const;
  friend bool operator==(const log_settings&, const log_settings&) = default;
};

/// From now on. A file is opened anew, also when its name stays: whoever moves log files away calls this afterwards.
/// Errors: io_failed when the file cannot be written; everything stays as it was.
void configure_log(const log_settings& settings);

/// What configure_log() was told last.
log_settings current_log_settings();

} // namespace dataflow
