#include <dataflow/config/option_rows.hpp>

namespace dataflow {

using enum option_type;

std::vector<option> cluster_option_rows() {
  constexpr std::string_view section = "Clusters of processes", ours = "Flink has no such key.";
  return {
      {.section = section,
       .key = "jobmanager.rpc.address",
       .type = text,
       .fallback = "localhost",
       .doc = "Where task managers and clients find the job manager. -m host:port sets this key and the next."},
      {.section = section,
       .key = "jobmanager.rpc.port",
       .type = integer,
       .fallback = "6123",
       .doc = "The port of the job manager. 0: any free one, which it prints when it is ready.",
       .least = 0,
       .most = 65535},
      {.section = section,
       .key = "jobmanager.bind-host",
       .type = text,
       .fallback = "127.0.0.1",
       .doc = "The address on which the job manager listens. Anything but this machine needs "
              "security.ssl.internal.enabled.",
       .flink = "0.0.0.0 in Flink, where everybody may connect."},
      {.section = section,
       .key = "heartbeat.interval",
       .type = duration,
       .fallback = "500 ms",
       .doc =
           "How often the job manager and each task manager send each other a sign of life. The job manager's counts.",
       .flink = "10 s in Flink.",
       .least = 10},
      {.section = section,
       .key = "heartbeat.timeout",
       .type = duration,
       .fallback = "2 s",
       .doc = "Silence after which one takes the other for dead. The job manager's counts.",
       .flink = "50 s in Flink.",
       .least = 50},
      {.section = section,
       .key = "slot.request.timeout",
       .type = duration,
       .fallback = "5 min",
       .doc = "How long a job waits for slots before it fails.",
       .least = 0},
      {.section = section,
       .key = "blob.storage.directory",
       .type = text,
       .fallback = "",
       .doc = "Where job libraries are kept, by the hash of their content. Empty: below io.tmp.dirs, until the process "
              "ends."},
      {.section = section,
       .key = "blob.max-size",
       .type = memory_size,
       .fallback = "512 mb",
       .doc = "The largest job library that the job manager takes.",
       .flink = ours},
      {.section = section,
       .key = "client.timeout",
       .type = duration,
       .fallback = "60 s",
       .doc = "How long a client that is attached to a job looks for a job manager that is out of reach.",
       .least = 0},
  };
}

} // namespace dataflow
