#include <dataflow/config/configuration.hpp>
#include <dataflow/resources/task_manager_provider.hpp>
#include <dataflow/util/error.hpp>

#include <algorithm>

namespace dataflow {

task_manager_pool_settings pool_settings_of(const configuration& settings, std::string name) {
  const auto time = [&](std::string_view key) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(settings.duration(key));
  };
  task_manager_pool_settings s;
  s.slots = static_cast<std::uint32_t>(std::max<std::int64_t>(1, settings.integer("taskmanager.numberOfTaskSlots")));
  s.most_slots = static_cast<std::uint32_t>(settings.integer("slotmanager.number-of-slots.max"));
  if (s.most_slots < s.slots)
    throw error{errc::invalid_option,
                "slotmanager.number-of-slots.max is " + std::to_string(s.most_slots) + ", and one task manager has " +
                    std::to_string(s.slots) + " slots",
                "raise it, or lower taskmanager.numberOfTaskSlots"};
  s.per_job = settings.boolean("resourcemanager.provider.per-job");
  s.idle_timeout = time("resourcemanager.taskmanager-timeout");
  s.start_timeout = time("resourcemanager.taskmanager-registration.timeout");
  s.retry = time("resourcemanager.start-worker.retry-interval");
  s.longest_retry = std::max(s.retry, s.longest_retry);
  s.name = std::move(name);
  return s;
}

} // namespace dataflow
