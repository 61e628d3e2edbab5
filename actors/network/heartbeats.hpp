/// Who has been silent for too long. Pure logic: the time is handed in.
///
/// Whoever watches may itself have been stopped (SIGSTOP, a suspended machine): the time that it has missed counts for
/// nobody, so it does not take all others for dead when it goes on.
/// Threading: not shared between threads. Units: of the clock that the caller reads.
/// Source: Flink's HeartbeatManagerImpl, HeartbeatMonitor.
#pragma once

#include <dataflow/util/clock.hpp>

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dataflow::actors {

struct heartbeat_settings {
  std::chrono::milliseconds interval{500}; ///< between two words to each peer
  std::chrono::milliseconds timeout{2000}; ///< silence after which a peer is lost
};

class heartbeat_monitor {
public:
  explicit heartbeat_monitor(heartbeat_settings settings) noexcept : settings_(settings) {}

  /// From now on somebody is watched; anew if it is already.
  void watch(const std::string& peer, steady_time now);
  void forget(std::string_view peer);
  /// False: nobody watches that peer (any more).
  bool heard(std::string_view peer, steady_time now);
  bool watches(std::string_view peer) const { return last_.find(peer) != last_.end(); }
  std::size_t size() const noexcept { return last_.size(); }

  /// REQUIRES: called every `interval`, about. Who is lost by now, in the order of names; they are forgotten.
  std::vector<std::string> tick(steady_time now);

  const heartbeat_settings& settings() const noexcept { return settings_; }

private:
  heartbeat_settings settings_;
  std::map<std::string, steady_time, std::less<>> last_; ///< when it was heard last
  steady_time ticked_{-1};                               ///< the last tick
};

} // namespace dataflow::actors
