/// The steps of an upgrade: a job is replaced by a changed one, and comes back as it was when that one does not run.
///
/// Pure logic: whoever carries it out asks for the next step, does it, and says how it went.
///
///   mode         stops the old job by       the new one starts from
///   savepoint    a stopping savepoint       that savepoint
///   last_state   a cancel, if it runs       its last complete checkpoint, which must be kept then
///   stateless    a cancel, if it runs       nothing
///
/// The new job's code is checked before a job that runs is stopped, and again against what it is to start from: nothing
/// is started that would be refused. When the new job does not come to run, the old one starts again from the same
/// place (a stateless one from nothing), so that no record is lost or counted twice in its state. A job that had ended
/// before stays as it is. Once the new job has completed a checkpoint its sinks have published, and there is no way
/// back; nor is there one when the answer to a request is lost. Threading: a value. Errors: the constructor throws
/// invalid_argument when the mode cannot be, with what to do. Source: the upgrade modes of Flink's Kubernetes operator.
#pragma once

#include <dataflow/util/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dataflow {

enum class upgrade_mode : std::uint8_t { savepoint, last_state, stateless };
std::string_view to_string(upgrade_mode mode) noexcept;
/// "savepoint", "last-state", "stateless"; empty for anything else.
std::optional<upgrade_mode> parse_upgrade_mode(std::string_view text);

/// The job as it is found.
struct upgrade_situation {
  bool running = false;        ///< and neither restarting nor at its end
  bool ended = false;          ///< nothing is to be stopped
  std::string last_checkpoint; ///< directory of the last complete one; empty: there is none
  bool kept_on_cancel = false; ///< RETAIN_ON_CANCELLATION, or it has ended and left the checkpoint behind
};

enum class upgrade_step : std::uint8_t {
  check_first,         ///< the new job's code; unless stateless, against something that the old job has saved
  stop_with_savepoint, ///< the old job; succeeded(path)
  cancel,              ///< the old job; succeeded(path of its last checkpoint), which may be a later one by then
  check_new,           ///< the new job's code against path()
  start_new,           ///< from path(), and wait until it runs
  start_old,           ///< from path(), and wait until it runs
  done,                ///< see outcome()
};

enum class upgrade_outcome : std::uint8_t {
  upgraded,  ///< the new job runs
  untouched, ///< the old job is as it was: the new one was refused, or the old one could not be stopped
  went_back, ///< the old job runs again
  stranded,  ///< neither is known to run; what they start from is at path()
};

class upgrade {
public:
  upgrade(upgrade_mode mode, const upgrade_situation& job);

  upgrade_step next() const noexcept { return step_; }
  /// What jobs start from; empty: nothing.
  const std::string& path() const noexcept { return path_; }
  /// The step is done. `path`: see upgrade_step.
  void succeeded(std::string path = {});
  void failed(error why);
  /// REQUIRES: next() stops the old job or starts the new one. The new job has completed a checkpoint, and then failed,
  /// or nobody knows what became of the step: starting the other job could double output.
  void failed_beyond_return(error why);
  /// REQUIRES: next() is done.
  upgrade_outcome outcome() const noexcept { return outcome_; }
  /// Why the new job does not run, and, stranded, what became of the old one.
  const error& why() const noexcept { return why_; }

private:
  upgrade_step step_ = upgrade_step::check_first;
  upgrade_outcome outcome_ = upgrade_outcome::upgraded;
  upgrade_mode mode_;
  bool ended_ = false; // before the upgrade
  std::string path_;
  error why_;
};

} // namespace dataflow
