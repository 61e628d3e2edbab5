// Options of the links between task managers, and of TLS.
#include <dataflow/config/option_rows.hpp>

namespace dataflow {

std::vector<option> network_option_rows() {
  using enum option_type;
  constexpr std::string_view ours = "Flink has no such key.";
  return {
      {.section = "Links between task managers",
       .key = "taskmanager.host",
       .type = text,
       .fallback = "127.0.0.1",
       .doc = "The name or address under which other task managers reach this one.",
       .flink = "Flink finds out by itself when it is not set."},
      {.section = "Links between task managers",
       .key = "taskmanager.bind-host",
       .type = text,
       .fallback = "127.0.0.1",
       .doc = "The address on which a task manager listens for the data of others. Anything but this machine needs "
              "security.ssl.internal.enabled.",
       .flink = "0.0.0.0 in Flink, where everybody may connect."},
      {.section = "Links between task managers",
       .key = "taskmanager.data.port",
       .type = integer,
       .fallback = "0",
       .doc = "The port on which a task manager listens for the data of others. 0: any free one.",
       .most = 65535},
      {.section = "Links between task managers",
       .key = "taskmanager.data.bind-port",
       .type = integer,
       .fallback = "0",
       .doc = "The port on which it really listens, when taskmanager.data.port is that of something in between which "
              "passes connections on. 0: the same.",
       .most = 65535},
      {.section = "Links between task managers",
       .key = "taskmanager.network.connect-timeout",
       .type = duration,
       .fallback = "10 s",
       .doc = "How long a task waits for the link to another task manager before it fails; until then connecting is "
              "tried again.",
       .flink = "Flink's nearest: taskmanager.network.netty.client.connectTimeoutSec, 120 s.",
       .least = 1},
      {.section = "Links between task managers",
       .key = "taskmanager.network.backoff.initial",
       .type = duration,
       .fallback = "50 ms",
       .doc =
           "How long a link waits after its first attempt to connect has failed; twice as long after each further one.",
       .flink = ours,
       .least = 1},
      {.section = "Links between task managers",
       .key = "taskmanager.network.backoff.max",
       .type = duration,
       .fallback = "5 s",
       .doc = "The longest time between two attempts to connect.",
       .flink = ours,
       .least = 1},
      {.section = "Links between task managers",
       .key = "taskmanager.network.compression.codec",
       .type = choice,
       .fallback = "none",
       .doc = "How batches are compressed that go to another task manager. It pays where the network is slower than "
              "lz4, some 500 MB/s.",
       .flink = "In Flink only batch jobs compress, with LZ4.",
       .choices = "none|lz4|zstd"},

      {.section = "Security",
       .key = "security.ssl.internal.enabled",
       .type = boolean,
       .fallback = "false",
       .doc = "Mutual TLS on all connections of a cluster and its clients. Without it processes listen on this machine "
              "only. Whoever holds a certificate of the authority is a full member of the cluster."},
      {.section = "Security",
       .key = "security.ssl.internal.certificate",
       .type = text,
       .fallback = "",
       .doc = "The node's certificate (PEM), with what is between it and the authority. Read again at each new "
              "connection: "
              "a new one for the same key may be renamed into place while the node runs.",
       .flink = "In Flink it stands in a key store, security.ssl.internal.keystore."},
      {.section = "Security",
       .key = "security.ssl.internal.key",
       .type = text,
       .fallback = "",
       .doc = "The private key of the node's certificate (PEM, without a passphrase).",
       .flink = "In Flink it stands in a key store, security.ssl.internal.keystore."},
      {.section = "Security",
       .key = "security.ssl.internal.authority",
       .type = text,
       .fallback = "",
       .doc = "The certificates (PEM) of those whose signature makes a node a member.",
       .flink = "In Flink they stand in a trust store, security.ssl.internal.truststore."},
  };
}

} // namespace dataflow
