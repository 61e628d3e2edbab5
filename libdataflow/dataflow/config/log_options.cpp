#include <dataflow/config/configuration.hpp>
#include <dataflow/config/log_options.hpp>
#include <dataflow/config/option_rows.hpp>
#include <dataflow/util/error.hpp>

#include <utility>

namespace dataflow {

namespace {

constexpr std::string_view section = "Log";
constexpr std::string_view of_log4j = "Flink configures log4j.";

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

decltype(log_settings::levels) parse_levels(std::string_view text) {
  decltype(log_settings::levels) out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto part = trimmed(text.substr(at, end - at));
    at = end + 1;
    if (part.empty()) continue;
    const auto equals = part.find('=');
    const auto name = trimmed(part.substr(0, equals));
    const auto level =
        equals == std::string_view::npos ? std::nullopt : parse_log_level(trimmed(part.substr(equals + 1)));
    if (name.empty() || !level)
      throw error{errc::invalid_option, "log.levels: \"" + std::string{part} + "\" is no level of a logger",
                  "write <logger>=<level>, for example \"job master=debug, operator *=info\"; levels are trace, debug, "
                  "info, warn, error, off"};
    out.insert_or_assign(std::string{name}, *level);
  }
  return out;
}

} // namespace

std::vector<option> log_option_rows() {
  using enum option_type;
  return {
      {.section = section,
       .key = "log.level",
       .type = choice,
       .fallback = "warn",
       .doc = "Messages of this level and above are logged.",
       .flink = of_log4j,
       .choices = "trace|debug|info|warn|error|off"},
      {.section = section,
       .key = "log.levels",
       .type = text,
       .fallback = "",
       .doc = "Levels of single loggers: \"job master=debug, operator *=info\". A logger is what stands first in the "
              "brackets of a line; one that ends with * stands for all that begin so.",
       .flink = of_log4j},
      {.section = section,
       .key = "log.format",
       .type = choice,
       .fallback = "text",
       .doc = "text for people; json: one object per line with time, level, node, logger, job, task and message.",
       .flink = of_log4j,
       .choices = "text|json"},
      {.section = section,
       .key = "log.file.path",
       .type = text,
       .fallback = "",
       .doc = "File that is logged to; its directory is made. Empty: standard error.",
       .flink = of_log4j},
      {.section = section,
       .key = "log.file.max-size",
       .type = memory_size,
       .fallback = "100 mb",
       .doc = "A log file that would grow beyond this is put aside: job.log as job.1.log, the one before as job.2.log, "
              "and so on.",
       .flink = of_log4j,
       .least = 1024},
      {.section = section,
       .key = "log.file.max-files",
       .type = integer,
       .fallback = "10",
       .doc = "How many log files that were put aside are kept.",
       .flink = of_log4j,
       .least = 0,
       .most = 1000},
  };
}

log_settings log_settings_of(const configuration& config, std::string node) {
  log_settings out;
  out.level = parse_log_level(config.text("log.level")).value();
  out.levels = parse_levels(config.text("log.levels"));
  out.format = config.text("log.format") == "json" ? log_format::json : log_format::text;
  out.file = config.text("log.file.path");
  out.file_size = config.memory_size("log.file.max-size");
  out.files = static_cast<std::uint32_t>(config.integer("log.file.max-files"));
  out.node = std::move(node);
  return out;
}

} // namespace dataflow
