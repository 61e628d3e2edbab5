#include <dataflow/actors/client/embedded_cluster.hpp>
#include <dataflow/api/environment.hpp>

// Alone here, so that the cluster is not compiled again whenever an operator's header changes.
namespace dataflow::actors {

client_pair embedded_cluster::start(const environment& env, const std::string& job_name) {
  return start(env.graph(job_name));
}

} // namespace dataflow::actors
