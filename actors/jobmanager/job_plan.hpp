/// From a submission to what runs: settings, execution plan, and what the job starts from.
///
/// Threading: pure functions, but for those that read a file system. Used by clients before they submit, so that
/// mistakes are thrown where they were made, and by the job master.
#pragma once

#include <dataflow/actors/interfaces.hpp>
#include <dataflow/checkpoint/checkpoint_settings.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow::actors {

/// Where checkpoints are kept in memory; no path of a disk.
inline constexpr std::string_view in_memory_root = "/(in memory)";

/// Of files and flags, and on top what the job sets in code.
configuration settings_of(const job_submission& job);

/// The settings of a job's checkpoints and savepoints; none for a job with an iteration, which makes none. Errors:
/// invalid_option; invalid_graph for a job with an iteration that is to make some.
std::optional<checkpoint_settings> checkpoints_of(const configuration& settings, const job_graph& graph);

/// The graph as it will run under these settings. Errors: invalid_graph and the like.
std::shared_ptr<const execution_plan> plan_of(const job_submission& job);

/// The same where what it starts from is somewhere else: operators whose stored state fixes their max parallelism.
using stored_parallelism = std::map<std::string, std::uint32_t>; // by uid
stored_parallelism stored_parallelism_of(const job_submission& job);
/// `most_parallelism`: see graph_defaults.
std::shared_ptr<const execution_plan> plan_of(const job_submission& job, const stored_parallelism& stored,
                                              std::optional<std::uint32_t> most_parallelism = {});

/// How tasks are to run. `settings`: see settings_of(); `seed`: of the job.
task_settings task_settings_of(const configuration& settings, const stream_graph& graph, std::uint64_t seed);

/// The operators that can take stored state.
std::vector<restore_target> targets_of(const execution_plan& plan);

/// What the job is to start from, by its settings; null: from nothing. Errors: see open_restore_point().
std::shared_ptr<const restore_point> restore_point_of(const configuration& settings, file_system& files);

/// Throws when the job cannot start from it: unmatched_state; incompatible_state, also where the type of a state has
/// changed so that it cannot be restored. Opens the operators that have stored state, sinks and sources excepted.
void check_restore(const restore_point& from, const execution_plan& plan, const platform& world);

} // namespace dataflow::actors
