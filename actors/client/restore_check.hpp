/// Whether a job can start from a savepoint or checkpoint, without starting it.
///
/// What is looked at is what is looked at when the job is submitted: metadata, the presence of all objects, max
/// parallelism, uids, kinds and types of states. The open() of functions with state is called once.
/// Threading: any thread; reads the file system. Errors: those of a submission, see docs/savepoints.md.
#pragma once

#include <dataflow/checkpoint/checkpoint_metadata.hpp>
#include <dataflow/config/configuration.hpp>
#include <dataflow/graph/stream_graph.hpp>
#include <dataflow/util/platform.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dataflow {

struct restore_check {
  enum class fate : std::uint8_t {
    goes_on, ///< with what is stored of it
    begins,  ///< nothing is stored of it
    dropped, ///< the job does not have it
  };
  struct row {
    std::string uid, name;
    fate what = fate::begins;
    std::uint32_t stored_parallelism = 0, parallelism = 0; ///< 0: has none
  };
  std::string directory;
  checkpoint_metadata metadata;
  std::vector<row> operators; ///< those of the job in its order, then those that are dropped
};
std::string_view to_string(restore_check::fate what) noexcept;

/// `settings`: with execution.state-recovery.path. Throws when the job could not start from it.
restore_check check_restore_of(std::shared_ptr<const stream_graph> graph, const configuration& settings,
                               const platform& world);

} // namespace dataflow
