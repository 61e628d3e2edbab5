/// What a supervisor decides when a child fails: restart whom, when, or make it the parent's problem.
///
/// Pure: no actors, no clock; times come in, decisions go out as values. The actor around it (actors/supervision)
/// carries them out: stops the children of `stop`, starts those of `restart` after `delay`, or fails with `causes`.
/// Threading: one thread at a time. Units: milliseconds of any clock that does not go back.
/// Source: Erlang/OTP's supervisor (child specifications, strategies, intensity, exact at the edge of its period) and
/// Flink's failover regions and restart strategies.
#pragma once

#include <dataflow/recovery/restart_strategy.hpp>
#include <dataflow/util/error.hpp>

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow {

/// When a child that is gone is started again.
enum class child_restart : std::uint8_t {
  permanent, ///< always, also when it ended normally
  transient, ///< when it failed
  temporary, ///< never; its failure is only recorded
};

/// Who is restarted together with a failed child.
enum class supervision_strategy : std::uint8_t {
  one_for_one, ///< nobody else. Only for children that no data is lost with.
  region,      ///< the children of its region, also those that have ended: their output is needed again
  all,         ///< all children
};

struct child_spec {
  std::string id; ///< unique in its supervisor
  child_restart restart = child_restart::transient;
  std::string region{}; ///< of strategy `region`
};

/// At most so many restarts in so long. One that is exactly `within` old still counts.
struct restart_intensity {
  std::uint32_t max_restarts = 3;
  std::chrono::milliseconds within{600'000};
};

struct supervisor_settings {
  supervision_strategy strategy = supervision_strategy::one_for_one;
  std::optional<restart_intensity> intensity = restart_intensity{}; ///< unset: no limit of its own
  /// The wait before restarts, and a limit of its own; shared by all children. Unset: at once and without limit.
  std::optional<restart_settings> backoff;
  std::size_t history = 64; ///< events kept
};

enum class supervision_action : std::uint8_t {
  ignored,  ///< of an unknown or replaced child, one being restarted anyway, or after escalation
  ended,    ///< the child is gone and stays gone
  restart,  ///< see restart, stop, delay
  escalate, ///< see causes; stop the children of `stop`; this supervisor is finished
};

std::string_view to_string(supervision_action action) noexcept;

struct supervision_decision {
  supervision_action action = supervision_action::ignored;
  std::vector<std::string> stop;    ///< children that still run, the youngest first; to be stopped now
  std::vector<std::string> restart; ///< to be started after `delay`, the oldest first
  std::chrono::milliseconds delay{0};
  std::vector<error> causes; ///< of escalate: the root cause first, this supervisor's own verdict last
};

/// One line of the history.
struct supervision_event {
  std::chrono::milliseconds at{0};
  std::string child;
  std::uint32_t attempt = 0;
  std::vector<error> causes; ///< root cause first
  supervision_action action = supervision_action::ignored;
  std::vector<std::string> restarted;
  std::chrono::milliseconds delay{0};
};

enum class child_state : std::uint8_t { running, restarting, ended };

struct child_info {
  child_spec spec;
  child_state state = child_state::running;
  std::uint32_t attempt = 0; ///< 0 at first, one more at each restart
};

class supervisor_state {
public:
  /// `name` stands in escalated errors; `seed` is for the jitter of the back-off.
  supervisor_state(std::string name, supervisor_settings settings, std::uint64_t seed = 0);

  /// A child that runs now. Errors: invalid_argument when the id is taken.
  void add(child_spec spec);
  /// Forgets a child that was stopped on purpose.
  void remove(std::string_view id);
  /// A child of a decision's `restart` runs again.
  void started(std::string_view id);

  /// A child failed. `attempt` tells a stale notice from a new one. `causes`: root cause first; a child that
  /// escalated hands in its whole chain. REQUIRES: causes is not empty.
  supervision_decision failed(std::string_view id, std::uint32_t attempt, std::vector<error> causes,
                              std::chrono::milliseconds now);
  /// A child ended normally. Of a permanent child this is a failure.
  supervision_decision ended(std::string_view id, std::uint32_t attempt, std::chrono::milliseconds now);

  const std::string& name() const noexcept { return name_; }
  bool escalated() const noexcept { return escalated_; }
  /// All children that were added have ended.
  bool all_ended() const noexcept;
  /// Restarts decided so far (not children restarted): Flink's numRestarts.
  std::uint64_t restarts() const noexcept { return restarts_; }
  const std::vector<child_info>& children() const noexcept { return children_; }
  /// Null when there is none.
  const child_info* child(std::string_view id) const noexcept;
  /// The oldest first.
  const std::deque<supervision_event>& history() const noexcept { return history_; }

private:
  child_info* find(std::string_view id) noexcept;
  bool concerned(const child_info& c, const child_info& failed) const noexcept;
  supervision_decision decide(child_info& c, const std::vector<error>& causes, std::chrono::milliseconds now);
  supervision_decision restart(child_info& c, std::chrono::milliseconds delay);
  supervision_decision escalate(child_info& c, std::vector<error> causes, std::string why);
  void record(const child_info& c, std::uint32_t attempt, std::vector<error> causes, const supervision_decision& d,
              std::chrono::milliseconds now);

  std::string name_;
  supervisor_settings settings_;
  std::unique_ptr<restart_strategy> backoff_;
  std::vector<child_info> children_;             // in the order of their first start
  std::deque<std::chrono::milliseconds> recent_; // restarts that may still count, the oldest first
  std::deque<supervision_event> history_;
  std::uint64_t restarts_ = 0;
  bool escalated_ = false;
};

/// "<outermost>\n  caused by: ...\n  caused by: <root>"; empty for no causes.
std::string format_causes(const std::vector<error>& causes);

} // namespace dataflow
