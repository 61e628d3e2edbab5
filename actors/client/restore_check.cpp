#include <dataflow/actors/client/restore_check.hpp>
#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/util/error.hpp>

#include <set>
#include <utility>

namespace dataflow {

std::string_view to_string(restore_check::fate what) noexcept {
  switch (what) {
  case restore_check::fate::goes_on:
    return "goes on";
  case restore_check::fate::begins:
    return "begins";
  case restore_check::fate::dropped:
    return "dropped";
  }
  return "unknown";
}

restore_check check_restore_of(std::shared_ptr<const stream_graph> graph, const configuration& settings,
                               const platform& world) {
  actors::job_submission job{{}, graph->settings.name, graph, settings};
  job.restore = actors::restore_point_of(actors::settings_of(job), *world.files);
  if (!job.restore)
    throw error{errc::invalid_option, "nobody says what the job would start from",
                "set execution.state-recovery.path, or name a savepoint"};
  const auto plan = actors::plan_of(job);
  actors::check_restore(*job.restore, *plan, world);
  restore_check out{job.restore->directory, job.restore->metadata, {}};
  std::set<std::string> seen;
  for (auto& target : actors::targets_of(*plan)) {
    const auto* stored = out.metadata.find(target.uid);
    seen.insert(target.uid);
    out.operators.push_back({target.uid, target.name,
                             stored ? restore_check::fate::goes_on : restore_check::fate::begins,
                             stored ? stored->parallelism : 0, target.parallelism});
  }
  for (auto& op : out.metadata.operators)
    if (!seen.contains(op.uid) && op.has_state())
      out.operators.push_back({op.uid, op.name, restore_check::fate::dropped, op.parallelism, 0});
  return out;
}

} // namespace dataflow
