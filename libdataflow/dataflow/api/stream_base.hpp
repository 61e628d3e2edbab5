/// The part of streams that does not depend on record types: which operators they read and how, and the settings of
/// the operator that made them.
///
/// Threading: one thread builds a graph. Ownership: streams are small values; they share their environment's graph.
/// Errors: error{errc::invalid_argument, errc::invalid_graph} at once, with the operator's name.
#pragma once

#include <dataflow/graph/stream_graph.hpp>
#include <dataflow/operators/output_tag.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dataflow {

/// What happens to a record that a function throws on. What the failing record had put out is taken back; changes of
/// state are not.
struct record_error {
  record_error_policy policy;
  const record_type* type = nullptr; ///< of side_output: the operator's input
  std::string tag_name;

  static record_error fail() { return {}; } ///< the default: the task fails
  /// Counted under numRecordsSkipped.
  static record_error skip() { return {{record_error_policy::kind::skip, 0, 0}, nullptr, {}}; }
  /// So many more calls, then fail.
  static record_error retry(std::uint32_t times) { return {{record_error_policy::kind::retry, times, 0}, nullptr, {}}; }
  /// The record goes to a side output of the operator; counted, too. The tag's type is the operator's input type.
  template <class T>
  static record_error side_output(const output_tag<T>& tag) {
    return {{record_error_policy::kind::side_output, 0, tag.id()}, &tag.type(), tag.name()};
  }
};

struct operator_supervision {
  record_error on_record_error;
};

namespace detail {

struct environment_state;

/// One thing that a stream reads: an operator's main or side output, and how the records travel from there.
struct stream_input {
  node_id node = 0;
  std::optional<std::uint64_t> side_output;
  std::optional<partitioning> partition;
};

/// Where a new operator gets its records from: for each of its inputs, one or more streams.
using operator_inputs = std::vector<std::vector<stream_input>>;

class stream_base {
public:
  stream_base(std::shared_ptr<environment_state> state, std::vector<stream_input> inputs)
      : state_(std::move(state)), inputs_(std::move(inputs)) {}
  const std::shared_ptr<environment_state>& state() const noexcept { return state_; }
  const std::vector<stream_input>& inputs() const noexcept { return inputs_; }
  /// Adds an operator that reads this stream as its first and `second` as its second input.
  node_id add_two_input(std::string name, const record_type* output, operator_factory make,
                        const stream_base& second) const {
    check_same_environment(second);
    return add(state_, node_kind::two_input, std::move(name), output, std::move(make), {inputs_, second.inputs_});
  }
  /// The operator always runs in one subtask, whatever the parallelism of the job.
  void run_in_one_subtask() const;
  /// The operator that made this stream. Throws when it is a union, a side output or a partitioned stream.
  node_id node() const;

protected:
  void set_name(const std::string& name) const;
  void set_uid(std::string uid) const;
  void set_parallelism_of(std::int64_t parallelism) const;
  void set_max_parallelism_of(std::int64_t max_parallelism) const;
  void set_slot_sharing_group(std::string group) const;
  void set_chaining(chaining_strategy strategy) const;
  void set_record_error(const record_error& what) const;

  /// Adds an operator and its edges.
  static node_id add(const std::shared_ptr<environment_state>& state, node_kind kind, std::string name,
                     const record_type* output, operator_factory make, const operator_inputs& inputs);
  node_id add_operator(std::string name, const record_type* output, operator_factory make) const {
    return add(state_, node_kind::one_input, std::move(name), output, std::move(make), {inputs_});
  }
  node_id add_sink(std::string name, operator_factory make) const {
    return add(state_, node_kind::sink, std::move(name), nullptr, std::move(make), {inputs_});
  }
  /// A sink that is named "name: Writer".
  node_id add_writer(operator_factory make, std::optional<delivery_guarantee> delivery = {}) const;
  std::vector<stream_input> partitioned(partitioning_kind kind, partitioner_factory factory = {}) const;
  std::vector<stream_input> joined(const stream_base& other) const;
  stream_input side_output_of(std::uint64_t tag, const std::string& name, const record_type& type) const;
  /// Throws for a strategy with alignment that is not given to a source.
  void check_unaligned(const std::optional<watermark_alignment>& alignment) const;
  /// Throws unless both belong to the same environment.
  void check_same_environment(const stream_base& other) const;
  node_id begin_iteration(const record_type* type) const;
  /// Called on the loop's beginning.
  void close_loop(const stream_base& feedback, const record_type* type) const;
  /// Runs the graph with a collector here; encoded batches.
  std::vector<std::string> run_and_collect(const std::string& job_name) const;

  std::shared_ptr<environment_state> state_;
  std::vector<stream_input> inputs_;
};

/// The settings of an operator, for streams and sinks. Each returns the stream, so that calls can be chained.
template <class Self>
class operator_settings : public stream_base {
public:
  using stream_base::stream_base;

  /// Shown in plans, metrics and errors. Sources show as "Source: name".
  Self name(const std::string& name) const { return set_name(name), self(); }
  /// Maps the operator's state between versions of the job; unique within the job.
  Self uid(std::string uid) const { return set_uid(std::move(uid)), self(); }
  /// Wins over the environment's and the configured default. At least 1.
  Self set_parallelism(std::int64_t parallelism) const { return set_parallelism_of(parallelism), self(); }
  /// How far the operator can be rescaled: number of key groups. At most 32768.
  Self set_max_parallelism(std::int64_t max) const { return set_max_parallelism_of(max), self(); }
  /// Operators of different groups never share a slot; what follows inherits the group.
  Self slot_sharing_group(std::string group) const { return set_slot_sharing_group(std::move(group)), self(); }
  /// Not chained to what comes before.
  Self start_new_chain() const { return set_chaining(chaining_strategy::head), self(); }
  /// Chained neither to what comes before nor to what follows: a task, and an actor, of its own.
  Self disable_chaining() const { return set_chaining(chaining_strategy::never), self(); }
  Self on_record_error(const record_error& what) const { return set_record_error(what), self(); }
  Self supervise(const operator_supervision& how) const { return on_record_error(how.on_record_error); }

private:
  const Self& self() const noexcept { return static_cast<const Self&>(*this); }
};

} // namespace detail

/// The end of a pipeline.
class data_sink : public detail::operator_settings<data_sink> {
public:
  using operator_settings::operator_settings;
};

} // namespace dataflow
