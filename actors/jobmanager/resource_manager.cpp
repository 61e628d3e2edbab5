#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/resource_manager.hpp>
#include <dataflow/actors/network/messages.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

namespace {

/// "12:00:05 UTC"
std::string clock_time(std::chrono::milliseconds wall) {
  const auto seconds = wall.count() / 1000 % 86400;
  const auto two = [](long n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  return two(seconds / 3600) + ":" + two(seconds / 60 % 60) + ":" + two(seconds % 60) + " UTC";
}

constexpr std::chrono::milliseconds between_looks{50};
const log_fields here{"resource manager", {}, {}};

} // namespace

resource_manager_actor::resource_manager_actor(caf::actor_config& config, cluster_context context)
    : event_based_actor(config), context_(context) {
  keep_exception_texts(*this);
  context_.reach("resource manager", actor_moment::constructor);
  set_down_handler([this](caf::down_msg& m) {
    context_.reach("resource manager", actor_moment::down_handler);
    lost(m.source);
  });
}

caf::behavior resource_manager_actor::make_behavior() {
  if (context_.provided) { // one before this may have started some
    context_.provided->pool.expect_all_again(context_.world->clock->now());
    provide();
  }
  return {
      [this](const register_slots& m) {
        add(m);
        serve();
      },
      [this](const request_slots& m) {
        context_.reach("resource manager", actor_moment::handler);
        watch(m.job_master);
        if (auto why = never_enough(m)) return send(m.job_master, slots_denied{std::move(*why)});
        auto id = next_request_++;
        requests_.push_back({id, m, clock_time(context_.world->clock->wall() + context_.slot_timeout)});
        serve();
        if (requests_.empty() || requests_.back().id != id) return;
        if (!m.adaptive) delayed_send(this, context_.slot_timeout, request_expired{id});
        if (!context_.elastic_slots && requests_.back().told.empty()) tell(requests_.back());
      },
      [this](const task_manager_lost& m) {
        std::set<caf::actor_addr> gone;
        for (auto& [id, s] : slots_) {
          if (s.where.id != m.task_manager) continue;
          gone.insert(s.task_manager.address());
          if (s.job_master) send(s.job_master, m);
        }
        for (auto& who : gone)
          lost(who);
        return caf::unit;
      },
      [this](const watch_slots& m) {
        watch(m.job_master);
        watchers_[m.job_master.address()] = {m, {}};
        tell_watchers();
      },
      [this](const slots_released& m) {
        for (auto id : m.slots)
          if (auto s = slots_.find(id); s != slots_.end() && s->second.job == m.job) take(s->second, {}, {});
        std::erase_if(requests_, [&](auto& r) { return r.what.job == m.job; });
        if (m.job_over && context_.provided) context_.provided->pool.job_over(m.job);
        serve();
      },
      [this](const request_expired& m) {
        auto r = std::find_if(requests_.begin(), requests_.end(), [&](auto& x) { return x.id == m.request; });
        if (r == requests_.end()) return;
        const auto advice = context_.elastic_slots ? "lower the parallelism, or raise taskmanager.numberOfTaskSlots"
                            : context_.provided    ? "see why task managers are not started, or start some by hand"
                                                   : "lower the parallelism, raise taskmanager.numberOfTaskSlots, or "
                                                     "start more task managers";
        send(r->what.job_master, slots_denied{error{errc::no_resources, missing(r->what), advice}});
        requests_.erase(r);
        serve();
      },
      [this](look_after_task_managers) {
        looking_after_ = false;
        for (auto& e : context_.provided->provider->ended()) {
          log_info(here, "task manager " + e.id + " has ended: " + e.how);
          context_.provided->pool.ended(e.id, e.how, context_.world->clock->now());
        }
        provide();
      },
  };
}

void resource_manager_actor::add(const register_slots& m) {
  if (!m.resource_id.empty() && context_.provided &&
      !context_.provided->pool.registered(m.resource_id, context_.world->clock->now()))
    return; // it was given up, and is about to end
  if (task_managers_.emplace(m.task_manager.address(), context_.provided ? m.resource_id : "").second) {
    monitor(m.task_manager);
    elastic_.push_back(m.task_manager);
  }
  for (auto& s : m.slots) {
    if (on_the_way_ > 0 && !slots_.count(s.id)) --on_the_way_;
    slots_[s.id] = s;
    monitor(s.slot);
    if (s.job_master) watch(s.job_master);
    if (context_.provided && !s.job.empty()) context_.provided->pool.use(m.resource_id, s.job);
  }
}

/// Why the request can never be met.
std::optional<error> resource_manager_actor::never_enough(const request_slots& what) const {
  if (!context_.provided || what.adaptive) return {};
  const auto own = std::count_if(slots_.begin(), slots_.end(), [&](auto& s) { return resource_of(s.second).empty(); });
  const auto most = context_.provided->pool.largest();
  if (what.count <= most + static_cast<std::uint64_t>(own)) return {};
  return error{errc::no_resources,
               "the job needs " + std::to_string(what.count) + " slots, and task managers are started for at most " +
                   std::to_string(most),
               "lower the parallelism, or raise slotmanager.number-of-slots.max"};
}

std::string resource_manager_actor::missing(const request_slots& what) {
  const auto free = free_for(what.job, false).size();
  auto text = "the job needs " + std::to_string(what.count) + " slots, " + std::to_string(free) + " of " +
              std::to_string(slots_.size()) + " are free";
  if (!context_.provided) return text;
  if (const auto n = what.count - std::min<std::size_t>(free, what.count); n > 0)
    text += ", " + std::to_string(n) + (n == 1 ? " is missing" : " are missing");
  const auto outlook = context_.provided->pool.outlook(what.job);
  return outlook.empty() ? text : text + "; " + outlook;
}

void resource_manager_actor::tell(waiting& request) {
  send(request.what.job_master,
       slots_awaited{missing(request.what) + (request.what.adaptive ? "; it begins with fewer when no more come"
                                                                    : "; it waits until " + request.until)});
}

const std::string& resource_manager_actor::resource_of(const slot_offer& slot) const {
  static const std::string none;
  const auto m = task_managers_.find(slot.task_manager.address());
  return m == task_managers_.end() ? none : m->second;
}

/// Slots that the job may have, those that nobody else may have first.
std::vector<slot_offer*> resource_manager_actor::free_for(const std::string& job, bool own_only) {
  std::vector<slot_offer*> own, others;
  for (auto& [id, s] : slots_) {
    if (!s.job.empty()) continue;
    if (!context_.provided)
      others.push_back(&s);
    else if (const auto& resource = resource_of(s);
             context_.provided->pool.belongs_to(resource, job) && context_.provided->pool.serves(resource, job))
      own.push_back(&s);
    else if (!own_only && context_.provided->pool.serves(resource, job))
      others.push_back(&s);
  }
  own.insert(own.end(), others.begin(), others.end());
  return own;
}

/// What is missing if all requests are to be met.
std::vector<task_manager_pool::demand> resource_manager_actor::demands() {
  std::vector<task_manager_pool::demand> all;
  std::set<const slot_offer*> spoken_for;
  for (auto& r : requests_) {
    auto open = r.what.adaptive ? std::min(r.what.count, context_.provided->pool.largest()) : r.what.count;
    for (const auto* s : free_for(r.what.job, false))
      if (open > 0 && spoken_for.insert(s).second) --open;
    if (open > 0) all.push_back({r.what.job, open});
  }
  return all;
}

/// Has task managers started and stopped.
void resource_manager_actor::provide() {
  if (!context_.provided) return;
  auto& [provider, pool] = *context_.provided;
  const auto now = context_.world->clock->now();
  std::set<std::string> busy;
  for (auto& [id, s] : slots_)
    if (!s.job.empty()) busy.insert(resource_of(s));
  const auto next = pool.decide(demands(), busy, now);
  for (auto& id : next.stop) {
    log_info(here, "task manager " + id + " is stopped");
    provider->stop(id);
  }
  for (auto& order : next.start) {
    log_info(here, "task manager " + order.id + " is started" + (order.job.empty() ? "" : " for job " + order.job));
    try {
      provider->start(order);
    } catch (...) {
      const auto why = current_error(errc::internal).cause();
      log_warn(here, "task manager " + order.id + " cannot be started: " + why);
      pool.start_failed(order.id, why, now);
    }
  }
  for (auto& r : requests_)
    if (auto trouble = pool.trouble(); std::exchange(r.told, trouble) != trouble && !trouble.empty()) tell(r);
  if (looking_after_ || (pool.size() == 0 && requests_.empty())) return;
  looking_after_ = true;
  delayed_send(this, between_looks, look_after_task_managers{});
}

void resource_manager_actor::serve() {
  grant();
  tell_watchers();
}

/// Free slots are for the one that has waited longest; when nobody waits, for all.
void resource_manager_actor::tell_watchers() {
  for (auto& [address, w] : watchers_) {
    const bool others = !requests_.empty() && requests_.front().what.job != w.who.job;
    const auto free = others ? 0 : static_cast<std::uint32_t>(free_for(w.who.job, false).size());
    if (std::exchange(w.told, free) != free) send(w.who.job_master, slots_free{free});
  }
}

/// First come, first served: a large request is not overtaken by small ones for ever. Only what nobody else may have is
/// given to those behind one that waits.
void resource_manager_actor::grant() {
  bool waits = false;
  for (auto next = requests_.begin(); next != requests_.end();) {
    auto& r = next->what;
    const auto free = free_for(r.job, waits);
    if (free.size() < r.count) {
      if (context_.provided) {
        waits = true;
        ++next;
        continue;
      }
      const auto missing = r.count - static_cast<std::uint32_t>(free.size());
      if (context_.elastic_slots && !elastic_.empty() && missing > on_the_way_) {
        // New slots are spread over the task managers.
        const auto wanted = missing - on_the_way_;
        const auto n = static_cast<std::uint32_t>(elastic_.size());
        for (std::uint32_t i = 0; i < n; ++i)
          if (auto share = wanted / n + (i < wanted % n ? 1 : 0)) send(elastic_[i], add_slots{share});
        on_the_way_ += wanted;
      }
      return;
    }
    slots_granted g;
    for (std::uint32_t n = 0; n < r.count; ++n) {
      take(*free[n], r.job, r.job_master);
      g.slots.push_back(*free[n]);
    }
    send(r.job_master, std::move(g));
    if (const auto w = watchers_.find(r.job_master.address()); w != watchers_.end()) w->second.told.reset();
    next = requests_.erase(next);
  }
  provide();
}

void resource_manager_actor::lost(const caf::actor_addr& who) {
  if (const auto t = task_managers_.extract(who)) {
    if (context_.provided) context_.provided->pool.lost(t.mapped());
    std::erase_if(elastic_, [&](auto& a) { return a.address() == who; });
    on_the_way_ = 0;
  }
  if (job_masters_.erase(who) > 0) {
    watchers_.erase(who);
    std::erase_if(requests_, [&](auto& r) { return r.what.job_master.address() == who; });
    for (auto& [id, s] : slots_)
      if (s.job_master && s.job_master.address() == who) take(s, {}, {});
  }
  std::erase_if(slots_,
                [&](auto& s) { return s.second.slot.address() == who || s.second.task_manager.address() == who; });
  serve();
}

void resource_manager_actor::take(slot_offer& slot, const std::string& job, const caf::actor& job_master) {
  if (context_.provided && !job.empty()) context_.provided->pool.use(resource_of(slot), job);
  slot.job = job;
  slot.job_master = job_master;
  send(slot.task_manager, slot_reserved{slot.id, job, job_master});
}

void resource_manager_actor::watch(const caf::actor& job_master) {
  if (job_masters_.insert(job_master.address()).second) monitor(job_master);
}

void resource_manager_actor::on_exit() {
  slots_.clear();
  elastic_.clear();
  requests_.clear();
  watchers_.clear();
  job_masters_.clear();
  context_.release();
}

} // namespace dataflow::actors
