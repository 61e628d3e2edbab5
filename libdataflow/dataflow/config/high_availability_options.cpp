#include <dataflow/config/option_rows.hpp>

namespace dataflow {

std::vector<option> high_availability_option_rows() {
  using enum option_type;
  constexpr std::string_view section = "High availability";
  constexpr std::string_view ours = "Flink has no such key.";
  return {
      {.section = section,
       .key = "high-availability.type",
       .type = choice,
       .fallback = "none",
       .doc =
           "How JobManagers agree on who leads, and where jobs, checkpoints and results outlive them: not at all, in "
           "a shared directory, or with ZooKeeper.",
       .flink = "Flink has kubernetes, too, and no filesystem.",
       .choices = "none|filesystem|zookeeper"},
      {.section = section,
       .key = "high-availability.storageDir",
       .type = text,
       .fallback = "",
       .doc =
           "Directory that all nodes share. With type filesystem it needs hard links and locks that hold across hosts "
           "(NFS 4, or a local disk); with zookeeper it holds what is too large for it."},
      {.section = section,
       .key = "high-availability.cluster-id",
       .type = text,
       .fallback = "default",
       .doc = "Name of this cluster among those that share a directory or ensemble.",
       .flink = "/default in Flink."},
      {.section = section,
       .key = "high-availability.poll-interval",
       .type = duration,
       .fallback = "100 ms",
       .doc = "How often a JobManager looks who leads; a standby notices the death of the leader's process so soon.",
       .flink = ours,
       .least = 1},
      {.section = section,
       .key = "high-availability.lease-timeout",
       .type = duration,
       .fallback = "3 s",
       .doc =
           "With type filesystem: a leader that is silent for so long is replaced, and one that cannot read who leads "
           "for so long stops.",
       .flink = ours,
       .least = 10},
      {.section = section,
       .key = "high-availability.zookeeper.quorum",
       .type = text,
       .fallback = "",
       .doc = "Servers of the ensemble: \"host:2181,host:2181,host:2181\"."},
      {.section = section,
       .key = "high-availability.zookeeper.path.root",
       .type = text,
       .fallback = "/dataflow",
       .doc = "Node below which the clusters have theirs.",
       .flink = "/flink in Flink."},
      {.section = section,
       .key = "high-availability.zookeeper.client.session-timeout",
       .type = duration,
       .fallback = "4 s",
       .doc =
           "A leader that ZooKeeper does not hear for so long is replaced. ZooKeeper grants at least two of its ticks.",
       .flink = "1 min in Flink.",
       .least = 100},
      {.section = section,
       .key = "high-availability.zookeeper.client.connection-timeout",
       .type = duration,
       .fallback = "3 s",
       .doc = "How long a call waits for a connection.",
       .flink = "15 s in Flink.",
       .least = 10},
  };
}

} // namespace dataflow
