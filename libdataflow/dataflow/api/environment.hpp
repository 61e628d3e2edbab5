/// environment: where a job is built and run.
///
/// Sources begin streams, operators are put behind them, execute() runs the whole graph: on an embedded cluster of this
/// process, unless the environment was given another executor. After an execution the environment can go on: the next
/// one runs what was added since, together with what that reads.
/// Threading: one thread. Ownership: streams share the environment's graph and may outlive it.
/// Errors: error{errc::invalid_graph} and {errc::invalid_argument} with the operator's name; what ends the job.
/// Source: Flink's StreamExecutionEnvironment.
#pragma once

#include <dataflow/api/data_stream.hpp>
#include <dataflow/api/executor.hpp>
#include <dataflow/api/supervision.hpp>
#include <dataflow/checkpoint/checkpoint_settings.hpp>
#include <dataflow/checkpoint/restore_point.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/connectors/collection.hpp>
#include <dataflow/connectors/generator.hpp>
#include <dataflow/connectors/source_driver.hpp>
#include <dataflow/state/state_backend.hpp>

#include <initializer_list>

namespace dataflow {

struct text_file_options;
struct text_socket_options;

/// What an environment is built for. The command line and tests fill it; a program's own needs none of it.
struct environment_options {
  std::shared_ptr<executor> runner = {};         ///< null: the default one, at the first execution
  dataflow::configuration configuration = {};    ///< of files and flags
  timestamp submit_time = min_timestamp;         ///< min_timestamp: now
  std::optional<std::uint64_t> random_seed = {}; ///< unset: from the operating system
  std::shared_ptr<const void> code = {};         ///< the library that holds the job's code
};

class environment {
public:
  environment();
  explicit environment(environment_options options);
  ~environment();
  environment(environment&&) noexcept;
  environment(const environment&) = delete;

  // Sources.

  /// A source of one's own or of a connector: anything that derives from source<T>.
  template <class S>
  data_stream<typename S::record> from(S what, const std::string& name = "Unnamed") {
    return begin<typename S::record>(name, factories_of(std::move(what)));
  }
  /// With event time from the start: watermarks are kept per split of the source.
  template <class S, class R>
  data_stream<typename S::record> from(S what, const watermark_strategy<R>& strategy,
                                       const std::string& name = "Unnamed") {
    constexpr bool fits = std::is_same_v<R, typename S::record>;
    static_assert(fits, "from: the watermark strategy is for another record type than the source");
    if constexpr (fits) return begin<typename S::record>(name, factories_of(std::move(what), strategy));
  }
  /// Read at parallelism 1 by default.
  template <class T>
  data_stream<T> from_collection(std::vector<T> records) {
    return from(collection_source<T>{std::move(records)}, "Collection Source").set_parallelism(1);
  }
  template <class T>
  data_stream<T> from_elements(std::initializer_list<T> records) {
    return from_collection(std::vector<T>(records));
  }
  /// The numbers from `first` to `last`, both included; in order within each subtask.
  data_stream<std::int64_t> sequence(std::int64_t first, std::int64_t last, double records_per_second = 0);
  /// f(std::int64_t index) -> T.
  template <class F>
  auto generate(F f, generator_options options = {}) {
    return from(generator_source<F>{std::move(f), options}, "Generator Source");
  }
  /// Lines of a file, or of all files of a directory. Large files are read in parallel.
  data_stream<std::string> text_file(std::string path);
  data_stream<std::string> text_file(std::string path, const text_file_options& options);
  data_stream<std::string> text_files(std::vector<std::string> paths);
  data_stream<std::string> text_files(std::vector<std::string> paths, const text_file_options& options);
  /// Lines from a server's socket, until it closes (then an error, unless the options say otherwise).
  data_stream<std::string> socket_text(std::string host, std::int64_t port);
  data_stream<std::string> socket_text(std::string host, std::int64_t port, const text_socket_options& options);

  // Settings of the job. An operator's own win over these, these over files and flags.

  environment& set_parallelism(std::int64_t parallelism);
  environment& set_max_parallelism(std::int64_t max_parallelism);
  /// Every operator becomes a task, and an actor, of its own.
  environment& disable_operator_chaining();
  /// How long a record may wait for company: 0 sends at once, negative waits for full batches.
  environment& set_buffer_timeout(std::chrono::milliseconds timeout);
  /// A configuration key, as it stands in files and after -D.
  environment& configure(std::string key, std::string value);
  /// Makes checkpoints at this interval (execution.checkpointing.interval). Where they are kept says
  /// execution.checkpointing.dir; without it, in memory.
  environment& enable_checkpointing(std::chrono::milliseconds interval,
                                    checkpointing_mode mode = checkpointing_mode::exactly_once);
  /// Barriers overtake records that wait (execution.checkpointing.unaligned.enabled), at once or when a checkpoint
  /// takes longer than `aligned_timeout` (execution.checkpointing.aligned-checkpoint-timeout).
  environment& enable_unaligned_checkpoints(bool enabled = true, std::chrono::milliseconds aligned_timeout = {});
  /// Where keyed state is kept (state.backend.type): in memory, or on the local disk where it may be larger than
  /// memory.
  environment& set_state_backend(state_backend backend);
  /// The job starts from this savepoint or checkpoint (execution.state-recovery.*): its directory, or its _metadata.
  /// Errors, at submission: what is wrong with it, or what does not fit this job.
  environment& start_from(const std::string& path, claim_mode claim = claim_mode::no_claim,
                          bool allow_non_restored = false);
  /// Who is restarted with a failed task, how often and after how long.
  environment& supervise(const job_supervision& how);

  // Inputs of the job that are equal wherever its graph is built.

  timestamp submit_time() const noexcept { return submit_time_; }
  std::uint64_t random_seed() const noexcept { return random_seed_; }

  // Running.

  /// Runs the job to its end. Throws what made it fail.
  job_result execute(const std::string& job_name = {});
  /// Starts the job.
  std::shared_ptr<job_client> execute_async(const std::string& job_name = {});
  /// The graph as execute() would run it now.
  std::shared_ptr<const stream_graph> graph(const std::string& job_name = {}) const;

private:
  template <class T>
  data_stream<T> begin(const std::string& name, source_factories factories) {
    return {state_, {{add_source(name, record_type_of<T>(), std::move(factories)), {}, {}}}};
  }
  node_id add_source(const std::string& name, const record_type& type, source_factories factories);

  std::shared_ptr<detail::environment_state> state_;
  timestamp submit_time_;
  std::uint64_t random_seed_;
};

} // namespace dataflow
