/// The sources of an alignment group: what each of their readers has reported, and the smallest of it.
///
/// Readers that have reported nothing yet do not count; one that is idle or has ended reports max_timestamp.
/// Threading: a value of the job master's. Source: Flink's SourceCoordinator (WatermarkAggregator).
#pragma once

#include <dataflow/time/saturating.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace dataflow {

class watermark_group {
public:
  /// A source's vertex and a subtask.
  using member = std::pair<std::uint32_t, std::uint32_t>;

  void report(member who, timestamp watermark) { reported_[who] = watermark; }
  /// It starts again.
  void forget(member who) { reported_.erase(who); }
  bool knows(member who) const { return reported_.contains(who); }
  /// The member that all others wait for; none when nobody has reported.
  std::optional<std::pair<member, timestamp>> slowest() const {
    std::optional<std::pair<member, timestamp>> least;
    for (auto& [who, t] : reported_)
      if (!least || t < least->second) least = {who, t};
    return least;
  }
  /// How far a member may go.
  timestamp limit(std::chrono::milliseconds max_drift) const {
    const auto least = slowest();
    return least ? saturating_add(least->second, max_drift) : max_timestamp;
  }

private:
  std::map<member, timestamp> reported_;
};

} // namespace dataflow
