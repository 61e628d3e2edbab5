#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/supervision/supervised_children.hpp>
#include <dataflow/util/log.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <algorithm>

namespace dataflow::actors {

supervised_children::supervised_children(caf::event_based_actor& self, const clock& time, std::string name,
                                         supervisor_settings settings, std::uint64_t seed)
    : self_(self), time_(time), state_(std::move(name), std::move(settings), seed) {}

std::chrono::milliseconds supervised_children::now() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time_.now());
}

void supervised_children::start(child_spec spec, spawner spawn_child) {
  const auto id = spec.id;
  state_.add(std::move(spec));
  entries_[id] = {std::move(spawn_child), {}, 0};
  spawn(id, 0);
}

void supervised_children::stop(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  if (found->second.actor) {
    self_.demonitor(found->second.actor);
    self_.send_exit(found->second.actor, caf::exit_reason::kill);
  }
  entries_.erase(found);
  state_.remove(id);
}

void supervised_children::stop_all() {
  for (auto& [id, e] : entries_) {
    if (!e.actor) continue;
    self_.demonitor(e.actor);
    caf::anon_send_exit(e.actor, caf::exit_reason::kill);
  }
  entries_.clear();
  stopping_.clear();
  pending_.clear();
}

caf::actor supervised_children::child(std::string_view id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? caf::actor{} : found->second.actor;
}

void supervised_children::spawn(const std::string& id, std::uint32_t attempt) {
  auto& e = entries_.at(id);
  try {
    e.actor = e.spawn(attempt);
  } catch (...) { // an exception of the child's constructor reaches the one who spawns
    failed(id, attempt, current_error(errc::internal));
    return;
  }
  e.attempt = attempt;
  self_.monitor(e.actor);
  if (started_) started_(id, e.actor);
}

bool supervised_children::child_down(const caf::down_msg& m) {
  if (const auto stopped = stopping_.find(m.source); stopped != stopping_.end()) {
    const auto id = stopped->second;
    stopping_.erase(stopped);
    for (auto& r : pending_)
      r.awaited.erase(id);
    for (auto r = pending_.begin(); r != pending_.end();) {
      if (!r->awaited.empty()) {
        ++r;
        continue;
      }
      schedule(*r);
      r = pending_.erase(r);
    }
    return true;
  }
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& item) {
    return item.second.actor && item.second.actor.address() == m.source;
  });
  if (found == entries_.end()) return false;
  const auto id = found->first;
  const auto attempt = found->second.attempt;
  found->second.actor = nullptr;
  if (m.reason == caf::exit_reason::normal)
    carry_out(state_.ended(id, attempt, now()));
  else
    failed(id, attempt, from_caf(m.reason, id));
  return true;
}

void supervised_children::failed(const std::string& id, std::uint32_t attempt, error why) {
  log_warn({state_.name(), {}, {}}, id + " failed: " + why.to_string());
  carry_out(state_.failed(id, attempt, {std::move(why)}, now()));
}

void supervised_children::carry_out(const supervision_decision& d) {
  std::set<std::string> awaited;
  for (const auto& id : d.stop) {
    auto& e = entries_.at(id);
    if (!e.actor) continue;
    stopping_.emplace(e.actor.address(), id);
    awaited.insert(id);
    self_.send_exit(e.actor, caf::exit_reason::kill);
    e.actor = nullptr;
  }
  if (d.action == supervision_action::restart) {
    pending_restart r{std::move(awaited), d.restart, d.delay};
    if (r.awaited.empty())
      schedule(r);
    else
      pending_.push_back(std::move(r));
  } else if (d.action == supervision_action::escalate) {
    log_error({state_.name(), {}, {}}, format_causes(d.causes));
    if (escalation_)
      escalation_(d.causes);
    else
      self_.quit(to_caf(folded(d.causes)));
  }
}

void supervised_children::schedule(const pending_restart& r) {
  for (const auto& id : r.children) {
    const auto* info = state_.child(id);
    if (!info) continue;
    const respawn_child message{id, info->attempt};
    if (r.delay.count() > 0)
      self_.delayed_send(&self_, r.delay, message);
    else
      self_.send(&self_, message);
  }
}

void supervised_children::respawn(const respawn_child& m) {
  const auto* info = state_.child(m.child);
  if (state_.escalated() || !info || info->attempt != m.attempt || info->state != child_state::restarting) return;
  state_.started(m.child);
  spawn(m.child, m.attempt);
}

std::string supervised_children::describe(std::size_t indent) const {
  std::string out;
  for (const auto& c : state_.children()) {
    out.append(indent, ' ').append(c.spec.id);
    if (c.state == child_state::restarting) out += ", waiting for its restart";
    if (c.state == child_state::ended) out += ", ended";
    if (c.attempt > 0) out += ", restarted " + std::to_string(c.attempt) + " times";
    const auto& history = state_.history();
    const auto last = std::find_if(history.rbegin(), history.rend(),
                                   [&](const supervision_event& e) { return e.child == c.spec.id; });
    if (last != history.rend()) out += "; last failure: " + last->causes.back().to_string();
    out += "\n";
  }
  return out;
}

supervisor_settings control_plane_supervision(const cluster_context& context) {
  supervisor_settings s;
  s.intensity = restart_intensity{context.max_restarts, context.restart_window};
  return s;
}

error folded(const std::vector<error>& causes) {
  if (causes.empty()) return {errc::internal, "an escalation without a cause"};
  auto text = causes.back().cause();
  for (auto c = std::next(causes.rbegin()); c != causes.rend(); ++c)
    text += "; caused by " + c->to_string();
  return {causes.back().code(), text, causes.back().advice()};
}

} // namespace dataflow::actors
