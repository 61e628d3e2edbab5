#include <dataflow/api/environment_state.hpp>
#include <dataflow/api/stream_base.hpp>
#include <dataflow/operators/collect.hpp>
#include <dataflow/operators/pass_through.hpp>
#include <dataflow/record/key_groups.hpp>
#include <dataflow/util/error.hpp>

namespace dataflow::detail {

namespace {
std::string quoted(const stream_node& n) { return "operator '" + n.name + "'"; }

void check_between(const stream_node& n, const char* what, std::int64_t value) {
  if (value >= 1 && value <= upper_max_parallelism) return;
  throw error{errc::invalid_argument, quoted(n) + ": " + what + " " + std::to_string(value),
              "choose a number from 1 to " + std::to_string(upper_max_parallelism)};
}
} // namespace

node_id stream_base::node() const {
  if (inputs_.size() == 1 && !inputs_[0].side_output && !inputs_[0].partition) return inputs_[0].node;
  const char* what = inputs_.size() > 1 ? "a union" : inputs_[0].side_output ? "a side output" : "a partitioned stream";
  throw error{errc::invalid_graph,
              std::string{what} + " of " + quoted(state_->graph.node(inputs_[0].node)) +
                  " is no operator: it has no name, parallelism or other setting",
              "call the setting directly behind the operator that it is meant for"};
}

void stream_base::run_in_one_subtask() const {
  auto& n = state_->graph.node(node());
  n.parallelism = 1;
  n.max_parallelism = 1;
  n.parallelism_fixed = true;
}

void stream_base::set_name(const std::string& name) const {
  auto& n = state_->graph.node(node());
  if (name.empty()) throw error{errc::invalid_argument, quoted(n) + ": an empty name", "give it a name, or none"};
  if (n.kind == node_kind::source) {
    n.name = "Source: " + name;
  } else if (auto suffix = state_->name_suffix.find(n.id); suffix != state_->name_suffix.end()) {
    n.name = name + suffix->second;
  } else {
    n.name = n.kind == node_kind::sink ? "Sink: " + name : name;
  }
}

void stream_base::set_uid(std::string uid) const {
  auto& n = state_->graph.node(node());
  if (uid.empty()) throw error{errc::invalid_argument, quoted(n) + ": an empty uid", "give it a uid, or none"};
  n.uid = std::move(uid);
}

void stream_base::set_parallelism_of(std::int64_t parallelism) const {
  auto& n = state_->graph.node(node());
  check_between(n, "parallelism", parallelism);
  if (n.parallelism_fixed && parallelism != n.parallelism)
    throw error{errc::invalid_argument,
                quoted(n) + ": parallelism " + std::to_string(parallelism) + ", but it always runs with " +
                    std::to_string(n.parallelism.value_or(1)),
                "leave its parallelism alone; rebalance() spreads what comes out of it"};
  n.parallelism = static_cast<std::uint32_t>(parallelism);
}

void stream_base::set_max_parallelism_of(std::int64_t max_parallelism) const {
  auto& n = state_->graph.node(node());
  check_between(n, "max parallelism", max_parallelism);
  n.max_parallelism = static_cast<std::uint32_t>(max_parallelism);
}

void stream_base::set_slot_sharing_group(std::string group) const {
  auto& n = state_->graph.node(node());
  if (group.empty())
    throw error{errc::invalid_argument, quoted(n) + ": an empty slot sharing group", "name the group, or leave it out"};
  n.slot_sharing_group = std::move(group);
}

void stream_base::set_chaining(chaining_strategy strategy) const { state_->graph.node(node()).chaining = strategy; }

void stream_base::set_record_error(const record_error& what) const {
  auto& n = state_->graph.node(node());
  if (n.kind == node_kind::source)
    throw error{errc::invalid_graph, quoted(n) + ": a source has no record errors", "set them on what reads it"};
  if (what.policy.action == record_error_policy::kind::side_output) {
    for (auto& e : state_->graph.edges()) {
      if (e.to != n.id) continue;
      auto& from = state_->graph.node(e.from);
      auto* input = e.side_output ? from.side_output_types.at(*e.side_output) : from.output_type;
      if (input != what.type)
        throw error{errc::invalid_graph,
                    quoted(n) + ": the tag '" + what.tag_name + "' for record errors is of " +
                        to_string(what.type->describe()) + ", but the operator reads " + to_string(input->describe()),
                    "use an output_tag of the operator's input type"};
    }
    n.side_output_types[what.policy.tag] = what.type;
    n.side_output_names[what.policy.tag] = what.tag_name;
  }
  n.on_record_error = what.policy;
}

node_id stream_base::add(const std::shared_ptr<environment_state>& state, node_kind kind, std::string name,
                         const record_type* output, operator_factory make, const operator_inputs& inputs) {
  if (output) (void)output->describe(); // a type that contains itself is found here, not when a record comes
  auto& n = state->graph.add(kind, std::move(name));
  const auto id = n.id;
  n.output_type = output;
  n.make_operator = std::move(make);
  for (unsigned i = 0; i < inputs.size(); ++i)
    for (auto& from : inputs[i]) {
      auto& e = state->graph.connect(from.node, id);
      e.input = i;
      e.side_output = from.side_output;
      e.partition = from.partition;
      if (e.partition && e.partition->kind == partitioning_kind::hash) n.keyed = true;
    }
  return id;
}

std::vector<stream_input> stream_base::partitioned(partitioning_kind kind, partitioner_factory factory) const {
  auto inputs = inputs_;
  for (auto& i : inputs)
    i.partition = partitioning{kind, factory};
  return inputs;
}

void stream_base::check_same_environment(const stream_base& other) const {
  if (state_ != other.state_)
    throw error{errc::invalid_graph,
                "a stream of " + quoted(state_->graph.node(inputs_[0].node)) + " and one of " +
                    quoted(other.state_->graph.node(other.inputs_[0].node)) + " belong to different environments",
                "build one job with one environment"};
}

void stream_base::check_unaligned(const std::optional<watermark_alignment>& alignment) const {
  if (!alignment) return;
  throw error{errc::invalid_graph,
              "assign_timestamps_and_watermarks() behind " + quoted(state_->graph.node(inputs_[0].node)) +
                  ": the strategy belongs to the alignment group \"" + alignment->group +
                  "\", and only sources can wait for each other",
              "give the strategy to the source: env.from(source, strategy); or leave out with_alignment()"};
}

std::vector<stream_input> stream_base::joined(const stream_base& other) const {
  check_same_environment(other);
  auto inputs = inputs_;
  inputs.insert(inputs.end(), other.inputs_.begin(), other.inputs_.end());
  return inputs;
}

stream_input stream_base::side_output_of(std::uint64_t tag, const std::string& name, const record_type& type) const {
  auto& n = state_->graph.node(node());
  if (n.kind == node_kind::source)
    throw error{errc::invalid_graph, quoted(n) + ": a source has no side outputs", "use process() behind it"};
  n.side_output_types[tag] = &type;
  n.side_output_names[tag] = name;
  return {n.id, tag, {}};
}

node_id stream_base::begin_iteration(const record_type* type) const {
  const auto id = add(state_, node_kind::iteration_head, "IterationSource", type,
                      [] { return std::make_unique<pass_through_operator>(); }, {inputs_});
  state_->graph.node(id).name += "-" + std::to_string(id);
  return id;
}

void stream_base::close_loop(const stream_base& feedback, const record_type* type) const {
  check_same_environment(feedback);
  const auto begin = node();
  const auto id = add(state_, node_kind::iteration_tail, "IterationSink-" + std::to_string(begin), type,
                      [] { return std::make_unique<pass_through_operator>(); }, {feedback.inputs()});
  state_->graph.node(id).iteration_head = begin;
}

node_id stream_base::add_writer(operator_factory make, std::optional<delivery_guarantee> delivery) const {
  const auto id = add_sink("Sink: Writer", std::move(make));
  state_->graph.node(id).delivery = delivery;
  state_->name_suffix[id] = ": Writer";
  return id;
}

std::vector<std::string> stream_base::run_and_collect(const std::string& job_name) const {
  const std::uint64_t collector = state_->graph.nodes().size() + 1;
  const auto sink = add_sink("Collect Sink", [collector] { return std::make_unique<collect_operator>(collector); });
  // As many collectors as there are producers, so that the order of each is kept.
  if (inputs_.size() == 1 && !inputs_[0].partition)
    state_->graph.node(sink).parallelism = state_->graph.node(inputs_[0].node).parallelism;
  auto result = state_->submit(job_name)->wait();
  result.raise();
  return std::move(result.collected[collector]);
}

} // namespace dataflow::detail
