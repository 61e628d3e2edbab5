#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/resource_manager.hpp>
#include <dataflow/actors/network/messages.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

namespace dataflow::actors {

namespace {

/// "12:00:05 UTC"
std::string clock_time(std::chrono::milliseconds wall) {
  const auto seconds = wall.count() / 1000 % 86400;
  const auto two = [](long n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  return two(seconds / 3600) + ":" + two(seconds / 60 % 60) + ":" + two(seconds % 60) + " UTC";
}

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
  return {
      [this](const register_slots& m) {
        if (task_managers_.insert(m.task_manager.address()).second) {
          monitor(m.task_manager);
          elastic_.push_back(m.task_manager);
        }
        for (auto& s : m.slots) {
          if (on_the_way_ > 0 && !slots_.count(s.id)) --on_the_way_;
          slots_[s.id] = s;
          monitor(s.slot);
          if (s.job_master) watch(s.job_master);
        }
        serve();
      },
      [this](const request_slots& m) {
        context_.reach("resource manager", actor_moment::handler);
        auto id = next_request_++;
        watch(m.job_master);
        requests_.push_back({id, m});
        serve();
        if (requests_.empty() || requests_.back().id != id) return;
        delayed_send(this, context_.slot_timeout, request_expired{id});
        if (!context_.elastic_slots)
          send(m.job_master, slots_awaited{missing(m) + "; it waits until " +
                                           clock_time(context_.world->clock->wall() + context_.slot_timeout)});
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
      [this](const slots_released& m) {
        for (auto id : m.slots)
          if (auto s = slots_.find(id); s != slots_.end() && s->second.job == m.job) take(s->second, {}, {});
        std::erase_if(requests_, [&](auto& r) { return r.what.job == m.job; });
        serve();
      },
      [this](const request_expired& m) {
        auto r = std::find_if(requests_.begin(), requests_.end(), [&](auto& x) { return x.id == m.request; });
        if (r == requests_.end()) return;
        const auto advice = context_.elastic_slots ? "lower the parallelism, or raise taskmanager.numberOfTaskSlots"
                                                   : "lower the parallelism, raise taskmanager.numberOfTaskSlots, or "
                                                     "start more task managers";
        send(r->what.job_master, slots_denied{error{errc::no_resources, missing(r->what), advice}});
        requests_.erase(r);
        serve();
      },
  };
}

std::string resource_manager_actor::missing(const request_slots& what) const {
  const auto free = std::count_if(slots_.begin(), slots_.end(), [](auto& s) { return s.second.job.empty(); });
  return "the job needs " + std::to_string(what.count) + " slots, " + std::to_string(free) + " of " +
         std::to_string(slots_.size()) + " are free";
}

/// First come, first served: a large request is not overtaken by small ones for ever.
void resource_manager_actor::serve() {
  while (!requests_.empty()) {
    auto& r = requests_.front().what;
    std::vector<slot_offer*> free;
    for (auto& [id, s] : slots_)
      if (s.job.empty()) free.push_back(&s);
    if (free.size() < r.count) {
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
    for (std::uint32_t i = 0; i < r.count; ++i) {
      take(*free[i], r.job, r.job_master);
      g.slots.push_back(*free[i]);
    }
    send(r.job_master, std::move(g));
    requests_.pop_front();
  }
}

void resource_manager_actor::lost(const caf::actor_addr& who) {
  if (task_managers_.erase(who) > 0) {
    std::erase_if(elastic_, [&](auto& a) { return a.address() == who; });
    on_the_way_ = 0;
  }
  if (job_masters_.erase(who) > 0) {
    std::erase_if(requests_, [&](auto& r) { return r.what.job_master.address() == who; });
    for (auto& [id, s] : slots_)
      if (s.job_master && s.job_master.address() == who) take(s, {}, {});
  }
  std::erase_if(slots_,
                [&](auto& s) { return s.second.slot.address() == who || s.second.task_manager.address() == who; });
  serve();
}

void resource_manager_actor::take(slot_offer& slot, const std::string& job, const caf::actor& job_master) {
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
  job_masters_.clear();
  context_.release();
}

} // namespace dataflow::actors
