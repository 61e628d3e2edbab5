#include <dataflow/resources/task_manager_pool.hpp>

#include <algorithm>
#include <utility>

namespace dataflow {

namespace {

std::string counted(std::uint32_t n) {
  return std::to_string(n) + (n == 1 ? " task manager is" : " task managers are") + " being started";
}

} // namespace

task_manager_pool::task_manager_pool(task_manager_pool_settings settings) : settings_(std::move(settings)) {}

/// Under which name its task managers stand.
const std::string& task_manager_pool::home_of(const std::string& job) const {
  static const std::string anybody;
  return settings_.per_job ? job : anybody;
}

std::uint32_t task_manager_pool::starting_for(const std::string& job) const {
  return static_cast<std::uint32_t>(std::count_if(members_.begin(), members_.end(), [&](auto& m) {
    return m.second.at == phase::starting && m.second.job == home_of(job);
  }));
}

task_manager_pool::decision task_manager_pool::decide(const std::vector<demand>& missing,
                                                      const std::set<std::string>& busy, steady_time now) {
  std::map<std::string, std::uint64_t> wanted; // by home, in slots
  std::vector<std::string> homes;              // first come, first served
  for (const auto& w : missing) {
    const auto& home = home_of(w.job);
    if (wanted.count(home) == 0) homes.push_back(home);
    wanted[home] += w.slots;
  }
  for (auto& [id, m] : members_) {
    if (m.at == phase::starting && now - m.since >= settings_.start_timeout) {
      m.at = phase::stopping;
      failed("task manager " + id + " did not register within " + std::to_string(settings_.start_timeout.count()) +
                 " ms",
             now);
    } else if (m.at == phase::registered) {
      // One that is free and whose job waits for more is not idle.
      const bool was_busy = std::exchange(m.busy, busy.count(id) > 0 || wanted.count(m.job) > 0);
      if (was_busy && !m.busy) m.since = now;
      if (!m.busy && now - m.since >= settings_.idle_timeout) m.at = phase::stopping;
    }
  }
  decision d;
  for (auto& [id, m] : members_)
    if (m.at == phase::stopping && !std::exchange(m.told, true)) d.stop.push_back(id);

  full_ = false;
  if (not_before_ && now < *not_before_) return d;
  // A job that works and has lost some comes first: others may wait for its end.
  const auto works = [&](const std::string& home) {
    return std::any_of(members_.begin(), members_.end(),
                       [&](auto& m) { return m.second.job == home && busy.count(m.first) > 0; });
  };
  std::stable_partition(homes.begin(), homes.end(), works);
  const std::uint64_t most = settings_.most_slots / settings_.slots;
  for (const auto& home : homes) {
    const auto needed = (wanted[home] + settings_.slots - 1) / settings_.slots;
    auto more = needed - std::min<std::uint64_t>(needed, starting_for(home));
    const auto room = most - std::min<std::uint64_t>(most, members_.size());
    if (more > room) {
      full_ = true;
      // With a part of what they need, jobs would only wait for each other.
      if (settings_.per_job && works(home)) continue;
      if (settings_.per_job) break;
      more = room;
    }
    for (; more > 0; --more) {
      order o{settings_.name + "-" + std::to_string(next_++), home, settings_.slots};
      members_[o.id] = {phase::starting, home, now};
      d.start.push_back(std::move(o));
    }
  }
  return d;
}

/// Several that fail at once are one failure.
void task_manager_pool::failed(const std::string& why, steady_time now) {
  failure_ = why;
  if (not_before_ && now < *not_before_) return;
  pause_ = pause_.count() == 0 ? settings_.retry : std::min(2 * pause_, settings_.longest_retry);
  not_before_ = now + pause_;
}

void task_manager_pool::start_failed(const std::string& id, const std::string& why, steady_time now) {
  if (members_.erase(id) > 0) failed(why, now);
}

bool task_manager_pool::registered(const std::string& id, steady_time now) {
  const auto [i, fresh] = members_.try_emplace(id);
  auto& m = i->second;
  if (m.at == phase::stopping) return false;
  if (m.at == phase::registered) return true;
  m.at = phase::registered;
  m.since = now;
  m.busy = false;
  failure_.clear();
  pause_ = std::chrono::milliseconds{0};
  not_before_.reset();
  return true;
}

void task_manager_pool::lost(const std::string& id) {
  if (const auto m = members_.find(id); m != members_.end()) m->second.at = phase::stopping;
}

void task_manager_pool::ended(const std::string& id, const std::string& how, steady_time now) {
  const auto m = members_.find(id);
  if (m == members_.end()) return;
  const bool had_not_come = m->second.at == phase::starting;
  members_.erase(m);
  if (had_not_come) failed("task manager " + id + " ended before it registered: " + how, now);
}

void task_manager_pool::job_over(std::string_view job) {
  if (!settings_.per_job) return;
  for (auto& [id, m] : members_)
    if (m.job == job) m.at = phase::stopping;
}

void task_manager_pool::expect_all_again(steady_time now) {
  for (auto& [id, m] : members_) {
    if (m.at != phase::registered) continue;
    m.at = phase::starting;
    m.since = now;
  }
}

bool task_manager_pool::serves(const std::string& id, const std::string& job) const {
  if (id.empty()) return true;
  const auto m = members_.find(id);
  if (m == members_.end() || m->second.at != phase::registered) return false;
  return !settings_.per_job || m->second.job.empty() || m->second.job == job;
}

bool task_manager_pool::belongs_to(const std::string& id, const std::string& job) const {
  const auto m = members_.find(id);
  return settings_.per_job && m != members_.end() && !job.empty() && m->second.job == job;
}

void task_manager_pool::use(const std::string& id, const std::string& job) {
  const auto m = members_.find(id);
  if (m == members_.end()) return;
  m->second.busy = true;
  if (settings_.per_job) m->second.job = job;
}

std::string task_manager_pool::trouble() const {
  if (!failure_.empty()) return "the last start failed: " + failure_;
  if (full_) return "no more are started: slotmanager.number-of-slots.max is " + std::to_string(settings_.most_slots);
  return {};
}

std::string task_manager_pool::outlook(const std::string& job) const {
  const auto n = starting_for(job);
  const auto why = trouble();
  if (n == 0) return why;
  return counted(n) + (why.empty() ? "" : "; " + why);
}

} // namespace dataflow
