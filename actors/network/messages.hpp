/// Messages that only exist between processes: how a process becomes part of a cluster, heartbeats, job libraries,
/// submission. What a job's own actors say to each other is in interfaces.hpp; it travels as well.
///
/// Fencing: a job manager draws a random leader token when it starts; whoever joins gets it and says it again in each
/// heartbeat. A task manager draws a random id for each registration. Words with another token or id are refused,
/// counted and logged once. All actors below a registration are new ones, so a handle from an earlier one reaches
/// nobody.
#pragma once

#include <dataflow/actors/network/task_manager_address.hpp>
#include <dataflow/api/executor.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/graph/execution_plan.hpp>
#include <dataflow/network/link_frames.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dataflow::actors {

/// Everything that a job's graph follows from; equal in all processes. A job is code: this is what travels instead.
struct job_origin {
  std::string artifact; ///< SHA-256 of the job library, hexadecimal; empty: an example of the program's own
  std::string library;  ///< its file name, for people
  std::string entry;    ///< the job within the library
  std::vector<std::string> arguments;       ///< the job's parameters
  std::map<std::string, std::string> files; ///< what args.file() has read
  timestamp submit_time = min_timestamp;
  std::uint64_t random_seed = 0;
  configuration settings;  ///< of files and flags
  std::string name;        ///< of the job
  std::string fingerprint; ///< of the graph as the client has built it
};

/// any process -> gateway (request, answered with welcome; incompatible_library for another version). "Do not change":
/// it is read before it is known whether the rest is understood.
struct hello {
  std::string stamp;        ///< see process_stamp()
  std::string task_manager; ///< the id of this registration; empty: a client
  caf::actor member;        ///< who takes heartbeats of the job manager; of clients: nobody
};
struct welcome {
  std::string leader;                                ///< token
  std::uint32_t index = 0;                           ///< of the task manager; never used twice by this leader
  std::chrono::milliseconds interval{0}, timeout{0}; ///< of heartbeats
  caf::actor job_manager;                            ///< the root: takes slots, jobs, questions
  caf::actor artifacts;                              ///< takes and gives job libraries
};
/// gateway <-> member, at the interval, urgent.
struct heartbeat {
  std::string leader;
  std::string task_manager;
};
/// gateway -> member: this registration is over (it was silent for too long); register anew.
struct expelled {
  std::string leader;
  std::string task_manager;
};
/// task manager -> gateway (request, answered with unit when jobs know): it leaves, in order.
struct farewell {
  std::string leader;
  std::string task_manager;
};
/// gateway -> root: slots of this task manager may come.
struct task_manager_joined {
  std::string task_manager;
};
/// gateway -> root -> resource manager (request, answered with unit) -> job masters: it is gone, and so is all that ran
/// there.
struct task_manager_lost {
  std::string task_manager;
  error why;
};

/// client -> artifacts (request): is it there? Answered with artifact_state.
struct query_artifact {
  std::string hash;
};
struct artifact_state {
  bool complete = false;
  std::uint64_t size = 0;
};
/// client -> artifacts (request, answered with artifact_state): the next bytes of a library that is uploaded.
struct artifact_frame {
  std::string hash;
  std::uint64_t size = 0; ///< of the whole
  std::uint64_t offset = 0;
  std::string bytes; ///< at most largest_frame (link_frames.hpp)
};
/// task manager -> artifacts (request, answered with artifact_frame).
struct fetch_artifact {
  std::string hash;
  std::uint64_t offset = 0;
};

/// client -> gateway (request, answered with job_accepted or why not). Asking again with the same id is fine.
struct submit_origin {
  std::string id; ///< of the job, drawn by the client
  std::shared_ptr<const job_origin> origin;
  caf::actor client;
  bool check_only = false; ///< say whether it would be accepted, and run nothing
  bool recovered = false;  ///< an earlier leader has accepted it
};
struct job_accepted {
  std::string id;
  std::vector<std::string> warnings;
  std::string starts_from;          ///< directory of a checkpoint or savepoint; empty: from nothing
  bool can_make_checkpoints = true; ///< when somebody asks for one
};
/// client -> root -> dispatcher (request): where does the job's code come from? Answered with origin_found;
/// job_not_found also for a job that ended under an earlier leader.
struct query_origin {
  std::string job;
};
struct origin_found {
  std::shared_ptr<const job_origin> origin;
  bool kept_on_cancel = false; ///< its checkpoints
};
/// client -> root -> dispatcher (request, answered with job_update): send news of this job to me from now on.
struct attach_client {
  std::string job;
  caf::actor client;
};
/// client -> root -> dispatcher (request): all jobs that are known. Answered with jobs_listed.
struct list_jobs {};
struct job_overview {
  std::string id, name;
  job_status status = job_status::created;
  std::chrono::milliseconds started{0}, ended{0}; ///< wall time; 0: not yet
  std::string waits_for;                          ///< resources that are missing; empty: none
};
struct jobs_listed {
  std::vector<job_overview> jobs;
};

/// job master -> task manager: make ready for tasks of this job, which follow.
struct prepare_job {
  std::string id;
  std::shared_ptr<const job_origin> origin;
  configuration settings;                                      ///< the cluster's, with those of the origin on top
  std::uint64_t seed = 0;                                      ///< of the job
  std::map<std::string, std::uint32_t> stored_max_parallelism; ///< of what it starts from
  std::optional<std::uint32_t> most_parallelism;               ///< of an adaptive job
  std::string fingerprint;                                     ///< of the graph as it runs
  bool makes_checkpoints = false;
  std::string checkpoint_root; ///< empty: parts travel to the job manager, which keeps them in memory
  bool expected = true;        ///< see checkpoint_access
};

/// "dataflow 0.1.0, ABI 3, gcc 12, ...": two processes understand each other when theirs are equal.
std::string process_stamp();

#define DATAFLOW_NETWORK_MESSAGES(X)                                                                                   \
  X(hello)                                                                                                             \
  X(welcome)                                                                                                           \
  X(heartbeat)                                                                                                         \
  X(expelled)                                                                                                          \
  X(farewell)                                                                                                          \
  X(task_manager_joined)                                                                                               \
  X(task_manager_lost)                                                                                                 \
  X(query_artifact)                                                                                                    \
  X(artifact_state)                                                                                                    \
  X(artifact_frame)                                                                                                    \
  X(fetch_artifact)                                                                                                    \
  X(submit_origin)                                                                                                     \
  X(job_accepted)                                                                                                      \
  X(query_origin)                                                                                                      \
  X(origin_found)                                                                                                      \
  X(attach_client)                                                                                                     \
  X(list_jobs)                                                                                                         \
  X(jobs_listed)                                                                                                       \
  X(prepare_job)

#define DATAFLOW_TRAVELS(name)                                                                                         \
  caf::error inspect(caf::serializer& to, name& message);                                                              \
  caf::error inspect(caf::deserializer& from, name& message);
DATAFLOW_NETWORK_MESSAGES(DATAFLOW_TRAVELS)
#undef DATAFLOW_TRAVELS

} // namespace dataflow::actors
