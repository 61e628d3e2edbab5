#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/network/job_catalogue.hpp>
#include <dataflow/actors/taskmanager/task_manager.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace dataflow::actors {

task_manager_actor::task_manager_actor(caf::actor_config& config, cluster_context context, std::uint32_t index,
                                       std::uint32_t slots, caf::actor resource_manager)
    : event_based_actor(config), context_(context), index_(index), initial_slots_(slots),
      resource_manager_(std::move(resource_manager)), local_(std::make_shared<local_state>(context_.state_memory)),
      children_(*this, *context_.world->clock, "task manager " + std::to_string(index),
                control_plane_supervision(context_)) {
  keep_exception_texts(*this);
  context_.reach("task manager", actor_moment::constructor);
  set_down_handler([this](caf::down_msg& m) {
    context_.reach("task manager", actor_moment::down_handler);
    children_.child_down(m);
  });
}

caf::behavior task_manager_actor::make_behavior() {
  children_.on_started([this](const std::string& name, const caf::actor&) {
    new_slots_.push_back(slots_.at(name));
    if (!adding_) offer(std::exchange(new_slots_, {}));
  });
  add_new_slots(initial_slots_);
  return {
      [this](const add_slots& m) {
        context_.reach("task manager", actor_moment::handler);
        add_new_slots(m.count);
      },
      [this](const cancel_tasks& m) {
        for (auto key : m.keys)
          if (auto task = registry_->pause(m.job, key)) send<caf::message_priority::high>(task, cancel_task{key});
      },
      [this](const query_tasks& m) {
        const auto now = context_.world->clock->now();
        return tasks_queried{registry_->metrics(m.job, now), registry_->event_times(m.job, now)};
      },
      [this](const release_slot& m) {
        registry_->remove_job(m.job);
        if (context_.jobs) context_.jobs->forget(m.job);
      },
      [this](prepare_job& m) {
        if (context_.jobs && context_.jobs->expect(m.id, m.fingerprint))
          spawn_job_loader(system(), context_, std::move(m));
      },
      [this](const slot_reserved& m) {
        for (auto& [name, s] : slots_) {
          if (s.id != m.id) continue;
          s.job = m.job;
          s.job_master = m.job_master;
        }
      },
      [this](const use_resource_manager& m) {
        resource_manager_ = m.resource_manager;
        std::vector<slot_offer> all;
        for (auto& [name, s] : slots_)
          if (children_.child(name)) all.push_back(s);
        offer(std::move(all));
      },
      [this](const respawn_child& m) { children_.respawn(m); },
      [this](describe_tree) { return children_.describe(4); },
  };
}

void task_manager_actor::add_new_slots(std::uint32_t count) {
  adding_ = true;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto name = "slot " + std::to_string(slots_.size());
    children_.start({name, child_restart::permanent}, [this, name](std::uint32_t) { return spawn_slot(name); });
  }
  adding_ = false;
  offer(std::exchange(new_slots_, {}));
}

/// Each has an id of its own, so that nobody takes a new slot for the one that it replaces.
caf::actor task_manager_actor::spawn_slot(const std::string& name) {
  const auto id = (std::uint64_t{index_} << 32) | next_slot_++;
  auto slot = spawn<slot_actor>(id, context_, registry_, local_);
  slots_[name] = {id, slot, caf::actor_cast<caf::actor>(this), context_.where, {}, {}};
  context_.announce("slot", slot);
  return slot;
}

void task_manager_actor::offer(std::vector<slot_offer> slots) {
  std::sort(slots.begin(), slots.end(), [](auto& a, auto& b) { return a.id < b.id; });
  send(resource_manager_,
       register_slots{caf::actor_cast<caf::actor>(this), context_.where, std::move(slots), context_.resource_id});
}

void task_manager_actor::on_exit() {
  children_.stop_all();
  slots_.clear();
  new_slots_.clear();
  registry_->clear();
  local_.reset();
  resource_manager_ = nullptr;
  context_.release();
}

} // namespace dataflow::actors
