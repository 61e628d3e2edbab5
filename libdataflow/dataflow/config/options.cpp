#include <dataflow/config/option_rows.hpp>
#include <dataflow/config/options.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace dataflow {

namespace {

using enum option_type;

constexpr std::string_view ours = "Flink has no such key.";
constexpr double int_max = 2147483647;

const std::vector<option> engine_rows{
    // --- the job
    {.section = "Jobs",
     .key = "pipeline.name",
     .type = text,
     .fallback = "",
     .doc = "The name of the job. Empty: the name that the code gives, else the job function's name."},
    {.section = "Jobs",
     .key = "parallelism.default",
     .type = integer,
     .fallback = "1",
     .doc = "Parallelism of operators that set none, in a job that sets none. -p sets this key.",
     .least = 1,
     .most = 32768},
    {.section = "Jobs",
     .key = "pipeline.max-parallelism",
     .type = integer,
     .fallback = "-1",
     .doc = "Number of key groups. -1: from the parallelism, 1.5 times it rounded up to a power of two, 128 to 32768.",
     .least = -1,
     .most = 32768},
    {.section = "Jobs",
     .key = "pipeline.operator-chaining.enabled",
     .type = boolean,
     .fallback = "true",
     .doc = "Run operators that only forward to each other in one task. false gives every operator its own actor."},
    {.section = "Jobs",
     .key = "pipeline.auto-watermark-interval",
     .type = duration,
     .fallback = "200 ms",
     .doc = "How often watermarks are emitted that do not follow from single records. 0: never.",
     .least = 0},
    {.section = "Jobs",
     .key = "execution.buffer-timeout",
     .type = duration,
     .fallback = "100 ms",
     .doc = "How long a record may wait for its batch to fill. 0: every record is sent at once; -1: full batches only.",
     .flink = "Flink spells -1 as execution.buffer-timeout.enabled: false.",
     .least = -1},
    {.section = "Jobs",
     .key = "execution.random-seed",
     .type = integer,
     .fallback = "-1",
     .doc = "The seed behind env.random_seed(), shuffles and jitter. -1: another one for every submission.",
     .flink = ours,
     .least = -1},

    // --- task managers
    {.section = "Task managers",
     .key = "taskmanager.numberOfTaskSlots",
     .type = integer,
     .fallback = "-1",
     .doc = "Slots of one task manager. -1: the embedded cluster offers as many as the job needs.",
     .flink = "1 in Flink, whose local environment also takes as many as the job needs.",
     .least = -1,
     .most = int_max},
    {.section = "Task managers",
     .key = "taskmanager.scheduler.threads",
     .type = integer,
     .fallback = "0",
     .doc = "Threads that run the actors. 0: one per hardware thread.",
     .flink = "Flink starts one thread per task.",
     .most = 1024},
    {.section = "Task managers",
     .key = "taskmanager.batch.records",
     .type = integer,
     .fallback = "4096",
     .doc = "A batch is sent on when it holds this many records.",
     .flink = ours,
     .least = 1,
     .most = 1 << 20},
    {.section = "Task managers",
     .key = "taskmanager.batch.bytes",
     .type = memory_size,
     .fallback = "224 kb",
     .doc = "A batch is sent on when its records take this much memory. The default fits into one frame between task "
            "managers, with the hashes of its keys.",
     .flink = "Flink's nearest: taskmanager.memory.segment-size, 32 kb.",
     .least = 1},
    {.section = "Task managers",
     .key = "taskmanager.channel.credit.batches",
     .type = integer,
     .fallback = "8",
     .doc = "Batches that a receiver lets a sender have under way on one channel.",
     .flink = "Flink's nearest: taskmanager.network.memory.buffers-per-channel, 2.",
     .least = 1,
     .most = 4096},
    {.section = "Task managers",
     .key = "taskmanager.channel.credit.bytes",
     .type = memory_size,
     .fallback = "4 mb",
     .doc = "Bytes that a receiver lets a sender have under way on one channel; one batch may always go.",
     .flink = ours,
     .least = 1},
    {.section = "Task managers",
     .key = "taskmanager.record.max-bytes",
     .type = memory_size,
     .fallback = "64 mb",
     .doc =
         "The largest record, encoded, that sources and operators may produce, and the longest line that a text source "
         "reads unless its options say otherwise. A larger one fails the task.",
     .flink = "Flink has no limit and runs out of memory.",
     .least = 1},
    {.section = "Task managers",
     .key = "taskmanager.iteration.memory",
     .type = memory_size,
     .fallback = "32 mb",
     .doc = "What a feedback edge of an iteration keeps in memory per subtask before it spills to io.tmp.dirs.",
     .flink = ours},
    {.section = "Task managers",
     .key = "io.tmp.dirs",
     .type = text,
     .fallback = "",
     .doc = "Directory of temporary files. Empty: $TMPDIR, else /tmp."},
    {.section = "Task managers",
     .key = "taskmanager.memory.managed.size",
     .type = memory_size,
     .fallback = "512 mb",
     .doc = "What all RocksDB state of a task manager may take of memory together: half for the rows that were used "
            "last, half for RocksDB's block cache and write buffers.",
     .flink = "Flink's is derived from the size of the process.",
     .least = 4 << 20},

    // --- state
    {.section = "State",
     .key = "state.backend.type",
     .type = choice,
     .fallback = "hashmap",
     .doc = "Where keyed state is kept: in memory, or on the local disk with what was used last in memory.",
     .choices = "hashmap|rocksdb"},
    {.section = "State",
     .key = "state.backend.rocksdb.localdir",
     .type = text,
     .fallback = "",
     .doc = "Directory of the RocksDB databases of running tasks. Empty: io.tmp.dirs."},
    {.section = "State",
     .key = "state.backend.rocksdb.memory.write-buffer-ratio",
     .type = real,
     .fallback = "0.5",
     .doc = "Share of RocksDB's half of taskmanager.memory.managed.size that its write buffers may take.",
     .least = 0.05,
     .most = 0.95},

    // --- recovery
    {.section = "Recovery",
     .key = "jobmanager.execution.failover-strategy",
     .type = choice,
     .fallback = "region",
     .doc = "What restarts with a failed task: its pipelined region, or all tasks of the job.",
     .choices = "region|full"},
    {.section = "Recovery",
     .key = "execution.poisoned-record.failures",
     .type = integer,
     .fallback = "3",
     .doc = "After so many failures in a row that are alike, a task's sources give their records out one by one when "
            "they start again, up to where they had come: the next failure names the record. 0: never.",
     .flink = ours,
     .most = int_max},
    {.section = "Recovery",
     .key = "execution.poisoned-record.policy",
     .type = choice,
     .fallback = "fail",
     .doc = "What happens to a record that was named: fail leaves it to the restart strategy; skip leaves the record "
            "out, with a warning and in the source's counter numPoisonedRecordsSkipped.",
     .flink = ours,
     .choices = "fail|skip"},
    {.section = "Recovery",
     .key = "restart-strategy.type",
     .type = choice,
     .fallback = "none",
     .doc = "What happens when a job fails.",
     .choices = "none|fixed-delay|failure-rate|exponential-delay"},
    {.section = "Recovery",
     .key = "restart-strategy.fixed-delay.attempts",
     .type = integer,
     .fallback = "1",
     .doc = "Restarts before the job fails for good.",
     .most = int_max},
    {.section = "Recovery",
     .key = "restart-strategy.fixed-delay.delay",
     .type = duration,
     .fallback = "1 s",
     .doc = "Wait before each restart."},
    {.section = "Recovery",
     .key = "restart-strategy.failure-rate.max-failures-per-interval",
     .type = integer,
     .fallback = "1",
     .doc = "Failures within the interval that are still answered by a restart.",
     .most = int_max},
    {.section = "Recovery",
     .key = "restart-strategy.failure-rate.failure-rate-interval",
     .type = duration,
     .fallback = "1 min",
     .doc = "The sliding interval in which failures are counted. One that is exactly this old still counts."},
    {.section = "Recovery",
     .key = "restart-strategy.failure-rate.delay",
     .type = duration,
     .fallback = "1 s",
     .doc = "Wait before each restart."},
    {.section = "Recovery",
     .key = "restart-strategy.exponential-delay.initial-backoff",
     .type = duration,
     .fallback = "1 s",
     .doc = "Wait before the first restart.",
     .least = 1},
    {.section = "Recovery",
     .key = "restart-strategy.exponential-delay.max-backoff",
     .type = duration,
     .fallback = "1 min",
     .doc = "The longest wait before a restart.",
     .least = 1},
    {.section = "Recovery",
     .key = "restart-strategy.exponential-delay.backoff-multiplier",
     .type = real,
     .fallback = "1.5",
     .doc = "Each wait is this many times the one before.",
     .least = 1,
     .most = 1e6},
    {.section = "Recovery",
     .key = "restart-strategy.exponential-delay.reset-backoff-threshold",
     .type = duration,
     .fallback = "1 h",
     .doc = "After this long without a failure the wait starts again at the initial one.",
     .least = 1},
    {.section = "Recovery",
     .key = "restart-strategy.exponential-delay.jitter-factor",
     .type = real,
     .fallback = "0.1",
     .doc = "A random part of the wait, as its share, added or taken away.",
     .most = 1},
    {.section = "Recovery",
     .key = "restart-strategy.exponential-delay.attempts-before-reset-backoff",
     .type = integer,
     .fallback = "2147483647",
     .doc = "Restarts without a reset in between before the job fails for good.",
     .least = 1,
     .most = int_max},

    // --- checkpoints
    {.section = "Checkpoints",
     .key = "execution.checkpointing.interval",
     .type = duration,
     .fallback = "-1",
     .doc = "Time between two periodic checkpoints. -1: none are made.",
     .flink = "Flink has no value for none: the key is left out.",
     .least = -1},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.mode",
     .type = choice,
     .fallback = "EXACTLY_ONCE",
     .doc = "EXACTLY_ONCE: channels wait for each other's barriers. AT_LEAST_ONCE: nobody waits, and records may be "
            "counted twice after a failure.",
     .choices = "EXACTLY_ONCE|AT_LEAST_ONCE"},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.timeout",
     .type = duration,
     .fallback = "10 min",
     .doc = "A checkpoint that is not complete after this time is given up.",
     .least = 1},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.min-pause",
     .type = duration,
     .fallback = "0",
     .doc = "Least time between the end of a checkpoint and the beginning of the next periodic one."},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.max-concurrent-checkpoints",
     .type = integer,
     .fallback = "1",
     .doc = "Checkpoints under way at the same time, savepoints included.",
     .flink = "Flink starts savepoints beside them.",
     .least = 1,
     .most = 1000},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.tolerable-failed-checkpoints",
     .type = integer,
     .fallback = "0",
     .doc = "Checkpoints that may fail in a row before the job fails.",
     .most = int_max},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.num-retained",
     .type = integer,
     .fallback = "2",
     .doc = "Completed checkpoints that are kept. With two, one that turns out to be damaged is no loss.",
     .flink = "1 in Flink.",
     .least = 1,
     .most = 1000},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.externalized-checkpoint-retention",
     .type = choice,
     .fallback = "NO_EXTERNALIZED_CHECKPOINTS",
     .doc =
         "What becomes of the kept checkpoints at the end of the job: all are removed; kept when it failed; kept when "
         "it failed or was cancelled. Those of a job that finished are always removed.",
     .choices = "NO_EXTERNALIZED_CHECKPOINTS|DELETE_ON_CANCELLATION|RETAIN_ON_CANCELLATION"},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.dir",
     .type = text,
     .fallback = "",
     .doc = "Directory of checkpoints; each job has one of its own in it, named by its id. Empty: they are kept in the "
            "job manager's memory and end with it."},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.savepoint-dir",
     .type = text,
     .fallback = "",
     .doc = "Directory of savepoints whose request names none."},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.unaligned.enabled",
     .type = boolean,
     .fallback = "false",
     .doc =
         "Barriers overtake records, which are stored with the checkpoint: it completes in time under back-pressure."},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.unaligned.forced",
     .type = boolean,
     .fallback = "false",
     .doc = "Unaligned checkpoints also of jobs with custom partitioners: those can then not be rescaled from one."},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.aligned-checkpoint-timeout",
     .type = duration,
     .fallback = "0",
     .doc = "Unaligned checkpoints begin aligned and change over when so much time has passed since they were "
            "triggered. 0: at once."},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.snapshot-compression",
     .type = choice,
     .fallback = "false",
     .doc = "Compression of stored state. true is lz4.",
     .flink = "true or false in Flink, and true is snappy.",
     .choices = "false|true|lz4|zstd"},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.incremental",
     .type = boolean,
     .fallback = "false",
     .doc =
         "Checkpoints store what has changed, and name what earlier ones have stored: files of databases, and rows in "
         "memory.",
     .flink = "Only with RocksDB in Flink."},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.allow-doubled-output",
     .type = boolean,
     .fallback = "false",
     .doc = "A job may go on from a checkpoint that is older than what its exactly-once sinks have published, and "
            "publish that part again. Otherwise it fails, naming the sinks: the newer checkpoints are damaged or lost.",
     .flink = "Flink does not notice."},
    {.section = "Checkpoints",
     .key = "execution.checkpointing.data-inline-threshold",
     .type = memory_size,
     .fallback = "20 kb",
     .doc = "State of a subtask up to this size stands in the checkpoint's metadata and needs no file of its own.",
     .most = 1 << 20},

    // --- starting from a savepoint
    {.section = "Starting from a savepoint",
     .key = "execution.state-recovery.path",
     .type = text,
     .fallback = "",
     .doc = "Directory (or _metadata) of the savepoint or checkpoint that the job starts from. Empty: it begins with "
            "nothing. -s sets this key."},
    {.section = "Starting from a savepoint",
     .key = "execution.state-recovery.ignore-unclaimed-state",
     .type = boolean,
     .fallback = "false",
     .doc = "Drop state of operators that the job does not have, instead of refusing to start. -n sets this key."},
    {.section = "Starting from a savepoint",
     .key = "execution.state-recovery.claim-mode",
     .type = choice,
     .fallback = "NO_CLAIM",
     .doc =
         "NO_CLAIM: what the job starts from is left alone, and not needed once the job has a checkpoint of its own. "
         "CLAIM: it belongs to the job, which removes it like a checkpoint of its own.",
     .flink = "LEGACY is gone.",
     .choices = "NO_CLAIM|CLAIM"},
    {.section = "Starting from a savepoint",
     .key = "execution.state-recovery.from-local",
     .type = boolean,
     .fallback = "false",
     .doc = "Tasks keep a copy of what they put into checkpoints on the local disk (io.tmp.dirs), and one that starts "
            "again in the same slot reads it instead of the checkpoint.",
     .flink = "In Flink execution.checkpointing.local-backup.enabled makes the copies."},

    // --- observation
    {.section = "Metrics",
     .key = "metrics.fetcher.update-interval",
     .type = duration,
     .fallback = "1 s",
     .doc = "How often the command line fetches and shows metrics.",
     .flink = "10 s in Flink, for its web page.",
     .least = 10},
};

const std::vector<option> table = [] {
  auto all = engine_rows;
  for (auto& more : {cluster_option_rows(), resource_option_rows(), high_availability_option_rows(), log_option_rows(),
                     network_option_rows()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}();

/// Names that Flink still reads, or read, for the same thing.
constexpr std::array<std::pair<std::string_view, std::string_view>, 13> aliases{{
    {"restart-strategy", "restart-strategy.type"},
    {"pipeline.operator-chaining", "pipeline.operator-chaining.enabled"},
    {"execution.buffer-timeout.interval", "execution.buffer-timeout"},
    {"state.backend", "state.backend.type"},
    {"state.backend.local-recovery", "execution.state-recovery.from-local"},
    {"state.checkpoints.dir", "execution.checkpointing.dir"},
    {"state.savepoints.dir", "execution.checkpointing.savepoint-dir"},
    {"state.checkpoints.num-retained", "execution.checkpointing.num-retained"},
    {"state.backend.incremental", "execution.checkpointing.incremental"},
    {"state.storage.fs.memory-threshold", "execution.checkpointing.data-inline-threshold"},
    {"execution.savepoint.path", "execution.state-recovery.path"},
    {"execution.savepoint.ignore-unclaimed-state", "execution.state-recovery.ignore-unclaimed-state"},
    {"execution.savepoint-restore-mode", "execution.state-recovery.claim-mode"},
}};

std::string shown_default(const option& o) {
  return o.fallback.empty() ? "(empty)" : std::string{"`"}.append(o.fallback) + "`";
}

std::string shown_type(const option& o) {
  if (o.type != choice) return std::string{to_string(o.type)};
  std::string out;
  for (const char c : o.choices)
    c == '|' ? out += ", " : out += c;
  return out;
}

} // namespace

std::string_view to_string(option_type type) noexcept {
  switch (type) {
  case text:
    return "text";
  case integer:
    return "integer";
  case real:
    return "number";
  case boolean:
    return "true or false";
  case duration:
    return "duration";
  case memory_size:
    return "memory size";
  case choice:
    return "choice";
  }
  return "unknown";
}

const std::vector<option>& all_options() { return table; }

const option* find_option(std::string_view key) {
  for (const auto& [alias, meant] : aliases)
    if (key == alias) key = meant;
  const auto found = std::find_if(table.begin(), table.end(), [&](const option& o) { return o.key == key; });
  return found == table.end() ? nullptr : &*found;
}

std::vector<std::string> option_keys() {
  std::vector<std::string> keys;
  for (const auto& o : table)
    keys.emplace_back(o.key);
  return keys;
}

std::string options_as_markdown() {
  std::string out = R"(# Configuration

Every key, from the table in `libdataflow/dataflow/config/options.cpp`; `dataflow options --markdown` prints this page.

A value is taken from the last of these that gives one: the default, the file named by `--config` (YAML, keys nested or
flat), `-Dkey=value` (`-p` and the like are short for one), the job's code. Keys and defaults are Flink's where Flink
has them. An unknown key or a value of the wrong type is an error that names the key, the value and where it stands.

Durations are a number with a unit (`ns`, `us`, `ms`, `s`, `min`, `h`, `d`, or their long names); without a unit,
milliseconds. Memory sizes are bytes, or a number with `kb`, `mb`, `gb` or `tb`, which are powers of 1024.
)";
  std::string_view section;
  for (const auto& o : table) {
    if (o.section != section) {
      section = o.section;
      out += "\n## " + std::string{section} + "\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
    }
    out += "| `" + std::string{o.key} + "` | " + shown_type(o) + " | " + shown_default(o) + " | " + std::string{o.doc};
    if (!o.flink.empty()) out += " *" + std::string{o.flink} + "*";
    out += " |\n";
  }
  out += "\n## Where defaults differ from Flink's\n\n| key | here | in Flink |\n| --- | --- | --- |\n";
  for (const auto& o : table)
    if (!o.flink.empty() && o.flink != ours)
      out += "| `" + std::string{o.key} + "` | " + shown_default(o) + " | " + std::string{o.flink} + " |\n";
  out += "\nOlder names that are read, too:";
  for (const auto& [alias, meant] : aliases)
    out += std::string{&alias == &aliases[0].first ? " " : "; "} + "`" + std::string{alias} + "` for `" +
           std::string{meant} + "`";
  return out + ".\n";
}

std::string options_as_yaml() {
  std::string out =
      "# Every configuration key with its default. Keep the lines that you change; see docs/configuration.md.\n"
      "# `dataflow options --yaml` prints this file. Keys may also be nested.\n";
  std::string_view section;
  for (const auto& o : table) {
    if (o.section != section) {
      section = o.section;
      out += "\n# --- " + std::string{section} + "\n";
    }
    out += "\n# " + std::string{o.doc} + "\n";
    if (o.type == choice) out += "# One of: " + shown_type(o) + ".\n";
    if (!o.flink.empty()) out += "# " + std::string{o.flink} + "\n";
    out += std::string{o.key} + ": " + (o.fallback.empty() ? "\"\"" : std::string{o.fallback}) + "\n";
  }
  return out;
}

} // namespace dataflow
