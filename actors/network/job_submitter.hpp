/// From a submission that came over the network to a job of the dispatcher: one actor per submission.
///
/// It takes the job's library from the artifact store, has the graph built where a crash does no harm, then builds it
/// here, checks it and hands it in. On a thread of its own where the cluster has threads: all of this may take long.
/// Answers the client with job_accepted or with what is wrong. Ends by itself.
#pragma once

#include <dataflow/actors/cluster_context.hpp>
#include <dataflow/actors/network/artifact_store.hpp>
#include <dataflow/actors/network/job_code.hpp>
#include <dataflow/actors/network/messages.hpp>

#include <caf/actor.hpp>

namespace dataflow::actors {

/// What is needed to take in jobs.
struct job_intake {
  configuration settings; ///< of the cluster
  std::shared_ptr<artifact_store> store;
  program_jobs own;
  job_trial trial; ///< null: none is made
};

/// Takes one submit_origin (request).
caf::actor spawn_job_submitter(caf::actor_system& system, const cluster_context& context,
                               std::shared_ptr<const job_intake> intake, caf::actor job_manager);

} // namespace dataflow::actors
