#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/config/units.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow {

using std::chrono::milliseconds;

namespace {

milliseconds in_ms(const configuration& config, std::string_view key) {
  return std::chrono::duration_cast<milliseconds>(config.duration(key));
}

} // namespace

std::string_view to_string(checkpoint_kind kind) noexcept {
  return kind == checkpoint_kind::savepoint ? "savepoint" : "checkpoint";
}

std::string_view to_string(barrier_alignment alignment) noexcept {
  switch (alignment) {
  case barrier_alignment::aligned:
    return "aligned";
  case barrier_alignment::unaligned:
    return "unaligned";
  case barrier_alignment::aligned_first:
    return "aligned with a timeout";
  case barrier_alignment::none:
    return "at least once";
  }
  return "unknown";
}

milliseconds checkpoint_options::overtakes_from() const noexcept {
  if (alignment == barrier_alignment::unaligned) return milliseconds::min();
  if (alignment == barrier_alignment::aligned_first) return triggered + aligned_timeout;
  return milliseconds::max();
}

barrier_alignment checkpoint_settings::alignment() const noexcept {
  if (mode == checkpointing_mode::at_least_once) return barrier_alignment::none;
  if (!unaligned) return barrier_alignment::aligned;
  return aligned_timeout.count() > 0 ? barrier_alignment::aligned_first : barrier_alignment::unaligned;
}

checkpoint_settings checkpoint_settings::from(const configuration& config) {
  checkpoint_settings s;
  if (const auto interval = in_ms(config, "execution.checkpointing.interval"); interval.count() >= 0)
    s.interval = interval;
  s.mode = config.text("execution.checkpointing.mode") == "AT_LEAST_ONCE" ? checkpointing_mode::at_least_once
                                                                          : checkpointing_mode::exactly_once;
  s.timeout = in_ms(config, "execution.checkpointing.timeout");
  s.min_pause = in_ms(config, "execution.checkpointing.min-pause");
  s.max_concurrent = static_cast<std::uint32_t>(config.integer("execution.checkpointing.max-concurrent-checkpoints"));
  s.tolerable_failures =
      static_cast<std::uint32_t>(config.integer("execution.checkpointing.tolerable-failed-checkpoints"));
  s.num_retained = static_cast<std::uint32_t>(config.integer("execution.checkpointing.num-retained"));
  const auto retention = config.text("execution.checkpointing.externalized-checkpoint-retention");
  s.retention = retention == "RETAIN_ON_CANCELLATION"   ? externalized_retention::retain_on_cancellation
                : retention == "DELETE_ON_CANCELLATION" ? externalized_retention::delete_on_cancellation
                                                        : externalized_retention::no_externalized_checkpoints;
  s.directory = config.text("execution.checkpointing.dir");
  s.savepoint_directory = config.text("execution.checkpointing.savepoint-dir");
  s.unaligned = config.boolean("execution.checkpointing.unaligned.enabled");
  s.unaligned_forced = config.boolean("execution.checkpointing.unaligned.forced");
  s.aligned_timeout = in_ms(config, "execution.checkpointing.aligned-checkpoint-timeout");
  const auto packed = config.text("execution.checkpointing.snapshot-compression");
  s.compress = packed == "true" || packed == "lz4" ? compression::lz4
               : packed == "zstd"                  ? compression::zstd
                                                   : compression::none;
  s.incremental = config.boolean("execution.checkpointing.incremental");
  s.allow_doubled_output = config.boolean("execution.checkpointing.allow-doubled-output");
  s.inline_threshold = config.memory_size("execution.checkpointing.data-inline-threshold");
  s.check();
  return s;
}

void checkpoint_settings::check() const {
  if (interval && interval->count() <= 0)
    throw error{errc::invalid_option, "execution.checkpointing.interval is 0",
                "set it to the time between two checkpoints, or to -1 for none"};
  if (periodic() && min_pause > timeout)
    throw error{errc::invalid_option,
                "execution.checkpointing.timeout (" + format_duration(timeout) +
                    ") is shorter than execution.checkpointing.min-pause (" + format_duration(min_pause) + ")",
                "a checkpoint would be given up sooner than the next may begin: raise the timeout or lower the pause"};
  if (unaligned && mode == checkpointing_mode::at_least_once)
    throw error{errc::invalid_option,
                "execution.checkpointing.unaligned.enabled needs execution.checkpointing.mode: EXACTLY_ONCE",
                "without alignment there is nothing to overtake: switch one of them off"};
  if (unaligned && max_concurrent > 1)
    throw error{errc::invalid_option,
                "execution.checkpointing.max-concurrent-checkpoints is " + std::to_string(max_concurrent) +
                    ", and unaligned checkpoints allow one at a time",
                "set it to 1, or execution.checkpointing.unaligned.enabled to false"};
}

} // namespace dataflow
