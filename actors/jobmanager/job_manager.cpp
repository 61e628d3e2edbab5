#include <dataflow/actors/errors.hpp>
#include <dataflow/actors/jobmanager/job_manager.hpp>
#include <dataflow/actors/jobmanager/resource_manager.hpp>
#include <dataflow/actors/taskmanager/task_manager.hpp>
#include <dataflow/util/clock.hpp>
#include <dataflow/util/log.hpp>

#include <caf/all.hpp>

#include <utility>

namespace dataflow::actors {

namespace {

constexpr auto dispatcher = "dispatcher";
constexpr auto resource_manager = "resource manager";
constexpr auto deadline = std::chrono::seconds{5};

std::string task_manager(std::uint32_t index) { return "task manager " + std::to_string(index); }

} // namespace

job_manager_actor::job_manager_actor(caf::actor_config& config, cluster_context context, std::uint32_t task_managers,
                                     std::uint32_t slots)
    : event_based_actor(config), context_(std::move(context)), task_manager_count_(task_managers), slots_(slots),
      children_(*this, *context_.world->clock, "job manager", control_plane_supervision(context_)) {
  keep_exception_texts(*this);
  context_.reach("job manager", actor_moment::constructor);
  set_down_handler([this](caf::down_msg& m) {
    context_.reach("job manager", actor_moment::down_handler);
    children_.child_down(m);
  });
}

template <class T, class... Args>
caf::actor job_manager_actor::spawn_child(std::string_view kind, Args&&... args) {
  auto child = context_.own_threads ? spawn<T, caf::detached>(context_, std::forward<Args>(args)...)
                                    : spawn<T>(context_, std::forward<Args>(args)...);
  context_.announce(kind, child);
  return child;
}

caf::behavior job_manager_actor::make_behavior() {
  start_children();
  return {
      [this](const submit_job& m) {
        context_.reach("job manager", actor_moment::handler);
        return to_dispatcher(m);
      },
      [this](const query_job& m) { return to_dispatcher(m); },
      [this](const request_checkpoint& m) { return to_dispatcher(m); },
      [this](const cancel_job& m) { return to_dispatcher(m); },
      [this](const attach_client& m) { return to_dispatcher(m); },
      [this](const list_jobs& m) { return to_dispatcher(m); },
      [this](const query_origin& m) { return to_dispatcher(m); },
      [this](const task_manager_joined& m) { remote_managers_.emplace(m.task_manager, caf::actor{}); },
      [this](const register_slots& m) { register_remote(m); },
      [this](const task_manager_lost& m) { return task_manager_gone(m); },
      [this](const respawn_child& m) { children_.respawn(m); },
      [this](describe_tree) { return describe(); },
  };
}

void job_manager_actor::start_children() {
  children_.on_started([this](const std::string& id, const caf::actor& child) { started(id, child); });
  children_.start({resource_manager, child_restart::permanent},
                  [this](std::uint32_t) { return spawn_child<resource_manager_actor>("resource manager"); });
  children_.start({dispatcher, child_restart::permanent}, [this](std::uint32_t) {
    return spawn_child<dispatcher_actor>("dispatcher", store_, caf::actor_cast<caf::actor>(this),
                                         children_.child(resource_manager));
  });
  for (std::uint32_t i = 0; i < task_manager_count_; ++i)
    children_.start({task_manager(i), child_restart::permanent}, [this](std::uint32_t) {
      return spawn_child<task_manager_actor>("task manager", next_task_manager_++, slots_,
                                             children_.child(resource_manager));
    });
}

/// Tells the others whom to talk to.
void job_manager_actor::started(const std::string& id, const caf::actor& child) {
  if (id == resource_manager) {
    const use_resource_manager news{child};
    if (auto d = children_.child(dispatcher)) send(d, news);
    for (std::uint32_t i = 0; i < task_manager_count_; ++i)
      if (auto t = children_.child(task_manager(i))) send(t, news);
    for (auto& [place, t] : remote_managers_) // they register once more
      if (t) send(t, use_resource_manager{caf::actor_cast<caf::actor>(this)});
  } else if (id == dispatcher) {
    for (auto& hand_over : std::exchange(waiting_, {}))
      hand_over(child);
  }
}

/// Of a task manager with a process of its own. One that is lost may not know it yet.
void job_manager_actor::register_remote(const register_slots& m) {
  const auto known = remote_managers_.find(m.where.id);
  if (known == remote_managers_.end()) {
    if (refused_++ == 0)
      log_warn({"job manager", {}, {}}, "slots of task manager " + m.where.id +
                                            " are refused: it is lost, or never joined; further ones are only counted");
    return;
  }
  known->second = m.task_manager;
  if (auto r = children_.child(resource_manager)) send(r, m);
}

/// One with a process of its own: whoever watches it has said so. Answered when the job masters have been told.
caf::response_promise job_manager_actor::task_manager_gone(const task_manager_lost& m) {
  auto promise = make_response_promise();
  remote_managers_.erase(m.task_manager);
  if (auto r = children_.child(resource_manager))
    promise.delegate(r, m);
  else
    promise.deliver(caf::unit);
  return promise;
}

/// Hands a request on; it waits while the dispatcher is being replaced.
template <class Message>
caf::response_promise job_manager_actor::to_dispatcher(const Message& m) {
  const bool asked = current_sender() != nullptr; // else there is nobody to answer
  auto promise = make_response_promise();         // takes the sender
  auto hand_over = [this, promise, m, asked](const caf::actor& d) mutable {
    if (asked)
      promise.template delegate<caf::message_priority::normal>(d, m);
    else
      caf::anon_send(d, m); // an answer, and above all an error, must not come here
  };
  if (auto d = children_.child(dispatcher))
    hand_over(d);
  else
    waiting_.emplace_back(std::move(hand_over));
  return promise;
}

/// Its own children, then what the dispatcher and the task managers say about theirs. Who does not answer is left out.
caf::response_promise job_manager_actor::describe() {
  struct gathered {
    std::vector<std::string> parts;
    std::size_t open;
  };
  auto promise = make_response_promise();
  std::vector<std::string> ids{dispatcher};
  for (std::uint32_t i = 0; i < task_manager_count_; ++i)
    ids.push_back(task_manager(i));
  auto all = std::make_shared<gathered>(gathered{{"job manager\n" + children_.describe()}, ids.size()});
  all->parts.resize(ids.size() + 1);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto answered = [promise, all, i, id = ids[i]](const std::string& text) mutable {
      if (!text.empty()) all->parts[i + 1] = "  children of the " + id + "\n" + text;
      if (--all->open > 0) return;
      std::string tree;
      for (auto& p : all->parts)
        tree += p;
      promise.deliver(std::move(tree));
    };
    auto child = children_.child(ids[i]);
    if (!child)
      answered({});
    else
      request(child, deadline, describe_tree{})
          .then([answered](std::string& text) mutable { answered(text); },
                [answered](caf::error&) mutable { answered({}); });
  }
  return promise;
}

void job_manager_actor::on_exit() {
  children_.stop_all();
  waiting_.clear();
  remote_managers_.clear();
  context_.release();
}

} // namespace dataflow::actors
