#include <dataflow/actors/network/heartbeats.hpp>

namespace dataflow::actors {

void heartbeat_monitor::watch(const std::string& peer, steady_time now) { last_[peer] = now; }

void heartbeat_monitor::forget(std::string_view peer) {
  if (const auto i = last_.find(peer); i != last_.end()) last_.erase(i);
}

bool heartbeat_monitor::heard(std::string_view peer, steady_time now) {
  const auto i = last_.find(peer);
  if (i == last_.end()) return false;
  i->second = now;
  return true;
}

std::vector<std::string> heartbeat_monitor::tick(steady_time now) {
  if (ticked_.count() >= 0) {
    const auto late = now - ticked_ - steady_time{settings_.interval};
    if (late > steady_time{settings_.interval})
      for (auto& [peer, last] : last_)
        last = std::min(now, last + late);
  }
  ticked_ = now;
  std::vector<std::string> lost;
  for (auto i = last_.begin(); i != last_.end();) {
    if (now - i->second < steady_time{settings_.timeout}) {
      ++i;
      continue;
    }
    lost.push_back(i->first);
    i = last_.erase(i);
  }
  return lost;
}

} // namespace dataflow::actors
