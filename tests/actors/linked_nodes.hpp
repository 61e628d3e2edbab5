/// Task managers without a cluster around them: actor systems of their own in one process, linked over the loopback, on
/// which a test deploys the tasks of a job.
#pragma once

#include <dataflow/actors/jobmanager/job_plan.hpp>
#include <dataflow/actors/network/link_messages.hpp>
#include <dataflow/actors/network/link_system.hpp>
#include <dataflow/actors/network/transport.hpp>
#include <dataflow/actors/taskmanager/task.hpp>

#include <caf/io/all.hpp>

#include "tests/actors/test_cluster.hpp"

namespace dataflow::test {

/// Waits up to half a minute; false: it has not come.
template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 30'000; ++i) {
    if (condition()) return true;
    std::mutex m; // a millisecond
    std::condition_variable c;
    std::unique_lock lock{m};
    c.wait_for(lock, std::chrono::milliseconds{1});
  }
  return false;
}

class linked_node {
public:
  explicit linked_node(std::string id, actors::data_links_settings settings = quick(), actors::tls_files tls = {},
                       const clock& time = system_clock())
      : config(tls), system(actors::make_system(config)) {
    links = std::make_shared<actors::data_links>(*system, time, settings);
    address = {std::move(id), "127.0.0.1", links->port()};
    links->become(address.id);
    master_ = system->spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const actors::task_update& m) {
                std::lock_guard lock{mutex_};
                updates_[m.key] = m;
              },
              [](const actors::split_request&) {}, [](const actors::watermark_report&) {},
              [](const actors::results_at_barrier&) {}};
    });
  }
  ~linked_node() { stop(); }
  void stop() {
    if (!system) return;
    links->close();
    for (auto& [key, task] : tasks_)
      caf::anon_send_exit(task, caf::exit_reason::kill);
    tasks_.clear();
    caf::anon_send_exit(master_, caf::exit_reason::kill);
    master_ = nullptr;
    system.reset();
  }
  /// Short times: nothing in a test is far away.
  static actors::data_links_settings quick() {
    actors::data_links_settings s;
    s.links = {std::chrono::milliseconds{2}, std::chrono::milliseconds{50}, std::chrono::milliseconds{20'000}};
    s.seed = 1;
    return s;
  }

  void deploy(const std::shared_ptr<const actors::job_description>& job, actors::task_key key) {
    actors::task_arguments a{
        job, key, master_, &system_platform(), std::make_shared<actors::task_control>(), nullptr, {}, {}, {},
        {},  {},  links};
    auto task = system->spawn<actors::task_actor>(std::move(a));
    links->add_task(link_address(job->id, key.task, key.attempt), task);
    tasks_[key] = task;
  }
  caf::actor task(actors::task_key key) const { return tasks_.at(key); }
  task_status status(actors::task_key key) const {
    std::lock_guard lock{mutex_};
    auto u = updates_.find(key);
    return u == updates_.end() ? task_status::created : u->second.status;
  }
  error failure(actors::task_key key) const {
    std::lock_guard lock{mutex_};
    auto u = updates_.find(key);
    return u == updates_.end() ? error{} : u->second.failure;
  }

  struct system_config : caf::actor_system_config {
    explicit system_config(const actors::tls_files& tls) {
      actors::configure(*this, 2);
      actors::configure_links(*this, tls);
    }
  } config;
  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<actors::data_links> links;
  actors::task_manager_address address;

private:
  caf::actor master_;
  std::map<actors::task_key, caf::actor> tasks_;
  mutable std::mutex mutex_;
  std::map<actors::task_key, actors::task_update> updates_;
};

/// The tasks of a job, spread over nodes: task t runs on nodes[t % nodes]. Every attempt has all of them.
class linked_job {
public:
  linked_job(std::shared_ptr<const stream_graph> graph, std::vector<linked_node*> nodes) : nodes_(std::move(nodes)) {
    static std::uint64_t jobs = 0; // ids of jobs are drawn from seeds
    auto submission = actors::make_submission(std::move(graph), {}, ++jobs, system_platform());
    job_ = std::make_shared<const actors::job_description>(
        actors::job_description{submission->id, "job", actors::plan_of(*submission), {}, {}});
  }
  std::uint32_t tasks() const { return static_cast<std::uint32_t>(job_->plan->tasks().size()); }
  linked_node& node_of(task_index t) const { return *nodes_[t % nodes_.size()]; }

  /// `places`: where the nodes are for each other, if not where they say.
  void start(std::uint32_t attempt, std::vector<actors::task_manager_address> places = {}) {
    for (task_index t = 0; t < tasks(); ++t)
      node_of(t).deploy(job_, {t, attempt});
    if (places.empty())
      for (auto* n : nodes_)
        places.push_back(n->address);
    const auto peer = [&](task_index self, task_index other, std::uint32_t gate, std::uint32_t channel) {
      const bool near = &node_of(self) == &node_of(other);
      return actors::channel_peer{near ? node_of(other).task({other, attempt}) : caf::actor{},
                                  node_of(other).address.id,
                                  {other, attempt},
                                  attempt,
                                  gate,
                                  channel};
    };
    for (auto t = tasks(); t-- > 0;) {
      actors::start_task s{{t, attempt}, {}, {}, places};
      s.outputs.resize(job_->plan->vertex_of(t).outputs.size());
      for (auto& c : job_->plan->outputs_of(t))
        s.outputs[c.gate].push_back(peer(t, c.peer, 0, c.peer_position));
      for (auto& c : job_->plan->inputs_of(t))
        s.inputs.push_back(peer(t, c.peer, c.gate, c.peer_channel));
      caf::anon_send(node_of(t).task({t, attempt}), std::move(s));
    }
  }
  bool all(std::uint32_t attempt, task_status status) const {
    for (task_index t = 0; t < tasks(); ++t)
      if (node_of(t).status({t, attempt}) != status) return false;
    return true;
  }
  error failure(task_index t, std::uint32_t attempt) const { return node_of(t).failure({t, attempt}); }

private:
  std::vector<linked_node*> nodes_;
  std::shared_ptr<const actors::job_description> job_;
};

} // namespace dataflow::test
