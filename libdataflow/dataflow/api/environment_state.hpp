/// What an environment and its streams share. Not for users.
#pragma once

#include <dataflow/api/executor.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/graph/stream_graph.hpp>

#include <map>
#include <memory>
#include <string>

namespace dataflow::detail {

struct environment_state {
  stream_graph graph;
  std::shared_ptr<executor> runner;           ///< null: the default one, at the first execution
  dataflow::configuration configuration;      ///< of files and flags, for the default executor
  node_id first_new = 0;                      ///< operators before it have been executed
  std::map<node_id, std::string> name_suffix; ///< of sinks: ": Writer"

  /// The graph to execute: all operators since the last execution, and what they read.
  std::shared_ptr<const stream_graph> pending_graph(const std::string& job_name) const;
  std::shared_ptr<job_client> submit(const std::string& job_name);
};

} // namespace dataflow::detail
