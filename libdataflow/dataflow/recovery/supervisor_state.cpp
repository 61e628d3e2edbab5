#include <dataflow/config/units.hpp>
#include <dataflow/recovery/supervisor_state.hpp>

#include <algorithm>

namespace dataflow {

using std::chrono::milliseconds;

std::string_view to_string(supervision_action action) noexcept {
  switch (action) {
  case supervision_action::ignored:
    return "ignored";
  case supervision_action::ended:
    return "ended";
  case supervision_action::restart:
    return "restart";
  case supervision_action::escalate:
    return "escalate";
  }
  return "unknown";
}

supervisor_state::supervisor_state(std::string name, supervisor_settings settings, std::uint64_t seed)
    : name_(std::move(name)), settings_(std::move(settings)) {
  if (settings_.backoff) backoff_ = make_restart_strategy(*settings_.backoff, seed);
  if (settings_.intensity && settings_.intensity->within.count() < 0)
    throw error{errc::invalid_argument, name_ + ": the restart intensity has a negative period"};
}

void supervisor_state::add(child_spec spec) {
  if (find(spec.id)) throw error{errc::invalid_argument, name_ + " has a child " + spec.id + " already"};
  children_.push_back({std::move(spec), child_state::running, 0});
}

void supervisor_state::remove(std::string_view id) {
  std::erase_if(children_, [&](const child_info& c) { return c.spec.id == id; });
}

void supervisor_state::started(std::string_view id) {
  if (auto* c = find(id); c && c->state == child_state::restarting) c->state = child_state::running;
}

child_info* supervisor_state::find(std::string_view id) noexcept {
  const auto at =
      std::find_if(children_.begin(), children_.end(), [&](const child_info& c) { return c.spec.id == id; });
  return at == children_.end() ? nullptr : &*at;
}

const child_info* supervisor_state::child(std::string_view id) const noexcept {
  return const_cast<supervisor_state*>(this)->find(id);
}

bool supervisor_state::all_ended() const noexcept {
  return std::all_of(children_.begin(), children_.end(),
                     [](const child_info& c) { return c.state == child_state::ended; });
}

bool supervisor_state::concerned(const child_info& c, const child_info& failed) const noexcept {
  switch (settings_.strategy) {
  case supervision_strategy::one_for_one:
    return &c == &failed;
  case supervision_strategy::region:
    return c.spec.region == failed.spec.region;
  case supervision_strategy::all:
    return true;
  }
  return true;
}

supervision_decision supervisor_state::failed(std::string_view id, std::uint32_t attempt, std::vector<error> causes,
                                              milliseconds now) {
  auto* c = find(id);
  // A child that is being restarted was stopped for it: that it is gone is no news.
  if (escalated_ || !c || c->attempt != attempt || c->state != child_state::running) return {};
  auto decision = decide(*c, causes, now);
  record(*c, attempt, std::move(causes), decision, now);
  return decision;
}

supervision_decision supervisor_state::ended(std::string_view id, std::uint32_t attempt, milliseconds now) {
  auto* c = find(id);
  if (escalated_ || !c || c->attempt != attempt || c->state != child_state::running) return {};
  if (c->spec.restart == child_restart::permanent)
    return failed(id, attempt, {error{errc::component_lost, c->spec.id + " ended, but it is to run for ever"}}, now);
  c->state = child_state::ended;
  supervision_decision decision;
  decision.action = supervision_action::ended;
  return decision;
}

supervision_decision supervisor_state::decide(child_info& c, const std::vector<error>& causes, milliseconds now) {
  if (c.spec.restart == child_restart::temporary) {
    c.state = child_state::ended;
    supervision_decision decision;
    decision.action = supervision_action::ended;
    return decision;
  }
  restart_decision wait{true, milliseconds{0}, true};
  if (backoff_) {
    wait = backoff_->failed(now);
    if (!wait.restart) return escalate(c, causes, "gave up restarting (" + backoff_->describe() + ")");
  }
  if (settings_.intensity && wait.new_attempt) {
    const auto& limit = *settings_.intensity;
    while (!recent_.empty() && now - recent_.front() > limit.within)
      recent_.pop_front();
    if (recent_.size() >= limit.max_restarts) {
      return escalate(c, causes,
                      "gave up restarting: " + std::to_string(recent_.size() + 1) + " failures within " +
                          format_duration(limit.within) + ", " + std::to_string(limit.max_restarts) +
                          " restarts are allowed");
    }
    recent_.push_back(now);
  }
  return restart(c, wait.delay);
}

supervision_decision supervisor_state::restart(child_info& failed, milliseconds delay) {
  supervision_decision decision;
  decision.action = supervision_action::restart;
  decision.delay = delay;
  ++restarts_;
  for (auto& c : children_) {
    if (!concerned(c, failed) || c.state == child_state::restarting) continue;
    const bool runs = c.state == child_state::running && &c != &failed;
    if (runs) decision.stop.insert(decision.stop.begin(), c.spec.id);
    if (c.spec.restart == child_restart::temporary) {
      c.state = child_state::ended;
      continue;
    }
    decision.restart.push_back(c.spec.id);
    c.state = child_state::restarting;
    ++c.attempt;
  }
  return decision;
}

supervision_decision supervisor_state::escalate(child_info& failed, std::vector<error> causes, std::string why) {
  escalated_ = true;
  failed.state = child_state::ended;
  supervision_decision decision;
  decision.action = supervision_action::escalate;
  decision.causes = std::move(causes);
  decision.causes.emplace_back(errc::restart_limit_exceeded, name_ + " " + why + "; last to fail: " + failed.spec.id);
  for (auto& c : children_) {
    if (c.state == child_state::running) decision.stop.insert(decision.stop.begin(), c.spec.id);
    c.state = child_state::ended;
  }
  return decision;
}

void supervisor_state::record(const child_info& c, std::uint32_t attempt, std::vector<error> causes,
                              const supervision_decision& d, milliseconds now) {
  if (settings_.history == 0) return;
  if (history_.size() >= settings_.history) history_.pop_front();
  history_.push_back({now, c.spec.id, attempt, std::move(causes), d.action, d.restart, d.delay});
}

std::string format_causes(const std::vector<error>& causes) {
  std::string out;
  for (auto c = causes.rbegin(); c != causes.rend(); ++c) {
    if (!out.empty()) out += "\n  caused by: ";
    out += c->to_string();
  }
  return out;
}

} // namespace dataflow
