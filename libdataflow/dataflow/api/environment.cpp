#include <dataflow/api/environment.hpp>
#include <dataflow/api/environment_state.hpp>
#include <dataflow/connectors/text_file.hpp>
#include <dataflow/connectors/text_socket.hpp>
#include <dataflow/graph/validation.hpp>
#include <dataflow/record/key_groups.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/random.hpp>

namespace dataflow {

namespace detail {

namespace {
/// The operators from `first` on, all that they read, and the ends of loops whose beginning is among them.
std::vector<bool> reachable(const stream_graph& graph, node_id first) {
  std::vector<bool> wanted(graph.nodes().size());
  for (auto id = first; id < wanted.size(); ++id)
    wanted[id] = true;
  for (bool changed = true; changed;) {
    changed = false;
    auto want = [&](node_id id) {
      if (!wanted[id]) wanted[id] = changed = true;
    };
    for (auto& e : graph.edges())
      if (wanted[e.to]) want(e.from);
    for (auto& n : graph.nodes())
      if (n.iteration_head && wanted[*n.iteration_head]) want(n.id);
  }
  return wanted;
}
} // namespace

std::shared_ptr<const stream_graph> environment_state::pending_graph(const std::string& job_name) const {
  auto result = std::make_shared<stream_graph>();
  result->settings = graph.settings;
  result->code = graph.code;
  if (!job_name.empty()) result->settings.name = job_name;
  const auto wanted = reachable(graph, first_new);
  std::vector<node_id> new_id(graph.nodes().size());
  for (auto& n : graph.nodes()) {
    if (!wanted[n.id]) continue;
    auto& copy = result->add(n.kind, n.name);
    const auto id = new_id[n.id] = copy.id;
    copy = n;
    copy.id = id;
    if (n.iteration_head) copy.iteration_head = new_id[*n.iteration_head]; // heads come before their tails
  }
  for (auto& e : graph.edges()) {
    if (!wanted[e.from] || !wanted[e.to]) continue;
    auto& copy = result->connect(new_id[e.from], new_id[e.to]);
    copy = e;
    copy.from = new_id[e.from];
    copy.to = new_id[e.to];
  }
  return result;
}

std::shared_ptr<job_client> environment_state::submit(const std::string& job_name) {
  auto pending = pending_graph(job_name);
  validate_structure(*pending);
  if (!runner) runner = default_executor(configuration);
  auto client = runner->submit(std::move(pending));
  first_new = static_cast<node_id>(graph.nodes().size());
  return client;
}

} // namespace detail

environment::environment() : environment(environment_options{}) {}

environment::environment(environment_options options)
    : state_(std::make_shared<detail::environment_state>()),
      submit_time_(options.submit_time == min_timestamp ? timestamp{system_clock().wall()} : options.submit_time),
      random_seed_(options.random_seed ? *options.random_seed : dataflow::random_seed()) {
  state_->runner = std::move(options.runner);
  state_->configuration = std::move(options.configuration);
  state_->graph.code = std::move(options.code);
}

environment::~environment() = default;
environment::environment(environment&&) noexcept = default;

node_id environment::add_source(const std::string& name, const record_type& type, source_factories factories) {
  if (name.empty()) throw error{errc::invalid_argument, "a source with an empty name", "give it a name, or none"};
  (void)type.describe();
  auto& n = state_->graph.add(node_kind::source, "Source: " + name);
  n.output_type = &type;
  n.source = std::move(factories);
  return n.id;
}

data_stream<std::int64_t> environment::sequence(std::int64_t first, std::int64_t last, double records_per_second) {
  return from(sequence_source{first, last, records_per_second}, "Sequence Source");
}

data_stream<std::string> environment::text_file(std::string path) { return text_file(std::move(path), {}); }
data_stream<std::string> environment::text_file(std::string path, const text_file_options& options) {
  return from(text_file_source{std::move(path), options}, "File Source");
}
data_stream<std::string> environment::text_files(std::vector<std::string> paths) {
  return text_files(std::move(paths), {});
}
data_stream<std::string> environment::text_files(std::vector<std::string> paths, const text_file_options& options) {
  return from(text_file_source{std::move(paths), options}, "File Source");
}

data_stream<std::string> environment::socket_text(std::string host, std::int64_t port) {
  return socket_text(std::move(host), port, {});
}
data_stream<std::string> environment::socket_text(std::string host, std::int64_t port,
                                                  const text_socket_options& options) {
  if (port < 1 || port > 65535)
    throw error{errc::invalid_argument, "socket_text: port " + std::to_string(port), "choose a port from 1 to 65535"};
  auto stream = from(text_socket_source{std::move(host), static_cast<std::uint16_t>(port), options}, "Socket Stream")
                    .set_parallelism(1);
  state_->graph.node(stream.node()).parallelism_fixed = true; // one connection
  return stream;
}

namespace {
std::uint32_t checked(const char* what, std::int64_t value) {
  if (value >= 1 && value <= upper_max_parallelism) return static_cast<std::uint32_t>(value);
  throw error{errc::invalid_argument, "the environment's " + std::string{what} + " " + std::to_string(value),
              "choose a number from 1 to " + std::to_string(upper_max_parallelism)};
}
} // namespace

environment& environment::set_parallelism(std::int64_t parallelism) {
  state_->graph.settings.parallelism = checked("parallelism", parallelism);
  return *this;
}
environment& environment::set_max_parallelism(std::int64_t max_parallelism) {
  state_->graph.settings.max_parallelism = checked("max parallelism", max_parallelism);
  return *this;
}
environment& environment::disable_operator_chaining() {
  state_->graph.settings.chaining_enabled = false;
  return *this;
}
environment& environment::set_buffer_timeout(std::chrono::milliseconds timeout) {
  state_->graph.settings.buffer_timeout = timeout;
  return *this;
}
environment& environment::configure(std::string key, std::string value) {
  dataflow::configuration{}.set(key, value); // finds unknown keys and bad values where they stand in the code
  state_->graph.settings.configuration[std::move(key)] = std::move(value);
  return *this;
}
environment& environment::enable_unaligned_checkpoints(bool enabled, std::chrono::milliseconds aligned_timeout) {
  configure("execution.checkpointing.unaligned.enabled", enabled ? "true" : "false");
  return configure("execution.checkpointing.aligned-checkpoint-timeout",
                   std::to_string(aligned_timeout.count()) + " ms");
}

environment& environment::enable_checkpointing(std::chrono::milliseconds interval, checkpointing_mode mode) {
  configure("execution.checkpointing.interval", std::to_string(interval.count()) + " ms");
  return configure("execution.checkpointing.mode",
                   mode == checkpointing_mode::at_least_once ? "AT_LEAST_ONCE" : "EXACTLY_ONCE");
}
environment& environment::set_state_backend(state_backend backend) {
  return configure("state.backend.type", backend == state_backend::rocksdb ? "rocksdb" : "hashmap");
}
environment& environment::start_from(const std::string& path, claim_mode claim, bool allow_non_restored) {
  configure("execution.state-recovery.path", path);
  configure("execution.state-recovery.claim-mode", claim == claim_mode::claim ? "CLAIM" : "NO_CLAIM");
  return configure("execution.state-recovery.ignore-unclaimed-state", allow_non_restored ? "true" : "false");
}
environment& environment::supervise(const job_supervision& how) {
  for (auto& [key, value] : detail::configuration_of(how))
    configure(key, value);
  return *this;
}

job_result environment::execute(const std::string& job_name) {
  auto result = execute_async(job_name)->wait();
  result.raise();
  return result;
}
std::shared_ptr<job_client> environment::execute_async(const std::string& job_name) { return state_->submit(job_name); }
std::shared_ptr<const stream_graph> environment::graph(const std::string& job_name) const {
  return state_->pending_graph(job_name);
}

} // namespace dataflow
