/// What job clients have in common, whether the job runs in this process or in others: an actor hears of the job, and
/// the user's threads wait for what it has heard.
///
/// Threading: safe from any thread. Ownership: the state is shared by the client and its actor.
#pragma once

#include <dataflow/api/executor.hpp>
#include <dataflow/util/error.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace dataflow::actors {

struct job_state {
  std::mutex mutex;
  std::condition_variable changed;
  job_status status = job_status::initializing;
  std::shared_ptr<const job_result> result;

  void update(job_status s) {
    std::lock_guard lock{mutex};
    status = s;
    changed.notify_all();
  }
  /// The first end is the one that counts.
  void end(std::shared_ptr<const job_result> r) {
    std::lock_guard lock{mutex};
    if (result) return;
    status = r->status;
    result = std::move(r);
    changed.notify_all();
  }
};

class watched_job : public job_client {
public:
  const std::string& id() const noexcept override { return id_; }
  job_status status() const override {
    std::lock_guard lock{state_->mutex};
    return state_->status;
  }
  job_result wait() override {
    std::unique_lock lock{state_->mutex};
    state_->changed.wait(lock, [&] { return state_->result != nullptr; });
    return *state_->result;
  }
  bool wait_for(std::chrono::milliseconds timeout) override {
    std::unique_lock lock{state_->mutex};
    return state_->changed.wait_for(lock, timeout, [&] { return state_->result != nullptr; });
  }
  job_report report() override {
    {
      std::lock_guard lock{state_->mutex};
      if (state_->result) return state_->result->final_report;
    }
    try {
      return ask_report();
    } catch (const error&) { // nobody has answered: what is known here
      job_report known;
      known.id = id_;
      known.status = status();
      return known;
    }
  }

protected:
  watched_job(std::string id, std::shared_ptr<job_state> state) : id_(std::move(id)), state_(std::move(state)) {}
  /// Of a job that runs. Throws when nobody answers.
  virtual job_report ask_report() = 0;

  const std::string id_;
  const std::shared_ptr<job_state> state_;
};

} // namespace dataflow::actors
