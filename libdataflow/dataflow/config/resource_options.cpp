#include <dataflow/config/option_rows.hpp>

namespace dataflow {

using enum option_type;

std::vector<option> resource_option_rows() {
  constexpr std::string_view section = "Starting task managers", adaptive = "Adaptive parallelism",
                             ours = "Flink has no such key.";
  return {
      {.section = section,
       .key = "resourcemanager.provider",
       .type = choice,
       .fallback = "none",
       .doc = "Who starts task managers when jobs need slots. none: they are started by hand, and register. local: the "
              "job manager starts processes of its own program on its machine, which end with it. command: "
              "resourcemanager.provider.command does.",
       .flink = ours,
       .choices = "none|local|command"},
      {.section = section,
       .key = "resourcemanager.provider.command",
       .type = text,
       .fallback = "",
       .doc = "The shell command that starts one task manager. {resource_id}, {job_manager} (host:port) and {slots} "
              "are replaced; the task manager needs -Dtaskmanager.resource-id={resource_id}. It runs as long as its "
              "task manager does, or ends with 0 when that is on its way.",
       .flink = ours},
      {.section = section,
       .key = "resourcemanager.provider.stop-command",
       .type = text,
       .fallback = "",
       .doc = "The shell command that stops a task manager that its start command has not waited for; {resource_id} is "
              "replaced. It runs after the start command got SIGTERM, if that still ran. Empty: that is all.",
       .flink = ours},
      {.section = section,
       .key = "resourcemanager.provider.per-job",
       .type = boolean,
       .fallback = "true",
       .doc = "A task manager that was started for a job serves that job alone and is stopped at its end: a job that "
              "crashes takes no other along, and its library is gone. false: they are shared.",
       .flink = "Flink shares them."},
      {.section = section,
       .key = "resourcemanager.provider.log-directory",
       .type = text,
       .fallback = "",
       .doc = "Where task managers that the job manager has started log (<resource id>.log), and what their jobs print "
              "(.out). Empty: in a directory below io.tmp.dirs, where logs of those that ended in order are removed.",
       .flink = ours},
      {.section = section,
       .key = "slotmanager.number-of-slots.max",
       .type = integer,
       .fallback = "64",
       .doc = "Task managers are started up to so many slots.",
       .flink = "Unlimited in Flink.",
       .least = 1,
       .most = 1000000},
      {.section = section,
       .key = "resourcemanager.taskmanager-timeout",
       .type = duration,
       .fallback = "30 s",
       .doc = "A task manager that was started for jobs is stopped when none has used it for so long.",
       .least = 0},
      {.section = section,
       .key = "resourcemanager.taskmanager-registration.timeout",
       .type = duration,
       .fallback = "5 min",
       .doc = "A task manager that was started and does not register within this time is given up.",
       .least = 1},
      {.section = section,
       .key = "resourcemanager.start-worker.retry-interval",
       .type = duration,
       .fallback = "3 s",
       .doc = "Wait after a task manager could not be started; twice as long after each further time, up to 1 min.",
       .flink = "Always the same in Flink, and only above a failure rate.",
       .least = 1},
      {.section = adaptive,
       .key = "jobmanager.scheduler",
       .type = choice,
       .fallback = "default",
       .doc = "What happens to a job when there are not as many slots as it wants. default: it waits for all of them. "
              "adaptive: it runs at a lower parallelism, and at a higher one when slots come.",
       .choices = "default|adaptive"},
      {.section = adaptive,
       .key = "jobmanager.adaptive-scheduler.submission.resource-wait-timeout",
       .type = duration,
       .fallback = "5 min",
       .doc = "An adaptive job that has not even the slots for a parallelism of 1 fails after this time.",
       .least = 1},
      {.section = adaptive,
       .key = "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout",
       .type = duration,
       .fallback = "10 s",
       .doc = "An adaptive job that waits begins with fewer slots than it wants when there were some for so long.",
       .least = 0},
      {.section = adaptive,
       .key = "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling",
       .type = duration,
       .fallback = "30 s",
       .doc = "An adaptive job runs for at least so long before it is restarted at a higher parallelism.",
       .least = 0},
      {.section = adaptive,
       .key = "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout",
       .type = duration,
       .fallback = "1 min",
       .doc = "A running adaptive job is restarted at a higher parallelism that is still not all that it wants when "
              "there were slots for it for so long. When there are slots for all, it is at once.",
       .least = 0},
      {.section = section,
       .key = "taskmanager.resource-id",
       .type = text,
       .fallback = "",
       .doc = "Under which name a task manager was started by the job manager's provider. Empty: it was started by "
              "hand.",
       .flink = "Drawn at random in Flink when it is not set."},
  };
}

} // namespace dataflow
